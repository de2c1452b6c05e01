# SPDX-License-Identifier: Apache-2.0
"""Colour fundus photograph of one eye: disc with cup, vessel arcades, macula; haemorrhages and exudates."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import Points, bezier, coloured, strokes, tint, window
from unibiomed.phantoms.shapes import (
    Field,
    blob,
    centroid,
    coverage,
    extent,
    fractal_noise,
    grid,
    smooth_noise,
    superellipse,
    white_noise,
)
from unibiomed.phantoms.wording import quadrant, size_word

SPECS = make_specs("retinal", "fundus", ["optic disc", "optic cup"], ["hemorrhage", "exudate"])
HEALTHY = "no hemorrhage or exudate is seen."
LARGE = 0.125
LOOKS = {"hemorrhage": "dark red hemorrhage", "exudate": "bright yellow exudate"}


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has a haemorrhage, an exudate or both, in different quadrants."""
    y, x = grid(size)
    nasal = 1.0 if rng.random() < 0.5 else -1.0  # a right eye has its disc on the right
    disc_centre = (rng.uniform(-0.1, 0.1), nasal * rng.uniform(0.38, 0.58))
    disc_radius = rng.uniform(0.135, 0.185)
    fovea = (disc_centre[0] + rng.uniform(0.02, 0.1), disc_centre[1] - nasal * rng.uniform(0.5, 0.58))
    image = _background(rng, size, fovea)

    disc_radii = (disc_radius * rng.uniform(1.0, 1.1), disc_radius * rng.uniform(0.9, 1.0))
    disc = superellipse(y, x, disc_centre, disc_radii)
    ratio = rng.uniform(0.45, 0.68)
    cup_centre = (disc_centre[0] + rng.normal(0, 0.006), disc_centre[1] - nasal * disc_radius * rng.uniform(0.0, 0.15))
    cup = superellipse(y, x, cup_centre, (disc_radii[0] * ratio, disc_radii[1] * ratio))
    soft = 5.0 / (disc_radius * size)
    halo = np.clip(1.7 - disc, 0.0, 0.7) * rng.uniform(0.1, 0.3)
    image = tint(image, (0.95, 0.62, 0.32), halo)
    rim = np.array([0.95, 0.66, 0.36]) + rng.normal(0, 0.025, 3)
    image = tint(image, rim, coverage(disc, soft) * 0.93)
    image = tint(image, rim + np.array([0.05, 0.2, 0.28]), coverage(cup, soft * 1.6) * rng.uniform(0.8, 1.0))
    veins, arteries = _vessels(rng, size, disc_centre, fovea, nasal)
    vein_colour = np.array([0.5, 0.12, 0.08]) * rng.uniform(0.85, 1.15)
    image = tint(image, vein_colour, veins * rng.uniform(0.55, 0.8))
    image = tint(image, vein_colour * (1.35, 1.5, 1.4), arteries * rng.uniform(0.5, 0.75))

    masks: dict[str, Mask] = {"optic disc": disc < 1.0, "optic cup": (cup < 1.0) & (disc < 1.0)}
    sentences = {}
    if abnormal:
        both = rng.random() < 0.25
        names = ["hemorrhage", "exudate"] if both or rng.random() < 0.5 else ["exudate", "hemorrhage"]
        taken = [(disc_centre, disc_radius * 1.25)]
        for name in names[: 2 if both else 1]:
            image, mask, place = _lesion(rng, image, name, taken)
            taken.append(place)
            masks[name] = mask
            where = quadrant(*centroid(mask))
            sentences[name] = f"a {size_word(extent(mask), LARGE)} {LOOKS[name]} is seen in the {where} quadrant."
    return make_phantom(_camera(rng, image), masks, SPECS, sentences, HEALTHY)


def _background(rng: np.random.Generator, size: int, fovea: tuple[float, float]) -> Field:
    y, x = grid(size)
    base = np.array([0.8, 0.36, 0.17]) * (1.0, rng.uniform(0.8, 1.15), rng.uniform(0.75, 1.25)) * rng.uniform(0.82, 1.1)
    texture = 1.0 + 0.05 * fractal_noise(rng, size, size / 3, 5)
    macula = np.exp(-((y - fovea[0]) ** 2 + (x - fovea[1]) ** 2) / rng.uniform(0.02, 0.045))
    dark = 1.0 - coloured(macula, np.array([0.7, 1.2, 1.2]) * rng.uniform(0.25, 0.42))
    return coloured(texture, base) * dark


def _vessels(
    rng: np.random.Generator, size: int, disc: tuple[float, float], fovea: tuple[float, float], nasal: float
) -> tuple[Field, Field]:
    """Opacity of veins and of arteries: two temporal arcades and two nasal trunks each, with branches."""
    drawn = []
    for width in (rng.uniform(0.03, 0.038), rng.uniform(0.02, 0.026)):
        lines: list[tuple[Points, float]] = []
        for up in (-1.0, 1.0):
            bend = rng.uniform(0.5, 0.72)
            far = (fovea[0] + up * rng.uniform(0.15, 0.5), -nasal * rng.uniform(0.85, 1.05))
            arcade = bezier(
                [
                    (disc[0] + up * rng.uniform(0.0, 0.04), disc[1] + rng.normal(0, 0.02)),
                    (disc[0] + up * bend * 0.9, disc[1] + nasal * 0.02),
                    (fovea[0] + up * (bend + 0.12), fovea[1] + nasal * 0.2),
                    far,
                ],
                30,
            )
            end = (disc[0] + up * rng.uniform(0.45, 0.85), nasal * rng.uniform(0.85, 1.1))
            trunk = bezier([disc, (disc[0] + up * 0.3, disc[1] + nasal * 0.05), end], 18)
            for path, share, twigs in ((arcade, 1.0, 6), (trunk, 0.72, 3)):
                wander = np.cumsum(rng.normal(0, 0.007, path.shape), axis=0)
                path = path + wander - np.linspace(0, 1, len(path))[:, None] * wander[-1] * 0.6
                lines += _tapered(path, width * share)
                for _ in range(twigs):
                    lines += _twig(rng, path, width * share)
        drawn.append(strokes(size, lines))
    return drawn[0], drawn[1]


