# SPDX-License-Identifier: Apache-2.0
"""Segments that grow slice by slice while a job runs, at the cost of the slice that arrives, not of the volume.

All of them live in one labelmap of the volume's size, whose memory is only taken where voxels are written; a segment
that comes to overlap another moves into a labelmap of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from UniBiomedSlicerLib import SegmentTags as tags
from UniBiomedSlicerLib.BoxMask import Offset, window
from UniBiomedSlicerLib.SegmentLayers import emptyLabels, labelmapImage
from UniBiomedSlicerLib.SegmentTags import BINARY
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid

_MAX_LABEL = 255


class _Layer:
    """One labelmap; ``nextLabel`` is the next free value in it."""

    def __init__(self, grid: VoxelGrid, imageToWorld: np.ndarray) -> None:
        self.labels = emptyLabels(grid.shape, _MAX_LABEL)
        self.image = labelmapImage(self.labels, (0, 0, 0), imageToWorld, grid.start)
        self.nextLabel = 1


class _Growing:
    """One segment: its layer, its label there, and the box around what has arrived."""

    def __init__(self, layer: _Layer, segment: Any, phrase: str) -> None:
        self.segment = segment
        self.phrase = phrase
        self.low: np.ndarray | None = None
        self.high: np.ndarray | None = None
        self.join(layer)

    def join(self, layer: _Layer) -> None:
        self.layer, self.label = layer, layer.nextLabel
        layer.nextLabel += 1

    def include(self, offset: Offset, shape: Sequence[int]) -> None:
        low, high = np.array(offset), np.add(offset, shape)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)

    def box(self) -> tuple[Offset, np.ndarray]:
        if self.low is None:
            return (0, 0, 0), np.zeros((0, 0, 0), bool)
        part = self.layer.labels[window(self.low, self.high - self.low)]
        return tuple(int(value) for value in self.low), part == self.label


class SegmentPreview:
    """The growing segments of one segmentation node; indices are the volume's [k, j, i]."""

    def __init__(self, segmentationNode: Any, grid: VoxelGrid) -> None:
        self.grid = grid
        self._node = segmentationNode
        self._imageToWorld = grid.imageToWorld(segmentationNode)
        self._segments: dict[str, _Growing] = {}
        self._layers: list[_Layer] = []

    @property
    def segmentIds(self) -> tuple[str, ...]:
        """The MRML ids of the segments that are still there, in the order they were added."""
        # Slicer may give the id of a deleted segment to another one.
        segmentation = self._node.GetSegmentation()
        gone = [key for key, growing in self._segments.items() if segmentation.GetSegment(key) is not growing.segment]
        for key in gone:
            del self._segments[key]
        return tuple(self._segments)

    def segmentOfPhrase(self, phrase: str) -> str:
        """Return the segment that grows for ``phrase``, "" where none does."""
        return next((key for key in self.segmentIds if self._segments[key].phrase == phrase), "")

    def phraseOf(self, segmentId: str) -> str:
        """Return the phrase that a growing segment is for."""
        return self._segments[segmentId].phrase

    def add(self, segment: Any, phrase: str) -> str:
        """Put a vtkSegment without voxels into the segmentation and return its id."""
        growing = _Growing(self._sharedLayer(), segment, phrase)
        tags.setTag(segment, tags.PREVIEW, "1")
        segment.SetLabelValue(growing.label)
        segment.AddRepresentation(BINARY, growing.layer.image)
        segmentation = self._node.GetSegmentation()
        segmentId = tags.newSegmentId(segmentation, segment)
        segmentation.AddSegment(segment, segmentId)
        self._segments[segmentId] = growing
        return segmentId

    def addBox(self, segmentId: str, offset: Offset, box: np.ndarray) -> None:
        """Add voxels to a growing segment; nothing happens where it was deleted or made final meanwhile."""
        if segmentId not in self.segmentIds or not box.size:
            return
        growing = self._segments[segmentId]
        place = window(offset, box.shape)
        part = growing.layer.labels[place]
        if ((part != 0) & (part != growing.label) & box).any():
            self._separate(growing)
            part = growing.layer.labels[place]
        np.copyto(part, growing.label, where=box)
        growing.include(offset, box.shape)
        # The array's time tells the views; the image itself stays silent, so that Slicer does not throw away the
        # surfaces of all other segments at each slice.
        growing.layer.image.GetPointData().GetScalars().Modified()
        self._tell(segmentId)

    def release(self, segmentId: str) -> None:
        """Give up a segment, which then belongs to the caller."""
        self._segments.pop(segmentId, None)

    def drop(self) -> None:
        """Remove all growing segments from the segmentation."""
        for segmentId in self.segmentIds:
            self._node.GetSegmentation().RemoveSegment(segmentId)
        self._segments.clear()

    def _sharedLayer(self) -> _Layer:
        if not self._layers or self._layers[-1].nextLabel > _MAX_LABEL:
            self._layers.append(_Layer(self.grid, self._imageToWorld))
        return self._layers[0] if self._layers[0].nextLabel <= _MAX_LABEL else self._layers[-1]

    def _separate(self, growing: _Growing) -> None:
        """Move a segment into a labelmap of its own."""
        offset, box = growing.box()
        place = window(offset, box.shape)
        old = growing.layer
        np.copyto(old.labels[place], 0, where=box)
        old.image.GetPointData().GetScalars().Modified()
        layer = _Layer(self.grid, self._imageToWorld)
        growing.join(layer)
        np.copyto(layer.labels[place], growing.label, where=box)
        growing.segment.SetLabelValue(growing.label)
        growing.segment.AddRepresentation(BINARY, layer.image)

    def _tell(self, segmentId: str) -> None:
        self._node.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentId)
