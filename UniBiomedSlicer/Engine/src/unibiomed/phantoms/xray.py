# SPDX-License-Identifier: Apache-2.0
"""Chest X-ray phantoms: a frontal film (patient's right on the image's left) drawn as layers of absorption.

Lengths are in grid units (half an image side). The lungs are the visible lung fields: without heart and mediastinum,
with whatever lies in them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.shapes import (
    Field,
    blob,
    centroid,
    coverage,
    extent,
    fractal_noise,
    grid,
    rotate,
    smooth_noise,
    superellipse,
    warp,
    white_noise,
)
from unibiomed.phantoms.solids import Tubes, tree
from unibiomed.phantoms.wording import patient_side, size_word, third

ABNORMALITIES = ("COVID-19 infection", "pneumothorax", "lung mass")
SPECS = make_specs("chest", "X-Ray", ("left lung", "right lung", "heart"), ABNORMALITIES)
HEALTHY = "the lungs are clear."


@dataclasses.dataclass(frozen=True, eq=False)
class Chest:
    """Coordinates and outlines of one film; ``lungs`` by side: -1 the patient's right, 1 the left."""

    x: Field
    y: Field
    cage: Field
    lungs: dict[int, Mask]
    heart: Field
    base: float
    width: float


def _chest(rng: np.random.Generator, size: int) -> Chest:
    y, x = grid(size)
    zoom = rng.uniform(0.92, 1.16)
    y, x = rotate(y, x, rng.normal(0, 0.04), (rng.normal(0, 0.04), rng.normal(0, 0.04)))
    y, x = warp(rng, y * np.float32(zoom), x * np.float32(zoom), 0.012, 50 * size / 256)
    width, base = rng.uniform(0.70, 0.80), rng.uniform(0.38, 0.56)
    top = np.clip((-y - 0.05) / 0.72, 0, 1)
    cage = superellipse(y, x / (np.float32(1.0) - np.float32(0.36) * top * top), (0.0, 0.0), (0.76, width), 0.0, 2.7)
    tilt, swell = rng.uniform(0.55, 0.85), rng.uniform(0.88, 1.18)
    left = superellipse(y, x, (base - 0.17, 0.14), (0.20 * swell, 0.33 * swell), -tilt)
    right = superellipse(y, x, (base - 0.19, -0.03), (0.27, 0.19 * swell))
    pedicle = superellipse(y, x, (base - 0.38, 0.03), (0.26, 0.15))
    heart = np.float32(1.0) / np.sqrt(np.sqrt(left**-4 + right**-4 + pedicle**-4))  # a smooth union of the three
    ax = np.abs(x)
    middle = np.float32(0.10) + (np.float32(0.05) * bump((y + 0.30) / np.float32(0.13))) * (x > 0)
    lungs = {}
    for side in (-1, 1):
        drop = 0.0 if side < 0 else rng.uniform(0.01, 0.06)
        arch = (ax - 0.38) / 0.36
        dome = base + drop + np.where(arch > 0, np.float32(0.22), np.float32(0.07)) * arch * arch
        lungs[side] = (cage < 0.965) & (x > 0 if side > 0 else x < 0) & (ax > middle) & (y < dome) & (heart > 1)
    return Chest(x, y, cage, lungs, heart, base, width)


def bump(distance: Field) -> Field:
    """1 at 0, 0 from 1 on, smooth: a cheap stand-in for a Gaussian."""
    return np.square(np.maximum(np.float32(1.0) - np.square(distance), np.float32(0.0)))


def _film(rng: np.random.Generator, size: int, chest: Chest) -> Field:
    """The healthy film before noise: about 0 (black, air) to 1 (white, bone over soft tissue)."""
    x, y = chest.x, chest.y
    ax = np.abs(x)
    soft = rng.uniform(0.50, 0.60)
    flank = ax - np.float32(chest.width + rng.uniform(0.11, 0.2)) - np.float32(0.05) * y
    slope = y + np.float32(0.84) - np.float32(0.34) * np.square(np.clip(ax - np.float32(0.20), 0, None))
    arm = (
        np.minimum(np.float32(-0.32) + np.float32(rng.uniform(0.3, 0.9)) * (ax - np.float32(0.8)), np.float32(0.6)) - y
    )
    body = ((flank < 0) | ((arm > 0) & (ax > 0.7))) & ((slope > 0) | (ax < 0.22))
    film = np.where(body, np.float32(soft), np.float32(0.03))
    film += body * (np.float32(0.16) * np.clip((y - np.float32(chest.base)) / np.float32(0.3), 0, 1))
    film += body * (np.float32(0.10) * bump(ax / np.float32(0.2)))
    lungs = chest.lungs[-1] | chest.lungs[1]
    inner = np.clip((np.float32(1.02) - chest.cage) / np.float32(0.35), 0, 1)
    inner *= np.float32(0.75) + np.float32(0.25) * np.clip((ax - np.float32(0.1)) / np.float32(0.2), 0, 1)
    film -= lungs * (np.float32(rng.uniform(0.30, 0.38)) * (np.float32(0.62) + np.float32(0.38) * inner))
    film += np.float32(rng.uniform(0.07, 0.12)) * coverage(chest.heart, 0.10)
    film -= np.float32(0.10) * bump((x - 0.01) / np.float32(0.06)) * (y < -0.22)  # the air in the trachea
    bubble = superellipse(y, x, (chest.base + 0.17, 0.36), (0.06, 0.13))
    film -= np.float32(0.25 * rng.random()) * coverage(bubble, 0.6)
    film += _bones(rng, chest) * body
    return film + _vessels(rng, size, chest, lungs)


