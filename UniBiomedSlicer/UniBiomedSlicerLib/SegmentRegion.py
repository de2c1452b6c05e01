# SPDX-License-Identifier: Apache-2.0
"""A segment of any segmentation as a mask on a volume's voxels, in the wire form: what a region task is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from UniBiomedSlicerLib.BoxMask import Offset, encode, tighten
from UniBiomedSlicerLib.SegmentLayers import labelsOf
from UniBiomedSlicerLib.VolumeGeometry import extentStart, shapeOf, toNumpy, toVtk, transformToWorld
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid

_SAME_LATTICE = 1e-3
"""Largest distance, in voxels, between two lattices that count as one."""


def segmentRegion(segmentationNode: Any, segmentId: str, volumeNode: Any) -> dict[str, Any] | None:
    """Return the mask of a segment, None where no voxel of it is inside the volume.

    Exact where the segment lies on the volume's lattice (all of ours do), else by nearest neighbour. VolumeError where
    either is under a non-linear transform.
    """
    image = segmentationNode.GetBinaryLabelmapInternalRepresentation(segmentId)
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if image is None or segment is None or image.IsEmpty():
        return None
    toVolume = _toVolume(segmentationNode, volumeNode, image)
    shift = np.rint(toVolume[:3, 3])
    onLattice = np.eye(4)
    onLattice[:3, 3] = shift
    if np.abs(toVolume - onLattice).max() < _SAME_LATTICE:
        start, labels = labelsOf(image)
        first = [int(a) + int(b) - int(c) for a, b, c in zip(start, shift, extentStart(volumeNode), strict=True)]
        offset, box = _clipped(tuple(first[::-1]), labels == segment.GetLabelValue(), shapeOf(volumeNode))
    else:
        offset, box = _resampled(segmentationNode, segmentId, volumeNode)
    offset, box = tighten(offset, box)
    return encode(offset, box) if box.size else None


def _toVolume(segmentationNode: Any, volumeNode: Any, image: Any) -> np.ndarray:
    """Index of the labelmap to IJK of the volume."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    grid = VoxelGrid.ofVolume(volumeNode)
    return np.linalg.solve(grid.imageToWorld(segmentationNode), toNumpy(matrix))


def _clipped(first: Offset, box: np.ndarray, shape: tuple[int, int, int]) -> tuple[Offset, np.ndarray]:
    low = np.clip(first, 0, shape)
    high = np.clip(np.add(first, box.shape), 0, shape)
    inside = tuple(slice(int(a - f), int(max(a, b) - f)) for a, b, f in zip(low, high, first, strict=True))
    return tuple(int(value) for value in low), box[inside]


def _resampled(segmentationNode: Any, segmentId: str, volumeNode: Any) -> tuple[Offset, np.ndarray]:
    grid = VoxelGrid.ofVolume(volumeNode)
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(*grid.extent())
    reference.SetGeometryFromImageToWorldMatrix(toVtk(transformToWorld(volumeNode) @ grid.ijkToRas))
    reference.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    found = slicer.vtkOrientedImageData()
    slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(
        segmentationNode, segmentId, found, True
    )
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(found, reference, resampled)
    start, labels = labelsOf(resampled)
    first = tuple(int(a) - int(b) for a, b in zip(start, grid.start, strict=True))
    return _clipped(first[::-1], labels != 0, grid.shape)
