# SPDX-License-Identifier: Apache-2.0
"""Shapes and textures that the generators share; everything is vectorised and draws from a given ``rng``.

Coordinates: ``grid`` gives y (down) and x (right) in -1..1 over the image, so that one unit is half an image side. A
"field" is below 1 inside a shape, 1 on its edge, above 1 outside, and grows about linearly from its centre outwards.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]


@functools.lru_cache(maxsize=8)
def grid(size: int) -> tuple[Field, Field]:
    """Read-only pixel-centre coordinates (y, x), each (size, size) in -1..1."""
    line = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    y, x = np.repeat(line[:, None], size, axis=1), np.repeat(line[None, :], size, axis=0)
    y.flags.writeable = x.flags.writeable = False
    return y, x


def rotate(y: Field, x: Field, angle: float, centre: tuple[float, float] = (0.0, 0.0)) -> tuple[Field, Field]:
    """Coordinates about ``centre`` (y, x) turned by ``angle`` (radians)."""
    dy, dx = y - np.float32(centre[0]), x - np.float32(centre[1])
    if angle == 0.0:
        return dy, dx
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * dy - sin * dx, sin * dy + cos * dx


def superellipse(
    y: Field, x: Field, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0, power: float = 2.0
) -> Field:
    """Field of an ellipse (``power`` 2) or superellipse (above 2: boxier); ``radii`` are (y, x) before the turn."""
    dy, dx = rotate(y, x, angle, centre)
    dy, dx = dy / np.float32(radii[0]), dx / np.float32(radii[1])
    if power == 2.0:
        return np.sqrt(dy * dy + dx * dx)
    return (np.abs(dy) ** power + np.abs(dx) ** power) ** np.float32(1.0 / power)


def blob(
    rng: np.random.Generator,
    y: Field,
    x: Field,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
    wobble: float = 0.15,
    lobes: int = 5,
) -> Field:
    """Field of an ellipse whose edge swings by about ``wobble`` (fraction of its radius) with up to ``lobes`` waves."""
    dy, dx = rotate(y, x, angle, centre)
    dy, dx = dy / np.float32(radii[0]), dx / np.float32(radii[1])
    theta = np.arctan2(dy, dx)
    edge = np.ones_like(theta)
    for k in range(2, lobes + 1):
        edge += np.float32(wobble * rng.normal() / np.sqrt(k)) * np.cos(
            k * theta + np.float32(rng.uniform(0, 2 * np.pi))
        )
    return np.sqrt(dy * dy + dx * dx) / np.maximum(edge, np.float32(0.3))


def coverage(field: Field, softness: float) -> Field:
    """Opacity 0..1 of a field with an edge ``softness`` wide (field units; 2 / radius in pixels: about two pixels)."""
    return np.clip(np.float32(0.5) + (np.float32(1.0) - field) / np.float32(softness), 0.0, 1.0)


@functools.lru_cache(maxsize=64)
def _spline_matrix(size: int, knots: int) -> Field:
    """(size, knots) cubic B-spline weights that spread ``knots`` values evenly over ``size`` pixels."""
    position = (np.arange(size) + 0.5) / size * (knots - 3) + 1.0
    distance = np.abs(position[:, None] - np.arange(knots)[None, :])
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    weights = np.where(distance < 1.0, near, far).astype(np.float32)
    weights.flags.writeable = False
    return weights


def smooth_noise(rng: np.random.Generator, size: int, scale: float) -> Field:
    """(size, size) noise with about zero mean and unit deviation whose features are about ``scale`` pixels wide.

    A random cubic-spline surface over knots ``scale`` pixels apart: two small matrix products, cheap at any scale.
    """
    knots = max(4, round(size / scale) + 3)
    weights = _spline_matrix(size, knots)
    surface = weights @ rng.standard_normal((knots, knots), dtype=np.float32) @ weights.T
    return surface * np.float32(2.09)  # a cubic B-spline sum of white noise has deviation 0.479 (per axis 0.692)


@functools.lru_cache(maxsize=16)
def _linear_matrix(size: int, coarse: int) -> Field:
    """(size, coarse) weights of linear interpolation between pixel centres."""
    position = np.clip((np.arange(size) + 0.5) * coarse / size - 0.5, 0, coarse - 1)
    weights = np.clip(1.0 - np.abs(position[:, None] - np.arange(coarse)[None, :]), 0.0, 1.0).astype(np.float32)
    weights.flags.writeable = False
    return weights


def spread(coarse: Field, size: int) -> Field:
    """A (n, n) field read bilinearly at (size, size): for smooth fields that are dear to evaluate."""
    weights = _linear_matrix(size, coarse.shape[0])
    return weights @ coarse @ weights.T


def fractal_noise(
    rng: np.random.Generator, size: int, scale: float, octaves: int = 4, persistence: float = 0.5
) -> Field:
    """Sum of ``octaves`` smooth noises, each half as wide and ``persistence`` times as strong; unit deviation."""
    total = np.zeros((size, size), dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        if scale / 2**octave < 1.5:
            break
        total += np.float32(persistence**octave) * smooth_noise(rng, size, scale / 2**octave)
        power += persistence ** (2 * octave)
    return total / np.float32(np.sqrt(power))


def white_noise(rng: np.random.Generator, size: int, sigma: float = 0.0) -> Field:
    """(size, size) Gaussian noise of unit deviation, blurred over ``sigma`` pixels (0: independent pixels)."""
    noise = rng.standard_normal((size, size), dtype=np.float32)
    if sigma > 0:
        noise = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=2.5)
        noise /= noise.std()
    return noise


def warp(rng: np.random.Generator, y: Field, x: Field, amplitude: float, scale: float) -> tuple[Field, Field]:
    """Coordinates displaced by smooth noise of deviation ``amplitude`` (grid units) and ``scale`` pixels."""
    size = y.shape[0]
    shift = np.float32(amplitude)
    return y + shift * smooth_noise(rng, size, scale), x + shift * smooth_noise(rng, size, scale)


def pick_inside(rng: np.random.Generator, mask: npt.NDArray[np.bool_], margin: float) -> tuple[float, float] | None:
    """A random place (y, x in grid units) at least ``margin`` pixels inside ``mask``; None where there is none."""
    step = 4
    small = np.pad(mask[::step, ::step], 1)
    depth = ndimage.distance_transform_edt(small)[1:-1, 1:-1] * step
    rows, columns = np.nonzero(depth >= max(margin, step))
    if rows.size == 0:
        return None
    k = int(rng.integers(rows.size))
    size = mask.shape[0]
    return (rows[k] * step + 0.5) * 2.0 / size - 1.0, (columns[k] * step + 0.5) * 2.0 / size - 1.0


def centroid(mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean place (y, x in grid units) of a mask that is not empty."""
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    line = (np.arange(mask.shape[0]) + 0.5) * (2.0 / mask.shape[0]) - 1.0
    return float(rows @ line / rows.sum()), float(columns @ line / columns.sum())