def _bones(rng: np.random.Generator, chest: Chest) -> Field:
    """Ribs (back ones level, front ones falling to the middle), spine, collar bones and shoulder blades."""
    y, ax = chest.y, np.abs(chest.x)
    reach = ax / np.float32(chest.width)
    pitch, phase = rng.uniform(0.125, 0.145), rng.random()
    strength = rng.uniform(0.05, 0.10)
    cage = np.clip((np.float32(1.05) - chest.cage) * np.float32(25), 0, 1)
    rise = np.float32(0.48) * reach * (np.float32(1.0) - reach)  # up from the spine, down again to the side
    back = (y + rise - np.float32(0.20) * reach * reach * reach) / np.float32(pitch) + np.float32(phase)
    front = (y + np.float32(0.62) * ax) / np.float32(pitch * 1.15) + np.float32(phase + 0.3)
    bones = np.float32(strength) * _band(back, 0.27) * (cage * (ax > 0.07))
    bones += np.float32(0.55 * strength) * _band(front, 0.27) * (cage * np.clip((reach - 0.38) * np.float32(10), 0, 1))
    bones *= np.clip((np.float32(chest.base + 0.45) - y) * np.float32(4), 0, 1)
    bones += (
        np.float32(0.8 * strength) * bump((chest.cage - np.float32(1.03)) / np.float32(0.06)) * (y < chest.base + 0.3)
    )
    column = bump(ax / np.float32(0.15))
    bones += column * (np.float32(0.045) + np.float32(0.03) * np.cos(y * np.float32(2 * np.pi / 0.13)))
    lift = rng.uniform(-0.04, 0.04)
    bow = np.float32(-0.50 + lift) - np.float32(0.55) * (ax - np.float32(0.08)) * (np.float32(1.1) - ax)
    collar = bump((y - bow) / np.float32(0.045)) * ((ax > 0.07) & (ax < 0.68))
    bones += np.float32(1.2 * strength) * collar
    blade = superellipse(*rotate(y, ax, -0.22, (-0.28, chest.width + 0.03)), (0, 0), (0.33, 0.11))
    return bones + np.float32(0.4 * strength) * coverage(blade, 0.15)


def _band(phase: Field, half: float) -> Field:
    """Ribs along a phase: 1 in the band with denser borders, 0 between bands."""
    distance = np.abs(phase - np.floor(phase) - np.float32(0.5)) / np.float32(half)
    return np.clip((np.float32(1.0) - distance) * 6, 0, 1) * (np.float32(0.6) + np.float32(0.4) * np.square(distance))


def _vessels(rng: np.random.Generator, size: int, chest: Chest, lungs: Mask) -> Field:
    """Markings that fan out from both hila, and the film's mottle inside the lungs."""
    branches = []
    for side in (-1, 1):
        angle = rng.uniform(-1.35, 1.35, 26)
        reach = rng.uniform(0.2, 0.58, 26)
        tips = np.stack(
            [side * (0.14 + reach * np.cos(angle)), -0.05 + 1.2 * reach * np.sin(angle), np.zeros(26)], axis=1
        )
        branches.append(tree(rng, (side * 0.15, -0.06, 0.0), tips, 0.022, 0.03))
    soft = Tubes.joined(branches).opacity(0.0, 2.0, 2.0 / size, (-1.0, -1.0), size, blur=1.2)
    hilum = coverage(superellipse(chest.y, np.abs(chest.x), (-0.05, 0.14), (0.17, 0.10)), 0.9)
    mottle = np.float32(0.016) * fractal_noise(rng, size, 24 * size / 256, 3)
    return lungs * (np.float32(rng.uniform(0.07, 0.13)) * soft + np.float32(0.12) * hilum + mottle)


def _infection(rng: np.random.Generator, chest: Chest, film: Field) -> Mask:
    size = film.shape[0]
    sides = (-1, 1) if rng.random() < 0.55 else (int(rng.choice((-1, 1))),)
    field = np.full(film.shape, 9.0, dtype=np.float32)
    for side in sides:
        for _ in range(int(rng.integers(1, 3))):
            place = (rng.uniform(-0.3, chest.base - 0.14), side * rng.uniform(0.34, 0.56))
            patch = blob(rng, chest.y, chest.x, place, tuple(rng.uniform(0.13, 0.24, 2)), rng.uniform(0, 3), 0.16)
            field = np.minimum(field, patch)
    lungs = chest.lungs[-1] | chest.lungs[1]
    cloud = np.float32(1.0) + np.float32(0.28) * fractal_noise(rng, size, 14 * size / 256, 3)
    film += np.float32(rng.uniform(0.19, 0.29)) * coverage(field, 0.5) * cloud * lungs
    return (field < 1.0) & lungs


