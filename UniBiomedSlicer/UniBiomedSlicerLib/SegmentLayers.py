# SPDX-License-Identifier: Apache-2.0
"""Boxes of masks packed into as few labelmaps as possible: one while nothing overlaps, one more where something does.

A labelmap covers only the box around its members (Slicer places it by its extent), on the lattice of the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UniBiomedSlicerLib.BoxMask import Offset, window
from UniBiomedSlicerLib.VolumeGeometry import toVtk

Box = tuple[Offset, np.ndarray]


def overlaps(first: Box, second: Box) -> bool:
    """Return whether two (offset, bool box) share a voxel."""
    low = np.maximum(first[0], second[0])
    high = np.minimum(np.add(first[0], first[1].shape), np.add(second[0], second[1].shape))
    if (high <= low).any():
        return False
    parts = [box[window(low - np.array(offset), high - low)] for offset, box in (first, second)]
    return bool((parts[0] & parts[1]).any())


def joinLayer(layers: list[list[int]], boxes: Sequence[Box], index: int) -> int:
    """Put box ``index`` into the first layer where it overlaps nothing, a new one if need be; return its number."""
    for number, members in enumerate(layers):
        if not any(overlaps(boxes[index], boxes[other]) for other in members):
            members.append(index)
            return number
    layers.append([index])
    return len(layers) - 1


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
