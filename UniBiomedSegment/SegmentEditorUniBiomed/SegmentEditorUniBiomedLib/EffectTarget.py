# SPDX-License-Identifier: Apache-2.0
"""The segment that a result is meant for, as it was when the job was started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from slicer.i18n import tr as _
from UniBiomedSlicerLib import SegmentTags


@dataclass(frozen=True)
class Obstacle:
    """Why a result cannot be put where it was meant to go, as one sentence. ``isFinal``: selecting the right nodes
    again does not help, so that only a new segment is left."""

    text: str
    isFinal: bool


class EffectTarget:
    """Remembers segmentation, segment and source volume of a segment editor node."""

    def __init__(self, editorNode: Any) -> None:
        segmentationNode = editorNode.GetSegmentationNode()
        self.segmentId = editorNode.GetSelectedSegmentID() or ""
        # An ID alone may name another node after the scene was replaced.
        self._segmentation, self._volume = vtk.vtkWeakReference(), vtk.vtkWeakReference()
        self._segmentation.Set(segmentationNode)
        self._volume.Set(editorNode.GetSourceVolumeNode())
        self._segmentationName = segmentationNode.GetName()
        self.segmentName = segmentationNode.GetSegmentation().GetSegment(self.segmentId).GetName()
        self._voxels = self._fingerprint(segmentationNode)
        self._place = self._placeOf(segmentationNode)

    def segmentationNode(self) -> Any:
        """The segmentation, None when it is no longer in a scene."""
        return _inScene(self._segmentation.Get())

    def volumeNode(self) -> Any:
        """The source volume, None when it is no longer in a scene."""
        return _inScene(self._volume.Get())

    def obstacle(self, editorNode: Any) -> Obstacle | None:
        """What speaks against writing to the segment now; None if nothing does."""
        node = self.segmentationNode()
        if node is None:
            name = self._segmentationName
            return Obstacle(_('The segmentation "{name}" was deleted meanwhile.').format(name=name), True)
        if node.GetSegmentation().GetSegment(self.segmentId) is None:
            return Obstacle(_('The segment "{name}" was deleted meanwhile.').format(name=self.segmentName), True)
        if self._placeOf(node) != self._place:
            name = node.GetName()
            return Obstacle(
                _('The transform of the segmentation "{name}" was changed meanwhile.').format(name=name), True
            )
        if self._fingerprint(node) != self._voxels:
            return Obstacle(_('The segment "{name}" was changed meanwhile.').format(name=self.segmentName), True)
        return self._elsewhere(editorNode, node)

    def _elsewhere(self, editorNode: Any, node: Any) -> Obstacle | None:
        isHere = (
            editorNode is not None
            and editorNode.GetSegmentationNode() is node
            and editorNode.GetSelectedSegmentID() == self.segmentId
        )
        if not isHere:
            words = _('The result belongs to the segment "{name}" of "{segmentation}"; select that to apply it.')
            return Obstacle(words.format(name=self.segmentName, segmentation=node.GetName()), False)
        if editorNode.GetSourceVolumeNode() is not self.volumeNode():
            volume = self.volumeNode()
            words = _('The result was made on "{volume}"; select that as source volume to apply it.')
            return Obstacle(words.format(volume=volume.GetName()), False) if volume is not None else None
        return None

    def _fingerprint(self, node: Any) -> str:
        """Of the segment's own voxels: another segment may share its labelmap, and undo gives it a new one."""
        offset, box = SegmentTags.segmentBox(node.GetSegmentation(), self.segmentId)
        return SegmentTags.fingerprint(offset, box.shape, np.packbits(box, axis=None).tobytes())

    @staticmethod
    def _placeOf(node: Any) -> tuple:
        transform = node.GetParentTransformNode()
        return (id(transform), transform.GetTransformToWorldMTime()) if transform is not None else ()


def _inScene(node: Any) -> Any:
    return node if node is not None and node.GetScene() is not None else None
