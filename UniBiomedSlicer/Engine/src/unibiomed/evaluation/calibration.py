# SPDX-License-Identifier: Apache-2.0
"""Does the confidence mean what it says? Reliability by bins, and the expected calibration error (ECE).

Two readings of a segment's confidence (0..1) are tested: as the IoU with the truth that may be expected, and as the
probability that the segment is right, which here is IoU >= 0.5. A segment of something that is not there has IoU 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.evaluation.clustered import Estimate, clustered

BINS = 10
RIGHT_FROM = 0.5


@dataclass(frozen=True)
class Bin:
    """Segments with a confidence from ``low`` to ``high``: mean confidence, mean IoU, and the share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    iou: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """``ece_iou``: mean distance of confidence and IoU over the bins; ``ece_right``: of confidence and share right."""

    bins: tuple[Bin, ...]
    ece_iou: Estimate
    ece_right: Estimate


def calibrate(confidence: Sequence[float], iou: Sequence[float], patients: Sequence[str]) -> Calibration | None:
    """Calibration of the segments that were shown; None without any."""
    said, real = np.asarray(confidence, dtype=float), np.asarray(iou, dtype=float)
    right = (real >= RIGHT_FROM).astype(float)
    ece_iou = clustered(lambda chosen: calibration_error(said[chosen], real[chosen]), len(said), patients)
    ece_right = clustered(lambda chosen: calibration_error(said[chosen], right[chosen]), len(said), patients)
    if ece_iou is None or ece_right is None:
        return None
    where = _bin_of(said)
    bins = []
    for number in range(BINS):
        inside = where == number
        if inside.any():
            means = (float(values[inside].mean()) for values in (said, real, right))
            bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), *means))
    return Calibration(tuple(bins), ece_iou, ece_right)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.clip((confidence * BINS).astype(int), 0, BINS - 1)


def calibration_error(confidence: np.ndarray, wanted: np.ndarray) -> float:
    """Expected calibration error: mean distance of confidence and ``wanted`` (both 0..1) over the bins."""
    gaps = np.bincount(_bin_of(confidence), weights=confidence - wanted, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