def extent(mask: npt.NDArray[np.bool_]) -> float:
    """Diameter, as a fraction of the image side, of the circle with the mask's area."""
    return float(2.0 * np.sqrt(np.count_nonzero(mask) / np.pi) / mask.shape[0])


def blend(image: Field, value: Field | float, opacity: Field) -> Field:
    """``image`` with ``value`` laid over it at ``opacity`` (0..1)."""
    return image + opacity * (np.float32(value) - image) if np.isscalar(value) else image + opacity * (value - image)


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The one-pixel inner edge of a mask."""
    return mask & ~ndimage.binary_erosion(mask)


def limit_noise(image: Field, noise: Field, strength: float) -> Field:
    """``image`` (0..1) with additive ``noise`` (unit deviation) of deviation ``strength``, clipped to 0..1."""
    return np.clip(image + np.float32(strength) * noise, 0.0, 1.0)


def tone_curve(rng: np.random.Generator, image: Field, gamma: tuple[float, float] = (0.8, 1.25)) -> Field:
    """``image`` (0..1) through a random gamma within ``gamma``: the varied contrast of scanners and displays."""
    exponent = np.exp(rng.uniform(np.log(gamma[0]), np.log(gamma[1])))
    return np.clip(image, 0.0, 1.0) ** np.float32(exponent)
