# SPDX-License-Identifier: Apache-2.0
"""What reviewers left, wherever it lies: every format that ``unibiomed export`` writes, read into one form."""
