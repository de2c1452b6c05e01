# SPDX-License-Identifier: Apache-2.0
"""Where a segment is in a volume's array: its box, and the slices that show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from UniBiomedSlicerLib.BoxMask import Box, decode
from UniBiomedSlicerLib.SegmentRegion import segmentRegion


def boxOf(segmentationNode: Any, segmentId: str, volumeNode: Any) -> Box | None:
    """Return the (k, j, i) offset and the bool box of a segment in the array of ``volumeNode``; None where it is empty
    or has no place there."""
    region = segmentRegion(segmentationNode, segmentId, volumeNode)
    return decode(region) if region is not None else None


def largestSlice(box: Box, axis: int) -> tuple[int, tuple[float, float, float]]:
    """Return the index along array axis ``axis`` of a segment's largest cut, and the middle (k, j, i) of that cut."""
    offset, voxels = box
    areas = np.moveaxis(voxels, axis, 0).reshape(voxels.shape[axis], -1).sum(axis=1)
    return cutAt(box, axis, offset[axis] + int(areas.argmax()))


def cutAt(box: Box, axis: int, index: int) -> tuple[int, tuple[float, float, float]]:
    """Return ``index``, or the nearest one where the segment has a cut, and the middle (k, j, i) of that cut."""
    offset, voxels = box
    there = np.flatnonzero(np.moveaxis(voxels, axis, 0).reshape(voxels.shape[axis], -1).any(axis=1))
    row = int(there[np.abs(there + offset[axis] - index).argmin()])
    plane = np.argwhere(np.take(voxels, row, axis=axis))
    # A voxel of the segment itself: the mean of a hollow shape may lie outside of it.
    middle = plane[np.abs(plane - plane.mean(axis=0)).sum(axis=1).argmin()]
    focus = np.insert(middle, axis, row) + np.array(offset)
    return offset[axis] + row, tuple(float(value) for value in focus)
