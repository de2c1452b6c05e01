# SPDX-License-Identifier: Apache-2.0
"""Speckle of coherent imaging (ultrasound, OCT): the log-compressed Rayleigh amplitude of many random scatterers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from unibiomed.phantoms.shapes import Field


def log_speckle(rng: np.random.Generator, shape: tuple[int, int], grain: tuple[float, float]) -> Field:
    """Log of the Rayleigh amplitude, (rows, columns) = ``shape``, mean 0, deviation about 1.

    ``grain`` is the speckle's (height, width) in pixels of a 256 x 256 image: scatterers are drawn on that coarser grid
    and interpolated, which is the point spread of the system.
    """
    real, imaginary = (_stretched(rng, shape, grain) for _ in range(2))
    log = 0.5 * np.log(real * real + imaginary * imaginary + np.float32(1e-3))
    log -= log.mean()
    return log / log.std()


def banded_noise(rng: np.random.Generator, shape: tuple[int, int], grain: tuple[float, float]) -> Field:
    """Gaussian noise of unit deviation with features ``grain`` = (height, width) pixels (at 256) big."""
    noise = _stretched(rng, shape, grain)
    return noise / noise.std()


def _stretched(rng: np.random.Generator, shape: tuple[int, int], grain: tuple[float, float]) -> npt.NDArray[np.float32]:
    cells = tuple(max(2, round(256 / g)) for g in grain)
    noise = rng.standard_normal(cells, dtype=np.float32)
    resized = Image.fromarray(noise).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized)
