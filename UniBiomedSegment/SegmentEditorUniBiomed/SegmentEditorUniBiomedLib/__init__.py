# SPDX-License-Identifier: Apache-2.0
"""The Segment Editor effect UniBiomed. Slicer looks for the class here, in the package of the effect's folder."""

from .SegmentEditorEffect import SegmentEditorEffect

__all__ = ["SegmentEditorEffect"]
