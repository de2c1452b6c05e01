# SPDX-License-Identifier: Apache-2.0
"""A mask that grows slice by slice and holds no more than the boxes of its slices."""

from __future__ import annotations

import numpy as np

from unibiomed.volumes.masks import BoxMask

Box = tuple[int, int, np.ndarray]


class PlaneStack:
    """Bool planes (the two axes of ``[k, j, i]`` that are not cut, in array order) by slice index, kept cropped."""

    def __init__(self, array_axis: int) -> None:
        self.array_axis = array_axis
        self._planes: dict[int, Box] = {}

    def add(self, index: int, plane: np.ndarray) -> None:
        """Put slice ``index`` (again); an empty plane is as good as none."""
        rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
        if not rows.size:
            self._planes.pop(index, None)
            return
        top, left = int(rows[0]), int(columns[0])
        crop = plane[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
        self._planes[index] = (top, left, np.array(crop, dtype=bool))

    @property
    def indices(self) -> tuple[int, ...]:
        """Slices that hold a pixel, ascending."""
        return tuple(sorted(self._planes))

    def box(self, index: int) -> Box:
        """(first row, first column, cropped plane) of slice ``index``."""
        return self._planes[index]

    def plane_mask(self, index: int) -> BoxMask:
        """Slice ``index`` alone as a mask of the volume."""
        return self._as_mask([index])

    def to_mask(self) -> BoxMask:
        """All slices as one mask of the volume ``[k, j, i]``."""
        return self._as_mask(list(self.indices))

    def _as_mask(self, indices: list[int]) -> BoxMask:
        if not indices:
            return BoxMask.empty()
        boxes = [self._planes[index] for index in indices]
        top, left = min(box[0] for box in boxes), min(box[1] for box in boxes)
        bottom = max(box[0] + box[2].shape[0] for box in boxes)
        right = max(box[1] + box[2].shape[1] for box in boxes)
        first, last = indices[0], indices[-1]
        joined = np.zeros((last - first + 1, bottom - top, right - left), dtype=bool)
        for index, (row, column, crop) in zip(indices, boxes, strict=True):
            height, width = crop.shape
            joined[index - first, row - top : row - top + height, column - left : column - left + width] = crop
        offset = [top, left]
        offset.insert(self.array_axis, first)
        return BoxMask(tuple(offset), np.moveaxis(joined, 0, self.array_axis))


def slices_along(mask: BoxMask, array_axis: int) -> tuple[int, ...]:
    """Slice indices along ``array_axis`` that hold voxels of ``mask``, ascending."""
    others = tuple(axis for axis in range(3) if axis != array_axis)
    return tuple(int(index) + mask.offset[array_axis] for index in np.flatnonzero(mask.array.any(axis=others)))


def plane_of(mask: BoxMask, array_axis: int, index: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Slice ``index`` of ``mask`` along ``array_axis`` as a bool plane of a volume of ``shape`` (k, j, i)."""
    rest = [axis for axis in range(3) if axis != array_axis]
    plane = np.zeros([shape[axis] for axis in rest], dtype=bool)
    row = index - mask.offset[array_axis]
    if 0 <= row < mask.array.shape[array_axis]:
        crop = np.take(mask.array, row, axis=array_axis)
        top, left = (mask.offset[axis] for axis in rest)
        plane[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return plane
