# SPDX-License-Identifier: Apache-2.0
"""The result, shown over the images before it is applied.

It lives in a segmentation of its own that is neither saved nor offered for editing, so that discarding it leaves the
scene as it was and no undo state is spent on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from UniBiomedSlicerLib.BoxMask import Box
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.SegmentTags import BINARY
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid

from .ReferenceMask import maskImage


class EffectPreview:
    """One at a time."""

    def __init__(self) -> None:
        self._node: Any = None

    def node(self) -> Any:
        """The segmentation that is shown, None while there is none."""
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    def show(self, box: Box, volumeNode: Any, color: tuple[float, float, float]) -> None:
        """Show ``box`` (offset [k, j, i], bool array) of the volume's voxels in a lighter ``color``."""
        self.remove()
        node = self._node = SegmentationWriter(volumeNode, []).createSegmentationNode(_("UniBiomed preview"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetUndoEnabled(False)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetOpacity2DFill(0.4)
        storage = node.GetStorageNode()
        if storage is not None:
            slicer.mrmlScene.RemoveNode(storage)
        segment = slicer.vtkSegment()
        segment.SetName(_("preview"))
        segment.SetColor(*(0.5 + 0.5 * np.array(color)))
        # The labelmap shares the memory of the box: nothing is copied, whatever its size.
        segment.AddRepresentation(BINARY, maskImage(box, VoxelGrid.ofVolume(volumeNode), node))
        node.GetSegmentation().AddSegment(segment)

    def setVisible(self, isVisible: bool) -> None:
        """Hide it while another effect is active."""
        node = self.node()
        if node is not None:
            node.GetDisplayNode().SetVisibility(isVisible)

    def remove(self) -> None:
        """Take it out of the scene."""
        node, self._node = self.node(), None
        if node is not None:
            node.GetScene().RemoveNode(node)
