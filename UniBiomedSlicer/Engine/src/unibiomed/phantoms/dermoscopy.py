# SPDX-License-Identifier: Apache-2.0
"""Dermoscopy: skin with a nevus (regular, one brown) or a melanoma (asymmetric, many colours); hairs, bubbles."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import bezier, coloured, ellipse_outlines, polygons, strokes, tint
from unibiomed.phantoms.shapes import (
    Field,
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

SPECS = make_specs("skin", "dermoscopy", ["lesion"], ["melanoma"])
HEALTHY = "no melanoma is seen."
LARGE = 0.31


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has a melanoma (then ``lesion``, which stands for a benign nevus, is not asked for);
    else a nevus or clear skin."""
    image = _skin(rng, size)
    specs, masks, sentences = SPECS, {}, {}
    if abnormal:
        specs = SPECS[1:]
        centre, radius, word = _place(rng)
        image, masks["melanoma"] = _melanoma(rng, image, centre, radius)
        scale = size_word(extent(masks["melanoma"]), LARGE)
        sentences["melanoma"] = f"a {scale} asymmetric spot with several colors is seen {word} of the image."
    elif rng.random() < 0.65:
        centre, radius, _ = _place(rng)
        image, masks["lesion"] = _nevus(rng, image, centre, radius)
    return make_phantom(_contact(rng, image), masks, specs, sentences, HEALTHY)


def _place(rng: np.random.Generator) -> tuple[tuple[float, float], float, str]:
    radius = rng.uniform(0.19, 0.26) if rng.random() < 0.5 else rng.uniform(0.36, 0.5)
    word, x = (("in the center", 0.0), ("on the left", -1.0), ("on the right", 1.0))[int(rng.integers(3))]
    return (rng.uniform(-0.25, 0.25), x * rng.uniform(0.3, 0.45) + rng.uniform(-0.08, 0.08)), radius, word


def _skin(rng: np.random.Generator, size: int) -> Field:
    tone = rng.random()
    base = np.array([0.93, 0.76, 0.68]) * (1 - tone) + np.array([0.8, 0.57, 0.45]) * tone
    base = base * rng.uniform(0.92, 1.05) + rng.normal(0, 0.015, 3)
    mottle = fractal_noise(rng, size, size / 4, 5, 0.6)
    pores = smooth_noise(rng, size, max(1.5, size / 80))
    light = 1.0 + 0.025 * mottle + 0.02 * pores
    return coloured(light, base) - coloured(0.025 * smooth_noise(rng, size, size / 5), (0.2, 1.0, 0.9))


def _network(rng: np.random.Generator, size: int) -> Field:
    """The pigment network: a bent honeycomb, about -1 in the holes to 1 on the lines."""
    y, x = grid(size)
    frequency = rng.uniform(34.0, 48.0)
    shift = [0.035 * smooth_noise(rng, size, size / 10) for _ in range(2)]
    turn = rng.uniform(0, np.pi)
    x, y = frequency * (x + shift[0]), frequency * (y + shift[1])
    waves = [
        np.cos(float(np.cos(turn + k)) * x + float(np.sin(turn + k)) * y) for k in (0.0, 2 * np.pi / 3, 4 * np.pi / 3)
    ]
    return np.clip(-sum(waves) / 1.5, -1.5, 1.0)


def _nevus(rng: np.random.Generator, image: Field, centre: tuple[float, float], radius: float) -> tuple[Field, Mask]:
    size = image.shape[0]
    y, x = grid(size)
    stretch = np.sqrt(rng.uniform(1.0, 1.4))
    field = blob(rng, y, x, centre, (radius * stretch, radius / stretch), rng.uniform(0, 3), 0.02, 4)
    brown = np.array([0.52, 0.32, 0.2]) * rng.uniform(0.7, 1.25)
    brown = brown * (1.0, rng.uniform(0.92, 1.08), rng.uniform(0.9, 1.1))
    middle = np.clip(1.0 - field, 0.0, 1.0)
    shade = 1.0 - rng.uniform(0.0, 0.35) * middle + 0.03 * smooth_noise(rng, size, size / 18)
    if rng.random() < 0.6:
        shade = shade - rng.uniform(0.06, 0.14) * _network(rng, size) * (0.4 + np.clip(field, 0.0, 1.0))
    else:
        shade = shade - 0.1 * np.clip(smooth_noise(rng, size, size / 34) - 0.3, 0.0, 1.5)
    opacity = coverage(field, rng.uniform(0.12, 0.25)) * rng.uniform(0.78, 0.92)
    return tint(image, coloured(shade, brown), opacity), field < 1.0


