# SPDX-License-Identifier: Apache-2.0
"""Mask measures by google-deepmind's ``surface-distance``: Dice, 95 % Hausdorff distance (HD95, mm), and normalised
surface Dice (NSD, tolerance in mm) on sub-voxel surface elements.

Other implementations give other numbers for the same masks, so the name and the tolerance go with every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import surface_distance

from unibiomed.errors import InputError

MASK_LIBRARY = "google-deepmind surface-distance 0.1"
NSD_TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class MaskScores:
    """How well one mask matches its truth. ``hd95_mm`` is None when one of the two is empty."""

    dice: float
    hd95_mm: float | None
    nsd: float
    tolerance_mm: float = NSD_TOLERANCE_MM


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two bool masks of one shape: 1 for two empty ones (nothing found, rightly), 0 if one is empty."""
    _check_shapes(prediction, truth)
    if not prediction.any() and not truth.any():
        return 1.0
    return float(surface_distance.compute_dice_coefficient(truth, prediction))


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union, by its fixed relation to Dice."""
    value = dice(prediction, truth)
    return value / (2.0 - value)


def mask_scores(
    prediction: np.ndarray,
    truth: np.ndarray,
    spacing: Sequence[float],
    tolerance_mm: float = NSD_TOLERANCE_MM,
) -> MaskScores:
    """Dice, HD95 and NSD of bool masks ``[k, j, i]`` or ``[row, column]``.

    ``spacing`` is in mm in the order of the mask's axes. Two empty masks score 1, 0 mm, 1; one empty mask scores 0,
    no distance, 0.
    """
    _check_shapes(prediction, truth)
    if len(spacing) != truth.ndim:
        raise InputError(f"A mask with {truth.ndim} axes needs as many spacings, not {len(spacing)}.")
    if not prediction.any() and not truth.any():
        return MaskScores(1.0, 0.0, 1.0, tolerance_mm)
    if not prediction.any() or not truth.any():
        return MaskScores(0.0, None, 0.0, tolerance_mm)
    distances = surface_distance.compute_surface_distances(truth, prediction, [float(value) for value in spacing])
    return MaskScores(
        dice(prediction, truth),
        float(surface_distance.compute_robust_hausdorff(distances, 95)),
        float(surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)),
        tolerance_mm,
    )


def _check_shapes(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise InputError(f"The masks to compare have different shapes: {prediction.shape} and {truth.shape}.")
    if prediction.dtype != bool or truth.dtype != bool:
        raise InputError(f"The masks to compare must be bool, not {prediction.dtype} and {truth.dtype}.")