def _pneumothorax(rng: np.random.Generator, chest: Chest, film: Field) -> Mask:
    side = int(rng.choice((-1, 1)))
    lung = chest.lungs[side]
    height, fall = rng.uniform(0.55, 0.78), rng.uniform(0.15, 0.26)
    # What is left of the lung hangs at the hilum; air fills the rest, most of it at the top and beside the chest wall.
    left = superellipse(
        chest.y,
        chest.x,
        (chest.base - height + 0.10, side * 0.06),
        (height, chest.width - fall - 0.05),
        side * -0.10,
        2.4,
    )
    gap = lung & (left > 1.0) & (chest.y < chest.base - 0.02)
    smooth = ndimage.gaussian_filter(film, 5 * film.shape[0] / 256, truncate=2.0)
    film[gap] = smooth[gap] * 0.45 + film[gap] * 0.40 - rng.uniform(0.02, 0.05)
    rim = np.exp(-(((left - 0.985) / 0.016) ** 2)) * lung * (chest.y < chest.base)
    film += np.float32(rng.uniform(0.10, 0.16)) * rim.astype(np.float32)
    film += np.float32(0.045) * (lung & (left <= 1.0))
    return gap


def _mass(rng: np.random.Generator, chest: Chest, film: Field) -> Mask:
    side = int(rng.choice((-1, 1)))
    place = (rng.uniform(-0.48, chest.base - 0.2), side * rng.uniform(0.28, 0.50))
    r = rng.uniform(0.085, 0.17)
    field = blob(rng, chest.y, chest.x, place, (r * rng.uniform(0.9, 1.15), r), rng.uniform(0, 3), 0.08)
    lung = chest.lungs[side]
    film += np.float32(rng.uniform(0.20, 0.30)) * coverage(field, 0.22) * lung
    return (field < 1.0) & lung


MAKERS = {"COVID-19 infection": _infection, "pneumothorax": _pneumothorax, "lung mass": _mass}


def _sentence(name: str, mask: Mask, lungs: dict[str, Mask]) -> str:
    parts = {side: np.count_nonzero(mask & lung) for side, lung in lungs.items()}
    side = max(parts, key=lambda key: parts[key]).split()[0]
    place = centroid(mask)
    if name == "COVID-19 infection":
        both = min(parts.values()) > 0.12 * sum(parts.values())
        return f"patchy opacity is seen in {'both lungs' if both else f'the {side} lung'}."
    if name == "pneumothorax":
        return f"a {size_word(extent(mask), 0.2)} pneumothorax is seen on the {patient_side(place[1])} side."
    zone = third(place[0], ("upper", "middle", "lower"), -0.2, 0.12)
    return f"a {size_word(extent(mask), 0.13)} mass is seen in the {zone} zone of the {side} lung."


def _draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    least = 110 * (size / 256) ** 2
    for _ in range(20):
        chest = _chest(rng, size)
        film = _film(rng, size, chest)
        masks = {"left lung": chest.lungs[1], "right lung": chest.lungs[-1]}
        masks["heart"] = (chest.heart < 1.0) & (chest.y < chest.base + 0.04)
        names = [str(name) for name in rng.choice(ABNORMALITIES, 1)] if abnormal else []
        if names == ["COVID-19 infection"] and rng.random() < 0.15:
            names.append("lung mass")
        for name in names:
            masks[name] = MAKERS[name](rng, chest, film)
        if all(np.count_nonzero(masks[name]) > least for name in names):
            break
    lungs = {name: masks[name] for name in ("left lung", "right lung")}
    said = {name: _sentence(name, masks[name], lungs) for name in names}
    return make_phantom(_develop(rng, film), masks, SPECS, said, HEALTHY)


def _develop(rng: np.random.Generator, film: Field) -> Field:
    """Scatter, detector blur, noise and the film's contrast curve."""
    size = film.shape[0]
    film = ndimage.gaussian_filter(film, rng.uniform(0.5, 0.9) * size / 256, truncate=2.5)
    film += np.float32(0.02) * smooth_noise(rng, size, 0.5 * size)
    film += np.float32(rng.uniform(0.006, 0.022)) * white_noise(rng, size)
    film = (film - 0.5) * np.float32(rng.uniform(1.0, 1.35)) + np.float32(rng.uniform(0.44, 0.54))
    return np.clip(film, 0, 1) ** np.float32(rng.uniform(0.85, 1.2))


GENERATORS = (Generator("xray-chest", "X-Ray", SPECS, _draw),)