def _melanoma(rng: np.random.Generator, image: Field, centre: tuple[float, float], radius: float) -> tuple[Field, Mask]:
    size = image.shape[0]
    y, x = grid(size)
    stretch = np.sqrt(rng.uniform(1.1, 1.7))
    field = blob(rng, y, x, centre, (radius * stretch, radius / stretch), rng.uniform(0, 3), 0.1, 8)
    field = field * (1.0 + 0.055 * smooth_noise(rng, size, size / 24))
    colour = np.array([0.42, 0.25, 0.17]) * rng.uniform(0.75, 1.15)
    shades = (
        ((0.62, 0.36, 0.3), 0.5, 0.3),  # red
        ((0.38, 0.4, 0.47), 0.75, 0.3),  # blue-white veil
        ((0.11, 0.07, 0.07), 1.0, 0.15),  # black blotches
        ((0.8, 0.68, 0.62), 0.4, 1.0),  # white, regression
    )
    inside = coloured(1.0 + 0.1 * smooth_noise(rng, size, size / 30), colour)
    for value, share, threshold in shades:
        patch = smooth_noise(rng, size, size * radius / 4.5) + 0.3 * smooth_noise(rng, size, size / 30)
        patch = np.clip((patch - threshold) * 1.3, 0.0, 1.0)
        inside = tint(inside, np.array(value) * rng.uniform(0.9, 1.1), patch * (0.6 + 0.4 * share))
    texture = 1.0 + 0.06 * smooth_noise(rng, size, size / 50) - rng.uniform(0.03, 0.12) * _network(rng, size)
    opacity = coverage(field, rng.uniform(0.08, 0.18)) * rng.uniform(0.88, 0.97)
    return tint(image, inside * texture[..., None], opacity), field < 1.0


def _contact(rng: np.random.Generator, image: Field) -> Field:
    """What lies between skin and lens: hairs, bubbles, a ruler; then vignette and noise."""
    size = image.shape[0]
    y, x = grid(size)
    if rng.random() < 0.55:
        hairs = []
        for _ in range(int(rng.integers(2, 14))):
            start, heading, reach = rng.uniform(-1, 1, 2), rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.6)
            along = np.array([np.sin(heading), np.cos(heading)]) * reach
            bow = np.array([along[1], -along[0]]) * rng.normal(0, 0.15)
            hairs.append((bezier([start, start + along / 2 + bow, start + along], 14), rng.uniform(0.009, 0.018)))
        image = tint(image, np.array([0.17, 0.11, 0.09]) * rng.uniform(0.7, 1.8), strokes(size, hairs) * 0.8)
    if rng.random() < 0.35:
        count = int(rng.integers(2, 9))
        places, radii = rng.uniform(-1, 1, (count, 2)), np.repeat(rng.uniform(0.015, 0.06, (count, 1)), 2, axis=1)
        still = np.zeros(count)
        ring = polygons(size, ellipse_outlines(places, radii, still, np.ones((count, 20))))
        hole = polygons(size, ellipse_outlines(places, radii * 0.78, still, np.ones((count, 20))))
        glint = polygons(size, ellipse_outlines(places - radii * 0.35, radii * 0.22, still))
        image = tint(image, (0.98, 0.93, 0.9), np.clip(ring - hole, 0.0, 1.0) * 0.35 + glint * 0.6)
    if rng.random() < 0.2:
        marks = [
            (np.array([[0.97, place], [0.9 - 0.05 * (k % 5 == 0), place]]), 0.01)
            for k, place in enumerate(np.arange(-0.95, 0.96, rng.uniform(0.07, 0.11)))
        ]
        image = tint(image, (0.12, 0.11, 0.12), strokes(size, marks) * 0.85)
    distance = np.hypot(y, x)
    light = 1.0 - rng.uniform(0.05, 0.3) * distance**2.5 + rng.normal(0, 0.03) * x + rng.normal(0, 0.03) * y
    image = image * light[..., None] * (1.0 + rng.normal(0, 0.02, 3)).astype(np.float32)
    image = image + rng.uniform(0.006, 0.018) * white_noise(rng, size)[..., None]
    if rng.random() < 0.25:
        radius = rng.uniform(1.05, 1.25)
        image = image * coverage(superellipse(y, x, (0.0, 0.0), (radius, radius)), 0.04)[..., None]
    return image


GENERATORS = (Generator("skin dermoscopy", "dermoscopy", SPECS, draw),)
