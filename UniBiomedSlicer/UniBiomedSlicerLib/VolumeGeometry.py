# SPDX-License-Identifier: Apache-2.0
"""Where the voxels of a volume node are: local and world RAS, and which anatomical direction each axis runs along.

Matrices are numpy 4x4 float64, mm. Voxel axes are 0 = i, 1 = j, 2 = k; arrays are indexed [k, j, i], so voxel axis
``a`` is array axis ``2 - a``. Index (0, 0, 0) is the first voxel stored, whatever the extent of the image data says.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import vtk
from slicer.i18n import tr as _

SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes, the engine's own limit: above the rounding of headers, below what one can see."""


class VolumeError(ValueError):
    """A volume that cannot be used; the text is one sentence: which one, why, and what to do."""


def shapeOf(volumeNode: Any) -> tuple[int, int, int]:
    """Return the voxels along (k, j, i); (0, 0, 0) for a node without image data."""
    imageData = volumeNode.GetImageData()
    if imageData is None:
        return 0, 0, 0
    i, j, k = imageData.GetDimensions()
    return k, j, i


def extentStart(volumeNode: Any) -> tuple[int, int, int]:
    """Return the (i, j, k) that Slicer gives the first voxel stored: nearly always 0, 0, 0."""
    imageData = volumeNode.GetImageData()
    return tuple(imageData.GetExtent()[0::2]) if imageData is not None else (0, 0, 0)


def extentToRas(volumeNode: Any) -> np.ndarray:
    """Return Slicer's own IJK to RAS inside the volume's parent transform; IJK counts as the extent does."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return toNumpy(matrix)


def localIjkToRas(volumeNode: Any) -> np.ndarray:
    """Return array index to RAS inside the volume's parent transform."""
    affine = extentToRas(volumeNode)
    affine[:3, 3] += affine[:3, :3] @ np.array(extentStart(volumeNode), dtype=float)
    return affine


def transformToWorld(node: Any, name: str | None = None) -> np.ndarray:
    """Return the parent transform's matrix to world; VolumeError where it is not linear."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise VolumeError(
            _(
                '"{name}" is under the non-linear transform "{transform}", so its voxels have no rectangular grid in '
                "the patient; harden the transform or resample the volume first."
            ).format(name=name or node.GetName(), transform=transform.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return toNumpy(matrix)


def worldIjkToRas(volumeNode: Any) -> np.ndarray:
    """Return index to world RAS, linear parent transforms applied; VolumeError for one without a rectangular grid."""
    affine = transformToWorld(volumeNode) @ localIjkToRas(volumeNode)
    checkGrid(affine, volumeNode.GetName())
    return affine


def checkGrid(affine: np.ndarray, name: str) -> None:
    """Raise VolumeError unless the axes are at right angles, not of zero length, and all numbers are finite."""
    if not np.isfinite(affine).all():
        raise VolumeError(
            _('The geometry of "{name}" holds numbers that are not finite; load it again.').format(name=name)
        )
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if (spacing < 1e-9).any():
        raise VolumeError(
            _('The voxel spacing of "{name}" is 0 mm along one axis; set it in the Volumes module.').format(name=name)
        )
    directions = affine[:3, :3] / spacing
    cosines = np.abs(directions.T @ directions - np.eye(3))
    if cosines.max() > SHEAR_TOLERANCE:
        raise VolumeError(
            _(
                'The axes of "{name}" are not at right angles (gantry tilt, or a transform that shears); resample it '
                'onto a rectangular grid first, for example with "Resample Scalar/Vector/DWI Volume".'
            ).format(name=name)
        )


def anatomicalAxes(affine: np.ndarray) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return, for R, A and S in turn, (voxel axis, sign) of the axis that runs closest to it, as the engine decides.

    Each axis is given to one direction only, so that the total of the cosines is largest.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.round(np.abs(directions), 9)
    # Sums are rounded too, so that an exact 45 degree turn is a tie; the first of the best is taken.
    best = max(permutations(range(3)), key=lambda axes: round(sum(cosines[row, axes[row]] for row in range(3)), 8))
    right, anterior, superior = ((axis, 1 if directions[row, axis] > 0 else -1) for row, axis in enumerate(best))
    return right, anterior, superior


def toNumpy(matrix: Any) -> np.ndarray:
    """Return a vtkMatrix4x4 as a new 4x4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)], dtype=float)


def toVtk(affine: np.ndarray) -> Any:
    """Return a 4x4 array as a new vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(affine[row, column]))
    return matrix
