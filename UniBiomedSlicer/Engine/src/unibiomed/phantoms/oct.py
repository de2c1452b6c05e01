# SPDX-License-Identifier: Apache-2.0
"""OCT B-scan through the macula: layered retina with its foveal pit over the choroid; cysts, or fluid underneath."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.shapes import Field, blend, blob, coverage, extent, grid, smooth_noise
from unibiomed.phantoms.speckle import banded_noise, log_speckle
from unibiomed.phantoms.wording import size_word

SPECS = make_specs("retinal", "OCT", ["retina", "choroid"], ["edema"])
HEALTHY = "no fluid is seen in or under the retina."
LARGE = 0.155

# Share of a part's thickness from its top, and brightness there. Inner part: nerve fibres, ganglion cells, inner
# plexiform and inner nuclear layer, which all but end at the fovea; outer part: from there to Bruch's membrane.
INNER = (
    (0.0, 0.04, 0.2, 0.27, 0.52, 0.6, 0.72, 0.76, 0.92, 1.0),
    (0.75, 0.85, 0.72, 0.5, 0.47, 0.62, 0.58, 0.3, 0.28, 0.6),
)
OUTER = (
    (0.0, 0.08, 0.14, 0.5, 0.55, 0.6, 0.66, 0.76, 0.8, 0.96, 1.0),
    (0.6, 0.58, 0.24, 0.2, 0.42, 0.28, 0.85, 0.5, 0.95, 0.9, 0.6),
)
PIGMENT = 0.055  # thickness of the bright pigment epithelium on Bruch's membrane
SAMPLES = 256


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has dark cysts in the retina, or a dome of fluid under it."""
    y, x = grid(size)
    row = x[:1]
    fovea = rng.uniform(-0.25, 0.25)
    floor = (
        rng.uniform(0.12, 0.38) + rng.uniform(-0.15, 0.15) * row + rng.uniform(-0.12, 0.14) * (row - fovea) ** 2
    ) + 0.012 * np.sin(rng.uniform(3, 7) * row + rng.uniform(0, 6))
    pit = np.exp(-(((row - fovea) / rng.uniform(0.15, 0.22)) ** 2))
    inner = rng.uniform(0.3, 0.38) * (1.0 - rng.uniform(0.72, 0.9) * pit) * (1.0 - 0.1 * np.abs(row - fovea))
    outer = rng.uniform(0.24, 0.3) * (1.0 + 0.18 * pit)
    kind, place, half, word = None, 0.0, 0.0, ""
    if abnormal:
        kind = "cysts" if rng.random() < 0.6 else "dome"
        word = ("left", "central", "right")[int(rng.integers(3))]
        place = {"left": -1, "central": 0, "right": 1}[word] * rng.uniform(0.38, 0.55) + rng.uniform(-0.06, 0.06)
        half = rng.uniform(0.14, 0.18) if rng.random() < 0.5 else rng.uniform(0.34, 0.43)
    swelling = np.exp(-(((row - place) / max(half, 0.01)) ** 2))
    lift = np.zeros_like(row)
    if kind == "cysts":
        inner = inner + (0.12 + 0.45 * half) * swelling
        outer = outer + 0.12 * half * swelling
    elif kind == "dome":
        high = PIGMENT + (rng.uniform(0.15, 0.18) if half < 0.25 else rng.uniform(0.22, 0.3))
        lift = high * np.clip(1.0 - ((row - place) / (1.45 * half)) ** 2, 0.0, 1.0) ** 1.4
    base = floor.astype(np.float32)  # Bruch's membrane; the retina's outer edge
    bottom = (base - lift).astype(np.float32)
    middle = bottom - outer.astype(np.float32)
    top = middle - inner.astype(np.float32)
    depth = np.float32(rng.uniform(0.2, 0.3)) * (1.0 + 0.15 * np.sin(rng.uniform(1, 3) * row + rng.uniform(0, 6)))
    sclera = (base + depth).astype(np.float32)

    level, fluid_level = _tissue(rng, y, (top, middle, bottom, base, sclera))
    masks: dict[str, Mask] = {"retina": (y > top) & (y < base), "choroid": (y > base) & (y < sclera)}
    sentences = {}
    if kind is not None:
        fluid = (y > bottom) & (y < base - PIGMENT)
        if kind == "cysts":
            field = _cysts(rng, size, place, half, (top, bottom))
            level = level + 0.16 * np.clip(1.0 - np.abs(field - 1.15) / 0.15, 0.0, 1.0)
            level = blend(level, fluid_level, coverage(field, 0.25))
            fluid = (field < 1.0) & masks["retina"]
        masks["edema"] = fluid
        look = "dark cysts in" if kind == "cysts" else "dark fluid under"
        sentences["edema"] = f"a {size_word(extent(fluid), LARGE)} area of {look} the {word} retina is seen."
    return make_phantom(_scan(rng, level, base), masks, SPECS, sentences, HEALTHY)


