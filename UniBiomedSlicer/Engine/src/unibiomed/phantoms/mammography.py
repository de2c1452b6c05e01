# SPDX-License-Identifier: Apache-2.0
"""Mammogram, MLO or CC view of one breast: fat and glandular tissue, nipple, pectoral muscle; mass or calcifications.

A left breast has its chest wall on the left edge of the picture; a right breast is its mirror image.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import Points, bezier, ellipse_outlines, polygons, strokes, window
from unibiomed.phantoms.shapes import (
    Field,
    blend,
    blob,
    coverage,
    extent,
    fractal_noise,
    grid,
    smooth_noise,
    superellipse,
    white_noise,
)
from unibiomed.phantoms.wording import size_word

SPECS = make_specs("breast", "mammography", ["breast", "pectoral muscle"], ["tumor", "calcification"])
HEALTHY = "no mass and no calcification is seen."
LARGE = 0.125
LOOKS = {"tumor": "dense spiculated mass", "calcification": "cluster of bright calcifications"}
# Strokes of the letters of the film marker, (y, x) in a unit box.
LETTERS = {
    "L": [[(0, 0), (1, 0), (1, 0.7)]],
    "R": [[(1, 0), (0, 0), (0, 0.6), (0.45, 0.6), (0.45, 0), (1, 0.7)]],
    "M": [[(1, 0), (0, 0), (0.6, 0.4), (0, 0.8), (1, 0.8)]],
    "O": [[(0, 0), (1, 0), (1, 0.7), (0, 0.7), (0, 0)]],
    "C": [[(0.1, 0.7), (0, 0), (1, 0), (0.9, 0.7)]],
}


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has a mass, or a cluster of calcifications, or (seldom) both."""
    left = rng.random() < 0.5
    oblique = rng.random() < 0.7
    nipple = rng.uniform(0.0, 0.22) if oblique else rng.uniform(-0.12, 0.12)
    edge = _skin_line(rng, size, nipple, oblique)
    y, x = grid(size)
    breast = x < edge
    muscle_edge = np.full((size, 1), -2.0, np.float32)
    if oblique:
        wide, tall = rng.uniform(0.5, 0.8), rng.uniform(0.95, 1.4)
        share = np.clip(1.0 - (y[:, :1] + 1.0) / tall, -1.0, 1.0)
        muscle_edge = (-1.0 + wide * np.sign(share) * np.abs(share) ** rng.uniform(0.75, 1.05)).astype(np.float32)
        muscle_edge = np.minimum(muscle_edge, edge - 0.12)
    muscle = (x < muscle_edge) & breast
    level = _tissue(rng, (edge, muscle_edge), nipple)
    masks: dict[str, Mask] = {"breast": breast & ~muscle, "pectoral muscle": muscle}
    found: dict[str, str] = {}
    if abnormal:
        both = rng.random() < 0.2
        first_up = rng.random() < 0.5
        names = ["tumor", "calcification"] if rng.random() < 0.5 else ["calcification", "tumor"]
        for name, up in zip(names[: 2 if both else 1], (first_up, not first_up), strict=False):
            centre, radius = _site(rng, (edge, muscle_edge), nipple, up)
            add = _mass if name == "tumor" else _calcifications
            level, mask = add(rng, level, centre, radius)
            masks[name] = mask & breast
            word = size_word(extent(masks[name]), LARGE)
            found[name] = f"a {word} {LOOKS[name]} is seen in the {'upper' if up else 'lower'} part of the"
    level = level + rng.uniform(0.008, 0.02) * white_noise(rng, size) * (0.4 + level)
    if not left:
        level, masks = level[:, ::-1], {name: mask[:, ::-1].copy() for name, mask in masks.items()}
    level = _marker(rng, level, left, oblique)
    sentences = {name: f"{text} {'left' if left else 'right'} breast." for name, text in found.items()}
    return make_phantom(np.clip(level, 0.0, 1.0), masks, SPECS, sentences, HEALTHY)


