# SPDX-License-Identifier: Apache-2.0
"""Masks of a volume brought onto the segmentation's reference geometry, the only lattice that the editor takes.

Only the part of the lattice that a mask needs is ever filled, so that the cost is that of the mask, not of the volume.
An extent is VTK's: first and last i, j, k.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import slicer
from UniBiomedSlicerLib.BoxMask import Box
from UniBiomedSlicerLib.SegmentLayers import labelmapImage, labelsOf
from UniBiomedSlicerLib.SegmentTags import BINARY
from UniBiomedSlicerLib.VolumeGeometry import toNumpy
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid
from vtk import vtkMatrix4x4

Extent = tuple[int, ...]


def slab(shape: Sequence[int], arrayAxis: int, index: int) -> Box:
    """One whole slice of a volume of ``shape`` (k, j, i)."""
    offset, size = [0, 0, 0], list(shape)
    offset[arrayAxis], size[arrayAxis] = index, 1
    return tuple(offset), np.ones(size, bool)


def maskImage(box: Box, grid: VoxelGrid, segmentationNode: Any) -> Any:
    """``box`` of the volume's voxels as a labelmap on the volume's lattice, in the space of the segmentation."""
    labels = np.ascontiguousarray(box[1]).view(np.uint8)
    return labelmapImage(labels, box[0], grid.imageToWorld(segmentationNode), grid.start)


def extentOn(image: Any, reference: Any) -> Extent | None:
    """The extent that ``image`` takes on the lattice of ``reference``, cut to its own; None where they are apart."""
    if image is None or image.IsEmpty():
        return None
    if sameLattice(image, reference):
        wanted = image.GetExtent()
    else:
        ends = np.array(list(product(*(np.reshape(image.GetExtent(), (3, 2)) + np.array([-0.5, 0.5])))))
        onReference = np.linalg.solve(_matrix(reference), _matrix(image) @ np.c_[ends, np.ones(8)].T)[:3]
        first, last = np.floor(onReference.min(axis=1)), np.ceil(onReference.max(axis=1))
        wanted = np.stack([first, last], axis=1).ravel()
    limits = reference.GetExtent()
    cut = [max(int(wanted[n]), limits[n]) if n % 2 == 0 else min(int(wanted[n]), limits[n]) for n in range(6)]
    return tuple(cut) if all(cut[n] <= cut[n + 1] for n in (0, 2, 4)) else None


def joined(extents: Iterable[Extent | None]) -> Extent | None:
    """The extent around all of them."""
    known = [extent for extent in extents if extent is not None]
    if not known:
        return None
    return tuple((min if n % 2 == 0 else max)(extent[n] for extent in known) for n in range(6))


def part(reference: Any, extent: Extent) -> Any:
    """The lattice of ``reference`` over ``extent``: an image without voxels."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(list(extent))
    matrix = vtkMatrix4x4()
    reference.GetImageToWorldMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image


def voxelsOn(image: Any, place: Any, label: int | None = None) -> np.ndarray:
    """Where ``image`` is not 0, or has ``label``, as a bool array [k, j, i] over the extent of ``place``."""
    whole = np.zeros(shapeOf(place), bool)
    if image is None or image.IsEmpty():
        return whole
    if not sameLattice(image, place):
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, place, resampled)
        return _isLabel(labelsOf(resampled)[1], label)
    extent = extentOn(image, place)
    if extent is not None:
        source = labelsOf(image)[1][within(extent, image)]
        whole[within(extent, place)] = _isLabel(source, label)
    return whole


def segmentOn(segmentationNode: Any, segmentId: str, place: Any) -> np.ndarray:
    """The voxels of a segment as a bool array [k, j, i] over the extent of ``place``."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    return voxelsOn(segment.GetRepresentation(BINARY), place, segment.GetLabelValue())


def within(extent: Extent, image: Any) -> tuple[slice, ...]:
    """Where ``extent`` lies in the array [k, j, i] of ``image``."""
    first = image.GetExtent()[0::2]
    return tuple(slice(extent[2 * n] - first[n], extent[2 * n + 1] - first[n] + 1) for n in (2, 1, 0))


def shapeOf(image: Any) -> tuple[int, int, int]:
    """The voxels of a vtkOrientedImageData along (k, j, i)."""
    i, j, k = image.GetDimensions()
    return k, j, i


def sameLattice(image: Any, other: Any) -> bool:
    """Whether equal indices of two images are at the same place."""
    return bool(np.allclose(_matrix(image), _matrix(other), rtol=0, atol=1e-4))


def _isLabel(labels: np.ndarray, label: int | None) -> np.ndarray:
    return labels != 0 if label is None else labels == label


def _matrix(image: Any) -> np.ndarray:
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return toNumpy(matrix)
