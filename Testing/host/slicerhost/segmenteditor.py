# SPDX-License-Identifier: Apache-2.0
"""The Segment Editor widget and its scripted effects, over Slicer's real segment editor logic."""
