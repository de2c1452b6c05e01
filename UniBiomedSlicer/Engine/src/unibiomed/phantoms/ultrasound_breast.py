# SPDX-License-Identifier: Apache-2.0
"""B-mode ultrasound of the breast: skin, fat, gland, pectoral muscle, chest wall; masses with their artefacts."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.base import Generator, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import ellipse_outlines, polygons
from unibiomed.phantoms.shapes import Field, blend, blob, coverage, extent, grid, smooth_noise
from unibiomed.phantoms.speckle import banded_noise, log_speckle
from unibiomed.phantoms.wording import size_word

SPECS = make_specs("breast", "ultrasound", ["pectoral muscle"], ["benign tumor", "malignant tumor"])
HEALTHY = "no mass is seen in the breast."
LARGE = 0.135  # diameter over image side; sizes are drawn away from it
LOOKS = {
    "benign tumor": "smooth oval mass with posterior enhancement",
    "malignant tumor": "irregular mass with posterior shadow",
}


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has one mass in the gland."""
    y, x = grid(size)
    gland_top = _boundary(rng, x, rng.uniform(-0.72, -0.45), 0.05)
    muscle_depth = rng.uniform(0.38, 0.56)
    muscle_top = _boundary(rng, x, muscle_depth, 0.035)
    muscle_bottom = muscle_top + np.float32(rng.uniform(0.2, 0.3)) + _boundary(rng, x, 0.0, 0.02)
    level = _tissue(rng, y, x, (gland_top, muscle_top, muscle_bottom))
    masks = {"pectoral muscle": (y > muscle_top) & (y < muscle_bottom)}
    sentences = {}
    if abnormal:
        name = "benign tumor" if rng.random() < 0.5 else "malignant tumor"
        level, field, side = _mass(rng, level, name == "benign tumor", muscle_depth - 0.06)
        masks[name] = field < 1.0
        word = size_word(extent(masks[name]), LARGE)
        sentences[name] = f"a {word} {LOOKS[name]} is seen on the {side} side of the image."
    near, deep = log_speckle(rng, (size, size), (1.5, 2.4)), log_speckle(rng, (size, size), (2.0, 4.2))
    depth = (y + 1.0) / 2.0
    speckle = near + depth * (deep - near)
    level = level * (1.08 - np.float32(rng.uniform(0.0, 0.35)) * depth)
    image = level * rng.uniform(0.85, 1.2) + np.float32(rng.uniform(0.07, 0.1)) * (0.3 + level) * speckle
    return make_phantom(np.clip(image, 0.015, 1.0), masks, SPECS, sentences, HEALTHY)


def _boundary(rng: np.random.Generator, x: Field, depth: float, amplitude: float) -> Field:
    """A gently waving interface: its depth for every column, (1, W)."""
    row = x[:1]
    waves = [(amplitude * rng.normal() / k) * np.sin(k * 1.7 * row + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3)]
    return (depth + rng.normal(0, amplitude) * row + sum(waves)).astype(np.float32)


def _step(distance: Field, width: float) -> Field:
    return np.clip(0.5 + distance / np.float32(width), 0.0, 1.0)


def _line(distance: Field, width: float) -> Field:
    return np.clip(1.0 - np.abs(distance) / np.float32(width), 0.0, 1.0)