def _skin_line(rng: np.random.Generator, size: int, nipple: float, oblique: bool) -> Field:
    """x of the skin for every row, (H, 1); below -1 where there is no breast."""
    y = grid(size)[0][:, :1]
    reach, low = rng.uniform(1.0, 1.6), rng.uniform(0.6, 0.8)
    down = 1.0 - np.clip((y - nipple) / low, 0.0, 2.0) ** 2
    lower = np.sign(down) * np.abs(down) ** 0.55
    if oblique:
        top = rng.uniform(0.62, 0.8)  # the axilla's share of the reach at the upper edge
        rise = np.clip((nipple - y) / (nipple + 1.0), 0.0, 1.0)
        upper = 1.0 - (1.0 - top) * np.sin(rise * np.pi / 2) ** 2.2
    else:
        up = 1.0 - np.clip((nipple - y) / rng.uniform(0.6, 0.8), 0.0, 2.0) ** 2
        upper = np.sign(up) * np.abs(up) ** 0.55
    return (-1.0 + reach * np.where(y > nipple, lower, upper)).astype(np.float32)


def _tissue(rng: np.random.Generator, edges: tuple[Field, Field], nipple: float) -> Field:
    edge, muscle_edge = edges
    size = edge.shape[0]
    y, x = grid(size)
    reach = float(edge.max()) + 1.0
    depth = np.clip(edge - x, 0.0, None)
    # the compressed breast thins towards the skin
    thick = 1.0 - np.exp(-depth / np.float32(rng.uniform(0.06, 0.11)))
    gland = superellipse(y, x, (nipple - 0.08, -1.0 + reach * 0.5), (rng.uniform(0.4, 0.6), reach * 0.48))
    cloud = fractal_noise(rng, size, size / 5, 5, 0.62)
    density = np.clip(1.15 - gland + 0.3 * cloud, 0.0, 1.0) * rng.uniform(0.18, 0.42)
    ridges = np.clip(1.0 - np.abs(fractal_noise(rng, size, size / 7, 3, 0.6)) * 2.4, 0.0, 1.0)
    level = rng.uniform(0.17, 0.25) + density + 0.07 * ridges * np.clip(1.6 - gland, 0.0, 1.0) + 0.02 * cloud
    skin = np.clip(1.0 - np.abs(depth - 0.018) / 0.022, 0.0, 1.0)
    level = level * thick + 0.14 * skin
    inward = np.clip(muscle_edge - x, 0.0, 0.5)
    strands = 0.03 * smooth_noise(rng, size, size / 8) + 0.02 * smooth_noise(rng, size, size / 24)
    muscle = rng.uniform(0.46, 0.58) + 0.3 * inward + strands
    level = blend(level, np.maximum(muscle, level + 0.1), np.clip((muscle_edge - x) / 0.05 + 0.5, 0.0, 1.0))
    bump = superellipse(y, x, (nipple, -1.0 + reach - 0.01), (0.06, 0.035))
    level = np.where(x < edge, level, 0.0)
    level = np.maximum(level, coverage(bump, 0.7) * 0.33)
    return np.maximum(level, 0.012).astype(np.float32)


