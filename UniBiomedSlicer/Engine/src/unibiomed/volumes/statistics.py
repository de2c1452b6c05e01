# SPDX-License-Identifier: Apache-2.0
"""Intensity figures of a whole volume, taken once and from a bounded number of voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_MAX_SLICES = 64
_MAX_VOXELS_A_SLICE = 32_768
_GRID = np.linspace(0.0, 100.0, 1001)


@dataclass(frozen=True, eq=False)
class IntensityStats:
    """Minimum, maximum and the percentiles of the voxels that are not exactly zero, in the array's own unit.

    Zero is left out because it is the padding and the air of MR, ultrasound and nuclear images (as MedSAM and
    BiomedParse do before windowing); where all is zero or too little is not, every voxel counts.
    """

    minimum: float
    maximum: float
    quantiles: np.ndarray

    def percentile(self, percent: float) -> float:
        """Return the intensity below which ``percent`` (0 to 100) of the voxels lie, read off a 0.1 % grid."""
        return float(np.interp(percent, _GRID, self.quantiles))


def intensity_stats(array: Any) -> IntensityStats:
    """Take the figures of a ``[k, j, i(, c)]`` array or lazy array; at most 64 slices of a huge one are read."""
    count = array.shape[0]
    size = array.shape[1] * array.shape[2]
    if count * size <= _MAX_SLICES * _MAX_VOXELS_A_SLICE:
        sample = np.asarray(array[:]).ravel()
    else:
        indices = np.unique(np.linspace(0, count - 1, min(count, _MAX_SLICES)).round().astype(int))
        step = math.ceil(math.sqrt(size / _MAX_VOXELS_A_SLICE))
        sample = np.concatenate([np.asarray(array[int(k)])[::step, ::step].ravel() for k in indices])
    inside = sample[sample != 0]
    counted = inside if inside.size >= max(16, sample.size // 1000) else sample
    return IntensityStats(float(sample.min()), float(sample.max()), np.percentile(counted.astype(np.float32), _GRID))
