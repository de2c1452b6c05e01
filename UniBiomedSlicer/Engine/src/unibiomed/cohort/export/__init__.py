# SPDX-License-Identifier: Apache-2.0
"""What was reviewed, as the training data of others: one writer a format, all from the same samples."""
