# SPDX-License-Identifier: Apache-2.0
"""Has the segmentation that a result shall go into stayed as it was?"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _


class OutputGuard:
    """Remembers a segmentation node when a job starts. With None there is nothing to guard: a new one will be made.

    Names, colours, visibility and 3D surfaces may change; what counts is which segments there are, their voxels, and
    where the segmentation lies.
    """

    def __init__(self, segmentationNode: Any = None) -> None:
        self._expected = segmentationNode is not None
        self._name = segmentationNode.GetName() if segmentationNode else ""
        self._node = vtk.vtkWeakReference()  # an ID alone may name another node after the scene was replaced
        if segmentationNode is not None:
            self._node.Set(segmentationNode)
        self._seen = fingerprint(segmentationNode) if segmentationNode else ()

    def node(self) -> Any:
        """The segmentation, None when none was given or it is no longer in a scene."""
        node = self._node.Get()
        return node if node is not None and node.GetScene() is not None else None

    def problem(self) -> str:
        """Why a result should not simply be put there, as one sentence; "" when nothing speaks against it."""
        if not self._expected:
            return ""
        node = self.node()
        if node is None:
            return _('The segmentation "{name}" was deleted after this job was started.').format(name=self._name)
        if fingerprint(node) != self._seen:
            return _('The segmentation "{name}" was changed after this job was started.').format(name=node.GetName())
        return ""

    def accept(self) -> None:
        """What the segmentation is now is as it should be: a result of ours was put into it."""
        node = self.node()
        if node is not None:
            self._seen = fingerprint(node)


def fingerprint(segmentationNode: Any) -> tuple:
    """Equal as long as neither segments, voxels nor the place of the segmentation have changed."""
    segmentation = segmentationNode.GetSegmentation()
    transform = segmentationNode.GetParentTransformNode()
    parts: list[Any] = [transform.GetTransformToWorldMTime() if transform is not None else 0]
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    for index in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(index)
        segment = segmentation.GetSegment(segmentId)
        labelmap = segment.GetRepresentation(binary)
        parts.append((segmentId, segment.GetLabelValue(), labelmap.GetMTime() if labelmap is not None else 0))
    return tuple(parts)


def canTakeVoxels(segmentationNode: Any) -> bool:
    """Whether segments that are voxels can be added: not where others are kept as surfaces. None: a new one can."""
    segmentation = segmentationNode.GetSegmentation() if segmentationNode is not None else None
    if segmentation is None or not segmentation.GetNumberOfSegments():
        return True
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    return segmentation.GetSourceRepresentationName() == binary