def _site(
    rng: np.random.Generator, edges: tuple[Field, Field], nipple: float, up: bool
) -> tuple[tuple[float, float], float]:
    """Centre and radius of a finding in the upper or lower part, clear of skin, muscle and the level of the nipple."""
    edge, muscle_edge = edges
    size = edge.shape[0]
    large = rng.random() < 0.5
    for attempt in range(60):
        radius = rng.uniform(0.15, 0.21) if large and attempt < 30 else rng.uniform(0.08, 0.105)
        y = nipple + (-1 if up else 1) * rng.uniform(0.12 + radius * 0.5, 0.55)
        rows = np.clip((np.array([y - radius - 0.06, y, y + radius + 0.06]) + 1) * size / 2, 0, size - 1).astype(int)
        low = max(float(muscle_edge[rows].max()), -1.0) + radius * 0.8 + 0.06
        high = float(edge[rows].min()) - radius * 0.8 - 0.08
        if high > low:
            return (y, rng.uniform(low, high)), radius
    return (nipple + (-0.2 if up else 0.2), float(edge[size // 2, 0]) - 0.4), 0.09


def _mass(rng: np.random.Generator, level: Field, centre: tuple[float, float], radius: float) -> tuple[Field, Mask]:
    size = level.shape[0]
    y, x = grid(size)
    field = blob(rng, y, x, centre, (radius, radius * rng.uniform(0.8, 1.2)), rng.uniform(0, 3), 0.09, 8)
    lines = []
    for turn in np.arange(0, 2 * np.pi, 0.33) + rng.normal(0, 0.12, 20):
        out = np.array([np.sin(turn), np.cos(turn)])
        bow = np.array([out[1], -out[0]]) * rng.normal(0, 0.15) * radius
        start, end = np.array(centre), np.array(centre) + out * radius * rng.uniform(1.35, 2.0)
        lines.append((bezier([start, (start + end) / 2 + bow, end], 8), rng.uniform(0.008, 0.014)))
    spicules = strokes(size, lines) * np.clip(2.0 - field, 0.0, 1.0)
    clouds = 0.035 * smooth_noise(rng, size, size / 20)
    brightness = np.maximum(level + rng.uniform(0.2, 0.26), rng.uniform(0.58, 0.74)) + clouds
    level = level + 0.12 * spicules + 0.06 * np.clip(1.6 - field, 0.0, 0.6)
    return blend(level, brightness, coverage(field, 0.45)), field < 1.0


def _calcifications(
    rng: np.random.Generator, level: Field, centre: tuple[float, float], radius: float
) -> tuple[Field, Mask]:
    """Dots in a disc; the truth is their convex hull with a small margin."""
    size = level.shape[0]
    count = int(rng.integers(12, 18) + 130 * radius)
    away, turn = radius * np.sqrt(rng.uniform(0.0, 1.0, count)), rng.uniform(0, 2 * np.pi, count)
    places = np.array(centre) + np.stack([np.sin(turn), np.cos(turn)], axis=1) * away[:, None]
    dots = rng.uniform(0.008, 0.018, (count, 1)) * rng.uniform(0.7, 1.3, (count, 2))
    grains = ellipse_outlines(places, dots, rng.uniform(0, np.pi, count), rng.uniform(0.6, 1.3, (count, 8)))
    ink = polygons(size, grains, rng.uniform(0.6, 1.0, count))
    corners: Points = places[ConvexHull(places).vertices]
    middle = corners.mean(axis=0)
    out = corners - middle
    corners = corners + 0.025 * out / np.maximum(np.hypot(out[:, :1], out[:, 1:]), 1e-6)
    mask = polygons(size, [corners]) > 0.5
    patch = window(size, centre, radius * 1.5)
    level = level.copy()
    level[patch] = blend(level[patch], float(rng.uniform(0.92, 1.0)), ink[patch])
    return level, mask


def _marker(rng: np.random.Generator, level: Field, left: bool, oblique: bool) -> Field:
    """The film marker (side and view) at the upper outer corner, in most images."""
    if rng.random() < 0.3:
        return level
    text = ("L" if left else "R") + ("MLO" if oblique else "CC")
    height = rng.uniform(0.07, 0.1)
    origin = (rng.uniform(-0.93, -0.88), 0.93 - len(text) * height if left else -0.93)
    lines = [
        (np.array(line) * height + (origin[0], origin[1] + k * height), 0.012)
        for k, letter in enumerate(text)
        for line in LETTERS[letter]
    ]
    return np.maximum(level, strokes(level.shape[0], lines) * rng.uniform(0.6, 0.95))


GENERATORS = (Generator("breast mammography", "mammography", SPECS, draw),)