def _tapered(path: Points, width: float) -> list[tuple[Points, float]]:
    cuts = np.linspace(0, len(path) - 1, 6).astype(int)
    shares = np.linspace(1.0, 0.4, 5)
    return [(path[a : b + 1], width * s) for a, b, s in zip(cuts[:-1], cuts[1:], shares, strict=True)]


def _twig(rng: np.random.Generator, path: Points, width: float) -> list[tuple[Points, float]]:
    k = int(rng.integers(3, len(path) - 4))
    ahead = path[k + 3] - path[k]
    ahead = ahead / max(np.hypot(*ahead), 1e-6)
    turn = (1 if rng.random() < 0.5 else -1) * rng.uniform(0.5, 1.1)
    cos, sin = np.cos(turn), np.sin(turn)
    aside = np.array([cos * ahead[0] + sin * ahead[1], -sin * ahead[0] + cos * ahead[1]])
    reach = rng.uniform(0.25, 0.55)
    curve = bezier([path[k], path[k] + aside * reach * 0.5, path[k] + (aside + ahead * 0.6) * reach], 10)
    return [(curve[:6], width * 0.5), (curve[5:], width * 0.32)]


def _lesion(
    rng: np.random.Generator, image: Field, name: str, taken: list[tuple[tuple[float, float], float]]
) -> tuple[Field, Mask, tuple[tuple[float, float], float]]:
    size = image.shape[0]
    radius = rng.uniform(0.085, 0.112) if rng.random() < 0.5 else rng.uniform(0.18, 0.25)
    centre = (0.5, 0.5)
    for _ in range(40):
        centre = tuple(rng.choice((-1.0, 1.0)) * rng.uniform(radius * 0.6 + 0.1, 0.6) for _ in range(2))
        apart = all(np.hypot(centre[0] - p[0], centre[1] - p[1]) > r + radius * 1.15 + 0.03 for p, r in taken)
        if apart and np.hypot(*centre) < 0.8 - radius:
            break
    patch = window(size, centre, radius * 2.2)
    y, x = (axis[patch] for axis in grid(size))
    ragged = smooth_noise(rng, size, max(2.0, radius * size / 7))[: y.shape[0], : y.shape[1]]
    if name == "hemorrhage":
        # flame-shaped: drawn out along one direction, with feathered ends
        field = blob(rng, y, x, centre, (radius, radius * rng.uniform(0.75, 1.15)), rng.uniform(0, 3), 0.08, 5)
        field = field + np.float32(0.1) * ragged
        colour, strength = np.array([0.36, 0.05, 0.04]) * rng.uniform(0.8, 1.2), rng.uniform(0.8, 0.95)
    else:
        field = np.full(y.shape, 9.0, np.float32)
        for _ in range(int(rng.integers(8, 12))):
            away, turn = radius * rng.uniform(0.05, 0.8), rng.uniform(0, 2 * np.pi)
            part = radius * rng.uniform(0.3, 0.46)
            place = (centre[0] + away * np.sin(turn), centre[1] + away * np.cos(turn))
            field = np.minimum(field, blob(rng, y, x, place, (part, part), 0.0, 0.08, 4))
        field = field + np.float32(0.07) * ragged
        colour, strength = np.array([0.98, 0.86, 0.48]) * rng.uniform(0.92, 1.03), rng.uniform(0.8, 0.95)
    # the area that its radius promises, however the pieces fell, so that small and large stay apart
    area = int(0.75 * np.pi * (radius * size / 2) ** 2)
    field = field / np.partition(field, area, axis=None)[area]
    opacity = coverage(field, 8.0 / (radius * size)) * strength
    image = image.copy()
    image[patch] = tint(image[patch], colour * (1.0 + 0.07 * ragged[..., None]), opacity)
    mask = np.zeros((size, size), bool)
    mask[patch] = field < 1.0
    return image, mask, (centre, radius * 1.15)


def _camera(rng: np.random.Generator, image: Field) -> Field:
    """Round aperture, uneven light, noise."""
    size = image.shape[0]
    y, x = grid(size)
    centre, radius = (rng.normal(0, 0.01), rng.normal(0, 0.01)), rng.uniform(0.95, 1.02)
    distance = np.hypot(y - centre[0], x - centre[1])
    light = 1.05 - rng.uniform(0.1, 0.35) * distance**3 + rng.normal(0, 0.06) * x + rng.normal(0, 0.06) * y
    light = light + 0.025 * smooth_noise(rng, size, size / 2) + rng.uniform(0.01, 0.025) * white_noise(rng, size)
    open_ = coverage(distance / np.float32(radius), 4.0 / size)
    cut = rng.uniform(0.8, 1.1)
    open_ = open_ * (np.abs(y - centre[0]) < cut)
    return image * (light * open_)[..., None]


GENERATORS = (Generator("retinal fundus", "fundus", SPECS, draw),)
