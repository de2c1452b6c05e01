# SPDX-License-Identifier: Apache-2.0
"""The lattice that masks lie on: that of a volume node, or, where the volume is gone, the one its result remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from UniBiomedSlicerLib.VolumeGeometry import extentStart, extentToRas, shapeOf, toVtk, transformToWorld

_REFERENCE_GEOMETRY = "Reference image geometry"


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """``shape`` is (k, j, i); ``start`` the (i, j, k) of the first voxel; ``ijkToRas`` counts from 0, 0, 0 as Slicer's
    extents do, and leads into the space under ``transformNode`` (None: the world). ``volumeNode`` may be None."""

    shape: tuple[int, int, int]
    start: tuple[int, int, int]
    ijkToRas: np.ndarray
    transformNode: Any
    volumeNode: Any
    name: str

    @classmethod
    def ofVolume(cls, volumeNode: Any) -> VoxelGrid:
        """Return the grid of a volume node as it is now."""
        return cls(
            shape=shapeOf(volumeNode),
            start=extentStart(volumeNode),
            ijkToRas=extentToRas(volumeNode),
            transformNode=volumeNode.GetParentTransformNode(),
            volumeNode=volumeNode,
            name=volumeNode.GetName() or "",
        )

    @classmethod
    def ofResult(cls, result: Mapping[str, Any]) -> VoxelGrid:
        """Return the grid that the result was made on, in the world; ValueError where it does not say so."""
        try:
            provenance = result["provenance"]
            shape = tuple(int(size) for size in provenance["shape"])
            affine = np.array(provenance["ijk_to_ras"], dtype=float).reshape(4, 4)
            name = str(provenance.get("source", {}).get("name", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the result does not say which voxels it belongs to: {error}") from error
        if len(shape) != 3 or min(shape) < 1 or not np.isfinite(affine).all():
            raise ValueError("the result does not say which voxels it belongs to")
        return cls(shape, (0, 0, 0), affine, None, None, name)

    def imageToWorld(self, segmentationNode: Any) -> np.ndarray:
        """Return index to RAS as seen inside a segmentation's transform; VolumeError where a transform bends space."""
        other = segmentationNode.GetParentTransformNode()
        if other is self.transformNode:
            return self.ijkToRas
        toWorld = transformToWorld(self.volumeNode) if self.volumeNode is not None else np.eye(4)
        return np.linalg.solve(transformToWorld(segmentationNode), toWorld @ self.ijkToRas)

    def setReference(self, segmentationNode: Any) -> None:
        """Make this the segmentation's reference geometry, and the volume its source volume where there is one."""
        if self.volumeNode is not None:
            segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(self.volumeNode)
            return
        image = slicer.vtkOrientedImageData()
        image.SetExtent(*self.extent())
        image.SetGeometryFromImageToWorldMatrix(toVtk(self.imageToWorld(segmentationNode)))
        geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
        segmentationNode.GetSegmentation().SetConversionParameter(_REFERENCE_GEOMETRY, geometry)

    def extent(self) -> tuple[int, ...]:
        """Return Slicer's extent: first and last i, j, k."""
        ends = [(first, first + size - 1) for first, size in zip(self.start, self.shape[::-1], strict=True)]
        return tuple(value for pair in ends for value in pair)