def _tissue(rng: np.random.Generator, y: Field, x: Field, edges: tuple[Field, Field, Field]) -> Field:
    gland_top, muscle_top, muscle_bottom = edges
    size = y.shape[0]
    septa = banded_noise(rng, (size, size), (8.0, 60.0))
    streaks = np.clip(1.0 - np.abs(septa + 0.25 * smooth_noise(rng, size, size / 16)) * 2.2, 0.0, 1.0)
    fat = rng.uniform(0.2, 0.32) + 0.13 * streaks
    lobes = smooth_noise(rng, size, size / 10)
    fibrous = np.clip(banded_noise(rng, (size, size), (6.0, 26.0)), -1.5, 1.5)
    gland = rng.uniform(0.42, 0.56) + 0.06 * lobes + 0.06 * fibrous + 0.03 * septa
    fibres = banded_noise(rng, (size, size), (3.6, 50.0))
    muscle = rng.uniform(0.17, 0.25) + 0.055 * np.clip(fibres, -1.0, 2.5)
    wall = rng.uniform(0.1, 0.2) * (1.0 + 0.2 * lobes)
    ragged = gland_top + 0.04 * smooth_noise(rng, size, size / 9)
    level = blend(fat, gland, _step(y - ragged, 0.07))
    level = blend(level, muscle, _step(y - muscle_top, 0.03))
    level = blend(level, wall, _step(y - muscle_bottom, 0.03))
    fascia = 0.3 * _line(y - muscle_top, 0.025) + 0.38 * _line(y - muscle_bottom, 0.03)
    level = level + fascia * (0.85 + 0.15 * lobes)
    skin = rng.uniform(-0.93, -0.87)
    level = blend(level, 0.62 + 0.1 * fibres, _step(skin - y, 0.02))
    return level + 0.25 * _line(y - skin, 0.02)


def _mass(rng: np.random.Generator, level: Field, benign: bool, deepest: float) -> tuple[Field, Field, str]:
    """Lay a mass and what lies behind it into ``level``; (level, field of the mass, side word)."""
    size = level.shape[0]
    y, x = grid(size)
    side = "left" if rng.random() < 0.5 else "right"
    half = rng.uniform(0.1, 0.125) if rng.random() < 0.5 else rng.uniform(0.17, 0.25)
    ratio = rng.uniform(1.35, 1.8) if benign else rng.uniform(0.75, 0.95)
    radii = (half / np.sqrt(ratio), half * np.sqrt(ratio))
    cx = (-1 if side == "left" else 1) * rng.uniform(0.12, 0.6)
    cy = rng.uniform(min(-0.45 + radii[0], deepest - radii[0] - 0.05), deepest - radii[0])
    angle = rng.uniform(-0.25, 0.25)
    if benign:
        field = blob(rng, y, x, (cy, cx), radii, angle, wobble=0.025, lobes=4)
    else:
        field = blob(rng, y, x, (cy, cx), radii, angle, wobble=0.11, lobes=9)
        field = field + np.float32(0.09) * smooth_noise(rng, size, half * size / 5)  # a ragged, spiculated edge
    streaky = banded_noise(rng, (size, size), (120.0, 4.0))
    behind = _step(y - cy - 0.4 * radii[0], 0.8 * radii[0]) * _step(
        (0.8 + 0.05 * streaky) * radii[1] - np.abs(x - cx), (0.5 + 0.3 * (y - cy)) * radii[1]
    )
    behind = behind * (0.9 + 0.1 * streaky)
    if benign:
        level = level * (1.0 + np.float32(rng.uniform(0.45, 0.7)) * behind)
        level = level + 0.16 * _line(field - 1.03, 0.15)
        inside = rng.uniform(0.1, 0.24) + 0.02 * smooth_noise(rng, size, size / 20)
        soft = 6.0 / (half * size)
    else:
        level = level * (1.0 - np.float32(rng.uniform(0.5, 0.66)) * behind)
        level = level + 0.12 * np.clip(1.0 - np.abs(field - 1.25) / 0.35, 0.0, 1.0)
        inside = rng.uniform(0.07, 0.15) + 0.035 * smooth_noise(rng, size, size / 24)
        soft = 14.0 / (half * size)
    level = blend(level, inside, coverage(field, soft))
    if not benign:
        count = int(rng.integers(0, 7))
        places = np.array([cy, cx]) + rng.uniform(-0.5, 0.5, (count, 2)) * np.array(radii)
        dots = polygons(size, ellipse_outlines(places, np.full((count, 2), 0.012), np.zeros(count)))
        level = blend(level, 0.75, dots * 0.8)
    return level, field, side


GENERATOR = Generator("breast ultrasound", "ultrasound", SPECS, draw)
