# SPDX-License-Identifier: Apache-2.0
"""What a 4x4 ``ijk_to_ras`` (mm) may be, and which anatomical direction each array axis runs along.

Arrays are indexed ``[k, j, i]``; column ``c`` of the affine is the step of voxel index i, j, k in RAS
(x to the patient's Right, y Anterior, z Superior).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from unibiomed.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK count x to the Left and y to the Posterior side; RAS the other way round."""

SHEAR_TOLERANCE = 1e-3
"""Largest allowed cosine between two axes (0.06 degrees), well above the rounding of float32 headers."""


def checked_affine(ijk_to_ras: ArrayLike, where: str = "this image") -> np.ndarray:
    """Return a read-only float64 (4, 4) copy; refuse what is not a rotation, flip and scaling with an origin.

    Raises InputError for a wrong shape, numbers that are not finite, a singular or a sheared matrix.
    """
    affine = np.array(ijk_to_ras, dtype=np.float64)
    if affine.shape != (4, 4):
        raise InputError(f"The geometry of {where} must be a 4x4 matrix, not one of shape {affine.shape}.")
    if not np.isfinite(affine).all():
        raise InputError(f"The geometry of {where} holds numbers that are not finite; mend the header of the file.")
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        raise InputError(f"The geometry of {where} is not affine: the last row of its matrix is not 0 0 0 1.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if (spacing < 1e-9).any():
        raise InputError(f"The geometry of {where} is singular: the voxel spacing along one axis is 0 mm.")
    directions = affine[:3, :3] / spacing
    cosines = directions.T @ directions - np.eye(3)
    if (worst := float(np.abs(cosines).max())) > SHEAR_TOLERANCE:
        angle = 90.0 - float(np.degrees(np.arccos(min(worst, 1.0))))
        raise InputError(
            f"The geometry of {where} is sheared: two of its axes are {angle:.1f} degrees away from a right angle "
            "(as after a gantry tilt or an affine registration), so its slices have no rectangular grid; "
            "resample it onto a rectangular grid first."
        )
    affine.flags.writeable = False
    return affine


def affine_spacing(ijk_to_ras: np.ndarray) -> tuple[float, float, float]:
    """Return the voxel size along i, j and k in mm."""
    x, y, z = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    return float(x), float(y), float(z)


def anatomical_axes(ijk_to_ras: np.ndarray) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return, for R, A and S in turn, (voxel axis 0=i 1=j 2=k, sign) of the axis that runs closest to it.

    Each voxel axis is given to one direction only, so that the total of the cosines is largest (oblique input).
    """
    directions = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    # Rounding breaks the tie of an exact 45 degree turn the same way on every machine.
    _, axes = linear_sum_assignment(-np.round(np.abs(directions), 9))
    right, anterior, superior = ((int(axis), 1 if directions[row, axis] > 0 else -1) for row, axis in enumerate(axes))
    return right, anterior, superior
