# SPDX-License-Identifier: Apache-2.0
"""How good a model is: metrics, the table on phantoms, scores of a volume, the fit of the presence gate."""
