# SPDX-License-Identifier: Apache-2.0
"""Apical echocardiogram: a sector with the left ventricle, its muscle and atrium; at times the right heart or fluid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from unibiomed.phantoms.base import Generator, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import strokes
from unibiomed.phantoms.shapes import Field, blend, coverage, grid, rotate, smooth_noise, superellipse, warp
from unibiomed.phantoms.speckle import log_speckle

SPECS = make_specs(
    "heart", "ultrasound", ["left heart ventricle", "myocardium", "left heart atrium"], ["pericardial effusion"]
)
HEALTHY = "no fluid is seen around the heart."


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has fluid (a dark rim) around the muscle."""
    y, x = grid(size)
    apex = (rng.uniform(-1.0, -0.92), rng.uniform(-0.06, 0.06))
    half_angle = rng.uniform(0.68, 0.84)
    reach = rng.uniform(1.78, 1.95)
    radius, theta = np.hypot(y - apex[0], x - apex[1]), np.arctan2(x - apex[1], y - apex[0])
    sector = (np.abs(theta) < half_angle) & (radius < reach) & (radius > 0.08)
    level, masks, sentences = _heart(rng, size, abnormal)
    masks = {name: mask & sector for name, mask in masks.items()}
    polar = log_speckle(rng, (256, 256), (1.7, 3.4))
    where = np.nonzero(sector)
    index = np.stack([radius[where] * (255 / reach), (theta[where] / half_angle * 0.5 + 0.5) * 255])
    speckle = np.zeros((size, size), np.float32)
    speckle[where] = ndimage.map_coordinates(polar, index, order=1, mode="nearest")
    beams = log_speckle(rng, (1, 256), (256.0, 12.0))[0]
    gain = np.zeros((size, size), np.float32)
    gain[where] = 1.0 + 0.06 * beams[index[1].astype(int)] - rng.uniform(0.1, 0.4) * (index[0] / 255) ** 2
    level = level * gain * rng.uniform(0.95, 1.45)
    image = np.where(sector, level + (0.035 + 0.2 * level) * speckle, 0.0)
    image = np.clip(image, 0.0, 1.0) ** rng.uniform(0.9, 1.1)
    return make_phantom(_furniture(rng, image), masks, SPECS, sentences, HEALTHY)


def _heart(rng: np.random.Generator, size: int, abnormal: bool) -> tuple[Field, dict[str, Field], dict[str, str]]:
    y, x = grid(size)
    large = rng.random() < 0.5
    rim = (rng.uniform(0.18, 0.22) if large else rng.uniform(0.1, 0.12)) if abnormal else 0.0
    four_chamber = rng.random() < 0.6
    side = "right" if four_chamber or rng.random() < 0.6 else "left"
    lean = rim * (0.55 if side == "right" else -0.55)
    length, width = rng.uniform(0.4, 0.5), rng.uniform(0.19, 0.27)
    wall = rng.uniform(0.095, 0.14)
    tip = (rng.uniform(-0.62, -0.5) + rim * 0.6, rng.uniform(-0.06, 0.14))
    tilt = rng.uniform(-0.26, 0.2)
    if abnormal:  # the scan is aimed so that the fluid is in the sector
        tip, tilt = (tip[0], 0.4 * tip[1] - 1.4 * lean), 0.5 * tilt
    # warped coordinates: no wall of a heart is as smooth as an ellipse
    y, x = warp(rng, y, x, 0.011, size / 14)
    # (s, t): along the long axis from the tip of the muscle down to the base, and across it
    s, t = rotate(y, x, tilt, tip)
    power = rng.uniform(2.0, 2.4)
    centre = (wall + length, 0.0)
    inner = superellipse(s, t, centre, (length, width), power=power)
    outer = superellipse(s, t, centre, (length + wall, width + wall), power=power)
    base = wall + length * rng.uniform(1.6, 1.72)
    bulge = 0.04 * (1.0 - (t / width) ** 2)
    above = s < base
    ventricle = (inner < 1.0) & (s < base + bulge)
    muscle = (outer < 1.0) & above & ~ventricle
    la = (rng.uniform(0.22, 0.28), width * rng.uniform(0.95, 1.2))
    atrium_field = superellipse(s, t, (base + la[0] * 0.9, 0.0), la, power=2.3)
    atrium = (atrium_field < 1.0) & (s > base + bulge + 0.02)

    tissue, blood = rng.uniform(0.13, 0.24), rng.uniform(0.02, 0.07)
    patchy = np.clip(1.0 + 0.16 * smooth_noise(rng, size, size / 6), 0.6, 1.4)
    flesh = rng.uniform(0.36, 0.5) * patchy
    level = tissue * patchy * patchy * (1.0 + 0.5 * np.clip(-y - 0.5, 0.0, 0.5))
    sentences: dict[str, str] = {}
    masks = {"left heart ventricle": ventricle, "myocardium": muscle, "left heart atrium": atrium}
    soft = 2.4 * 2 / (size * width)
    atrium_wall = superellipse(s, t, (base + la[0] * 0.9, 0.0), (la[0] + 0.06, la[1] + 0.06), power=2.3)
    shown = coverage(atrium_wall, soft)
    level = blend(level, flesh * 0.9, shown)
    below = np.clip((s - base - bulge) / 0.02, 0.0, 1.0)
    if four_chamber:
        level = _right_heart(rng, level, (s, t), (base, width + wall), (flesh, blood), soft)
    sac = outer
    if abnormal:
        radii = (length + wall + 0.5 * rim, width + wall + 0.55 * rim)
        sac = superellipse(s, t, (centre[0] - 0.2 * rim, lean), radii, power=power)
        away = t > -0.3 * width if side == "right" else t < 0.3 * width
        fluid = (sac < 1.0) & (outer > 1.0) & above & away
        masks["pericardial effusion"] = fluid
        level = blend(level, blood * 0.6, np.where(away & above, coverage(sac, soft), 0.0).astype(np.float32))
        word = "large" if large else "small"
        sentences["pericardial effusion"] = f"a {word} dark rim of fluid is seen on the {side} side of the heart."
    bright = np.clip(1.0 - np.abs(sac - 1.03) / 0.06, 0.0, 1.0) * (s < base + 0.05)
    level = np.maximum(level, bright * np.float32(rng.uniform(0.5, 0.7)) * patchy)
    upper = coverage(outer, soft) * np.clip((base - s) / 0.02 + 0.5, 0.0, 1.0)
    level = blend(level, flesh, upper)
    level = blend(level, blood, coverage(atrium_field, soft) * below)
    level = blend(level, blood, coverage(inner, soft) * (1.0 - np.clip((s - base - bulge) / 0.02, 0.0, 1.0)))
    return blend(level, 0.62, 0.9 * _valve(rng, size, (tip, tilt), base, width)), masks, sentences