def _profile(points: tuple[tuple[float, ...], tuple[float, ...]]) -> Field:
    share, value = points
    return np.interp(np.linspace(0.0, 1.0, SAMPLES), share, value).astype(np.float32)


def _layers(profile: Field, share: Field) -> Field:
    return profile[np.clip(share * (SAMPLES - 1), 0, SAMPLES - 1).astype(np.int16)]


def _tissue(rng: np.random.Generator, y: Field, edges: tuple[Field, ...]) -> tuple[Field, float]:
    """Brightness of vitreous, layers, fluid, choroid and sclera, and the brightness of fluid."""
    top, middle, bottom, base, sclera = edges
    size = y.shape[0]
    inner, outer = _profile(INNER), _profile(OUTER)
    contrast = rng.uniform(0.85, 1.1)
    level = np.where(
        y < middle,
        _layers(inner, (y - top) / np.maximum(middle - top, 0.02)),
        _layers(outer, (y - middle) / (bottom - middle)),
    )
    level = level * contrast
    vitreous, fluid_level = rng.uniform(0.05, 0.12), rng.uniform(0.05, 0.1)
    level = np.where(y < top, vitreous, level)
    level = np.where(y > bottom, fluid_level, level)
    # the pigment epithelium stays on Bruch's membrane when fluid lifts the retina off it
    level = np.where(y > base - PIGMENT, np.maximum(level, 0.9 * contrast), level)
    below = np.clip((y - base) / (sclera - base), 0.0, 2.0)
    vessels = np.clip(banded_noise(rng, (size, size), (9.0, 15.0)), -1.6, 1.6)
    choroid = 0.52 - 0.14 * below + 0.13 * vessels
    level = np.where(y > base, choroid, level)
    deep = 0.22 * np.exp(-2.2 * (below - 1.0)) + 0.02 * vessels
    return np.where(y > sclera, np.clip(deep, 0.04, 1.0), level).astype(np.float32), fluid_level


def _cysts(rng: np.random.Generator, size: int, place: float, half: float, edges: tuple[Field, Field]) -> Field:
    """Field (below 1 inside any cyst): upright ovals side by side, a big one at the middle."""
    y, x = grid(size)
    top, bottom = edges
    count = 2 if half < 0.22 else int(rng.integers(3, 5))
    offsets = (np.arange(count) - (count - 1) / 2) * (2 * half / count) * 0.95
    field = np.full((size, size), 9.0, np.float32)
    for offset in offsets:
        cx = place + offset + rng.normal(0, 0.01)
        column = int(np.clip((cx + 1) * size / 2, 0, size - 1))
        high, low = float(top[0, column]), float(bottom[0, column])
        radius_x = half / count * rng.uniform(0.82, 0.97)
        radius_y = min(radius_x * rng.uniform(1.1, 1.7), (low - high) * 0.31)
        cy = high + (low - high) * rng.uniform(0.42, 0.52)
        field = np.minimum(field, blob(rng, y, x, (cy, cx), (radius_y, radius_x), rng.uniform(-0.2, 0.2), 0.06, 4))
    return field


def _scan(rng: np.random.Generator, level: Field, base: Field) -> Field:
    """Shadows of vessels, signal loss to the side, speckle and the detector's noise floor."""
    size = level.shape[0]
    y, x = grid(size)
    shade = np.ones((1, size), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        shade -= np.float32(rng.uniform(0.12, 0.25)) * np.exp(
            -(((x[:1] - rng.uniform(-1, 1)) / rng.uniform(0.012, 0.025)) ** 2)
        )
    level = level * np.where(y > base - 0.3, shade, 1.0) * (1.0 + 0.06 * smooth_noise(rng, size, size / 2))
    level = level * (1.0 - rng.uniform(0.0, 0.25) * x * x)
    speckle = log_speckle(rng, (size, size), (1.4, 2.1))
    strength = rng.uniform(0.05, 0.085)
    image = level + strength * (0.35 + level) * np.clip(speckle, -2.5, 2.0)
    gain = rng.uniform(0.85, 1.15)
    return np.clip(image * gain, 0.0, 1.0)


GENERATORS = (Generator("retinal OCT", "OCT", SPECS, draw),)
