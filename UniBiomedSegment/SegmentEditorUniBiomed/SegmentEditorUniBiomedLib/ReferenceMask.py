# SPDX-License-Identifier: Apache-2.0
"""Masks of a volume brought onto the segmentation's reference geometry, the only lattice that the editor takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import slicer
from UniBiomedSlicerLib.BoxMask import tighten, window
from UniBiomedSlicerLib.SegmentLayers import labelmapImage, labelsOf
from UniBiomedSlicerLib.VolumeGeometry import toNumpy
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid
from vtk import vtkMatrix4x4

Box = tuple[tuple[int, int, int], np.ndarray]


def union(boxes: Iterable[Box]) -> Box:
    """The voxels of all ``boxes`` (offset [k, j, i], bool array) in their common box."""
    used = [(offset, box) for offset, box in boxes if box.size]
    if not used:
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    low = np.min([offset for offset, _box in used], axis=0)
    high = np.max([np.add(offset, box.shape) for offset, box in used], axis=0)
    whole = np.zeros(high - low, bool)
    for offset, box in used:
        whole[window(offset, box.shape, low)] |= box
    return tuple(int(value) for value in low), whole


def slab(shape: Sequence[int], arrayAxis: int, index: int) -> Box:
    """One whole slice of a volume of ``shape`` (k, j, i)."""
    offset, size = [0, 0, 0], list(shape)
    offset[arrayAxis], size[arrayAxis] = index, 1
    return tuple(offset), np.ones(size, bool)


def onReference(box: Box, grid: VoxelGrid, segmentationNode: Any, reference: Any) -> tuple[np.ndarray, int]:
    """``box`` of the volume's voxels as a bool array [k, j, i] over the extent of ``reference``, a
    vtkOrientedImageData, and how many of its voxels lie beyond that extent (0 where the two lattices differ)."""
    if not box[1].size:
        return np.zeros(shapeOf(reference), bool), 0
    image = labelmapImage(
        np.ascontiguousarray(box[1]).view(np.uint8), box[0], grid.imageToWorld(segmentationNode), grid.start
    )
    mask = _placed(image, reference)
    beyond = int(np.count_nonzero(box[1])) - int(np.count_nonzero(mask)) if sameLattice(image, reference) else 0
    return mask, beyond


def segmentOnReference(segmentationNode: Any, segmentId: str, reference: Any) -> np.ndarray:
    """The voxels of a segment as a bool array [k, j, i] over the extent of ``reference``."""
    image = slicer.vtkOrientedImageData()
    if not segmentationNode.GetBinaryLabelmapRepresentation(segmentId, image) or image.IsEmpty():
        return np.zeros(shapeOf(reference), bool)
    return _placed(image, reference)


def cropped(reference: Any, used: np.ndarray) -> tuple[Any, tuple[slice, ...]] | None:
    """The part of ``reference`` around the voxels ``used`` (bool array over its extent): an image without voxels, and
    where it lies in the array. None where no voxel is used."""
    offset, box = tighten((0, 0, 0), used)
    if not box.size:
        return None
    extent = []
    for axis in range(3):
        first = reference.GetExtent()[2 * axis] + offset[2 - axis]
        extent += [first, first + box.shape[2 - axis] - 1]
    matrix = vtkMatrix4x4()
    reference.GetImageToWorldMatrix(matrix)
    part = slicer.vtkOrientedImageData()
    part.SetExtent(extent)
    part.SetGeometryFromImageToWorldMatrix(matrix)
    return part, window(offset, box.shape)


def fill(labelmap: Any, mask: np.ndarray) -> None:
    """Put ``mask``, an array over its extent, into a labelmap."""
    labelsOf(labelmap)[1][...] = mask
    labelmap.GetPointData().GetScalars().Modified()
    labelmap.Modified()


def shapeOf(image: Any) -> tuple[int, int, int]:
    """The voxels of a vtkOrientedImageData along (k, j, i)."""
    i, j, k = image.GetDimensions()
    return k, j, i


def sameLattice(image: Any, other: Any) -> bool:
    """Whether equal indices of two images are at the same place."""
    matrices = []
    for one in (image, other):
        matrix = vtkMatrix4x4()
        one.GetImageToWorldMatrix(matrix)
        matrices.append(toNumpy(matrix))
    return bool(np.allclose(*matrices, rtol=0, atol=1e-4))


def _placed(image: Any, reference: Any) -> np.ndarray:
    if not sameLattice(image, reference):
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, reference, resampled)
        return labelsOf(resampled)[1] != 0
    whole = np.zeros(shapeOf(reference), bool)
    start, labels = labelsOf(image)
    low = np.subtract(start, reference.GetExtent()[0::2])[::-1]
    high = low + labels.shape
    inside = tuple(
        slice(max(int(a), 0), max(int(min(b, n)), 0)) for a, b, n in zip(low, high, whole.shape, strict=True)
    )
    origin = tuple(slice(part.start - int(a), part.stop - int(a)) for part, a in zip(inside, low, strict=True))
    if all(part.stop > part.start for part in inside):
        whole[inside] = labels[origin] != 0
    return whole