def _right_heart(
    rng: np.random.Generator,
    level: Field,
    axes: tuple[Field, Field],
    left: tuple[float, float],
    shades: tuple[Field, float],
    soft: float,
) -> Field:
    """The right ventricle and atrium beside the septum, on the left of the picture."""
    (s, t), (base, epicardium) = axes, left
    width = rng.uniform(0.2, 0.28)
    middle = -(epicardium + width * 0.55)
    for place, radii in (
        ((base - 0.36, middle + 0.06), (0.38, width)),
        ((base + 0.24, middle + 0.02), (0.2, width * 0.95)),
    ):
        wall = superellipse(s, t, place, (radii[0] + 0.05, radii[1] + 0.05), 0.12)
        level = blend(level, shades[0] * 0.9, coverage(wall, soft))
        level = blend(level, shades[1], coverage(superellipse(s, t, place, radii, 0.12), soft))
    return level


def _valve(
    rng: np.random.Generator, size: int, frame: tuple[tuple[float, float], float], base: float, width: float
) -> Field:
    """The two mitral leaflets, open or shut."""
    (tip, tilt), gap = frame, rng.uniform(0.0, 0.5)
    local = [
        np.array([[base, sign * width * 0.95], [base - gap * 0.12, sign * width * (0.1 + gap)]]) for sign in (-1, 1)
    ]
    cos, sin = np.cos(tilt), np.sin(tilt)
    turned = [
        np.stack([cos * p[:, 0] + sin * p[:, 1] + tip[0], -sin * p[:, 0] + cos * p[:, 1] + tip[1]], axis=1)
        for p in local
    ]
    return strokes(size, [(line, 0.028) for line in turned])


def _furniture(rng: np.random.Generator, image: Field) -> Field:
    """What the machine writes beside the sector: depth marks and an ECG line, in some images."""
    size = image.shape[0]
    lines = []
    if rng.random() < 0.6:
        lines += [(np.array([[d, 0.95], [d, 0.985]]), 0.01) for d in np.linspace(-0.8, 0.8, int(rng.integers(6, 12)))]
    if rng.random() < 0.4:
        time = np.linspace(-0.95, 0.2, 90)
        beat = (time * rng.uniform(1.6, 2.6) + rng.random()) % 1.0
        wave = 0.06 * np.exp(-(((beat - 0.3) / 0.03) ** 2)) + 0.015 * np.exp(-(((beat - 0.6) / 0.08) ** 2))
        lines.append((np.stack([0.95 - wave, time], axis=1), 0.01))
    return np.maximum(image, strokes(size, lines) * 0.7) if lines else image


GENERATOR = Generator("heart ultrasound", "ultrasound", SPECS, draw)
