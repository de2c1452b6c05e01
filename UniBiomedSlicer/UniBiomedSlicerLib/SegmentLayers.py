# SPDX-License-Identifier: Apache-2.0
"""Boxes of masks packed into as few labelmaps as possible: one while nothing overlaps, one more where something does.

A labelmap covers only the box around its members (Slicer places it by its extent), on the lattice of the volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UniBiomedSlicerLib.BoxMask import Box, Offset, slabs, window
from UniBiomedSlicerLib.VolumeGeometry import toVtk


def overlapSteps(first: Box, second: Box) -> Iterator[bool]:
    """Yield, slab by slab, whether two (offset, bool box) share a voxel there; ends at the first True."""
    low = np.maximum(first[0], second[0])
    size = np.minimum(np.add(first[0], first[1].shape), np.add(second[0], second[1].shape)) - low
    if (size <= 0).any():
        return
    ours, theirs = (box[window(low - np.array(offset), size)] for offset, box in (first, second))
    for slab in slabs(size):
        shared = bool((ours[slab] & theirs[slab]).any())
        yield shared
        if shared:
            return


def joinLayer(layers: list[list[int]], boxes: Sequence[Box], index: int) -> Iterator[None]:
    """Put box ``index`` into the first layer where it overlaps nothing, a new one if need be; in steps."""
    for members in layers:
        isFree = True
        for other in members:
            for shared in overlapSteps(boxes[index], boxes[other]):
                isFree = not shared
                yield
            if not isFree:
                break
        if isFree:
            members.append(index)
            return
    layers.append([index])


def surroundingBox(boxes: Sequence[Box], shape: Sequence[int]) -> tuple[Offset, tuple[int, int, int]]:
    """Return offset and shape (k, j, i) of the box around ``boxes``, two voxels or more along each axis if there are
    as many: Slicer cannot save a labelmap of a single voxel."""
    filled = [(offset, box.shape) for offset, box in boxes if box.size]
    low = np.min([offset for offset, _size in filled], axis=0) if filled else np.zeros(3, int)
    high = np.max([np.add(offset, size) for offset, size in filled], axis=0) if filled else np.zeros(3, int)
    size = np.maximum(high - low, np.minimum(shape, 2))
    low = np.minimum(low, np.array(shape) - size)
    return tuple(int(value) for value in low), tuple(int(value) for value in size)


def emptyLabels(shape: Sequence[int], count: int) -> np.ndarray:
    """Return zeros [k, j, i] that can hold labels up to ``count``; memory is taken only where it is written to."""
    return np.zeros(tuple(shape), np.uint8 if count < 256 else np.uint16)


def labelmapImage(
    labels: np.ndarray, offset: Sequence[int], imageToWorld: np.ndarray, extentStart: Sequence[int] = (0, 0, 0)
) -> Any:
    """Return a vtkOrientedImageData that shares the memory of ``labels`` [k, j, i] (C order).

    ``offset`` (k, j, i) is where it starts in the volume's array, ``extentStart`` (i, j, k) what the extent of the
    volume's image data starts at, ``imageToWorld`` the volume's index to RAS.
    """
    kinds = {1: vtk.VTK_UNSIGNED_CHAR, 2: vtk.VTK_UNSIGNED_SHORT}
    scalars = numpy_to_vtk(labels.reshape(-1), deep=False, array_type=kinds[labels.dtype.itemsize])
    scalars.SetName("ImageScalars")
    image = slicer.vtkOrientedImageData()
    extent = []
    for axis in range(3):
        first = int(extentStart[axis]) + int(offset[2 - axis])
        extent += [first, first + labels.shape[2 - axis] - 1]
    image.SetExtent(extent)
    image.SetGeometryFromImageToWorldMatrix(toVtk(imageToWorld))
    image.GetPointData().SetScalars(scalars)
    return image


def labelsOf(image: Any) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return the first index (i, j, k) of a labelmap's extent and its voxels [k, j, i], sharing memory."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None or image.IsEmpty():
        return (0, 0, 0), np.zeros((0, 0, 0), np.uint8)
    i, j, k = image.GetDimensions()
    return tuple(image.GetExtent()[0::2]), vtk_to_numpy(scalars).reshape(k, j, i)
