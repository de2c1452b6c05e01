# SPDX-License-Identifier: Apache-2.0
"""T1 heads around a real brain template: MNI152 inside a synthetic skull, scalp and face, heavily varied.

For training only (needs nilearn). Slices are axial (mostly), coronal or sagittal in display orientation, the truth is
the template's own: brain, grey matter and white matter.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.mri import HEALTHY, LEAST, tumor_sentence
from unibiomed.phantoms.shapes import (
    Field,
    blob,
    fractal_noise,
    grid,
    pick_inside,
    smooth_noise,
    spread,
    white_noise,
)
from unibiomed.phantoms.template_atlas import Atlas, load_atlas

SPECS = make_specs("brain", "MRI-T1", ("brain", "grey matter", "white matter"), ("tumor",))
VIEWS = {"axial": (2, (1, 0)), "coronal": (1, (2, 0)), "sagittal": (0, (2, 1))}  # through axis, (row axis, column axis)
# Axial planes go on below the brain, through face, jaw and neck, where it must not be found.
RANGES = {"axial": (-125.0, 84.0), "coronal": (-104.0, 72.0), "sagittal": (-64.0, 64.0)}
TUMOR_RANGES = {"axial": (-18.0, 62.0), "coronal": (-80.0, 45.0), "sagittal": (-52.0, 52.0)}  # where the words hold


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """One plane through the head: template coordinates (3, size, size) mm and the pixel size in mm."""

    points: npt.NDArray[np.float32]
    pixel: float
    view: str


def _plane(rng: np.random.Generator, size: int, ranges: dict[str, tuple[float, float]]) -> Cut:
    """A random plane: all of rows A to P or S to I, columns R to L or A to P, so the template's axes run backwards."""
    view = ("axial", "coronal", "sagittal")[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
    through, (row, column) = VIEWS[view]
    fov = rng.uniform(185, 285)
    y, x = grid(size)
    points = np.zeros((3, size, size), dtype=np.float32)
    points[row], points[column] = -y * np.float32(fov / 2), -x * np.float32(fov / 2)
    unit = size / 256
    for axis in (row, column):
        points[axis] += np.float32(rng.uniform(1.5, 4.5)) * smooth_noise(rng, size, rng.uniform(45, 90) * unit)
        points[axis] += np.float32(rng.uniform(0.2, 0.9)) * smooth_noise(rng, size, 14 * unit)
    points[through] = np.float32(rng.uniform(*ranges[view]))
    points[through] += np.float32(rng.uniform(0.5, 3)) * smooth_noise(rng, size, 60 * unit)
    angles = rng.normal(0, (0.14, 0.05, 0.07))  # nodding varies most
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        step = np.eye(3)
        a, b = [k for k in range(3) if k != axis]
        step[a, a], step[a, b], step[b, a], step[b, b] = c, -s, s, c
        turn = turn @ step
    matrix = (turn / rng.uniform(0.88, 1.12, 3)).astype(np.float32)
    centre = np.zeros(3, dtype=np.float32)
    centre[row], centre[column] = rng.normal(0, 7, 2) * (fov / 240)
    middle = np.array([0.0, -18.0, 0.0], dtype=np.float32)
    if view != "axial":
        middle[2] = -8.0
    if view == "coronal":
        middle[1] = 0.0
    moved = matrix @ (points.reshape(3, -1) + centre[:, None]) + middle[:, None]
    return Cut(moved.reshape(3, size, size), fov / size, view)


def _coarse_hull(atlas: Atlas, points: npt.NDArray[np.float32]) -> Field:
    """Hull distance on the plane, read on every fourth pixel and spread again: it is smooth."""
    return spread(atlas.hull_distance(points[:, 2::4, 2::4]), points.shape[1])


def _ball(points: npt.NDArray[np.float32], centre: tuple[float, ...], radii: tuple[float, ...]) -> Field:
    """Field of an ellipsoid; with two numbers, of an upright elliptic cylinder."""
    total = np.zeros(points.shape[1:], dtype=np.float32)
    for line, middle, radius in zip(points, centre, radii, strict=False):
        total += np.square((line - np.float32(middle)) / np.float32(radius))
    return np.sqrt(total)


def _around(rng: np.random.Generator, cut: Cut, hull: Field, brain: Mask, fat: float) -> Field:
    """Signal of everything but the brain: fluid, skull, scalp, face and neck; 0 in air."""
    size, points = hull.shape[0], cut.points
    unit = size / 256
    rough = smooth_noise(rng, size, 30 * unit)
    fluid = rng.uniform(0.5, 3.5)
    bone = fluid + rng.uniform(2.5, 6.5) + np.float32(0.8) * rough
    scalp = bone + np.float32(rng.uniform(4, 9)) + np.float32(1.0) * smooth_noise(rng, size, 40 * unit)
    outer = hull - scalp
    low = points[2].min() < -20
    if low:
        face = (_ball(points, (0, 18, -62), (70 + rng.normal(0, 3), 80, 62)) - 1) * 65
        nose = (_ball(points, (0, 92, -50), (15, 18, 24)) - 1) * 16
        neck = (_ball(points, (0, -38), (62, 66)) - 1) * 62
        neck = np.where(points[2] < -50, neck, np.float32(99))
        outer = np.minimum(np.minimum(outer, face), np.minimum(nose, neck))
    muscle, marrow = rng.uniform(0.25, 0.42), rng.uniform(0.15, 0.85) * fat
    fine = fractal_noise(rng, size, 14 * unit, 3)
    signal = np.zeros((size, size), dtype=np.float32)
    inside = outer < 0
    flesh = np.where(fine > rng.uniform(0.2, 0.7), np.float32(fat * 0.85), np.float32(muscle))
    flesh = np.where(fine < -1.25, np.float32(0.05), flesh)
    np.copyto(signal, flesh, where=inside)
    skin_fat = inside & (outer > -rng.uniform(5, 9))
    np.copyto(signal, np.float32(fat) * (np.float32(1.0) + np.float32(0.06) * fine), where=skin_fat)
    np.copyto(signal, np.float32(rng.uniform(0.25, 0.5)), where=inside & (outer > -1.6))
    skull = hull < bone
    np.copyto(signal, np.float32(0.04), where=skull)
    if rng.random() < 0.6:
        core = np.abs(hull - np.float32(0.5) * (bone + fluid)) < np.float32(0.22) * (bone - fluid)
        np.copyto(signal, np.float32(marrow) * (np.float32(1.0) + np.float32(0.2) * fine), where=core & skull)
    np.copyto(signal, np.float32(rng.uniform(0.08, 0.16)), where=hull < fluid)
    if low:
        _face(rng, signal, points, fine, inside & (hull > 0), fat, muscle)
        base = (hull < 0) & ~brain  # skull base between the lobes
        np.copyto(signal, np.where(fine > 0.3, np.float32(marrow), np.float32(0.10)), where=base & (points[2] < -22))
    return signal


def _face(
    rng: np.random.Generator,
    signal: Field,
    points: npt.NDArray[np.float32],
    fine: Field,
    free: Mask,
    fat: float,
    muscle: float,
) -> None:
    """Orbits with the eyes, air in nose, sinuses and throat, and the air cells behind the ears."""
    low, high = points.min(axis=(1, 2)), points.max(axis=(1, 2))

    def ball(centre: tuple[float, ...], radii: tuple[float, ...]) -> Field | None:
        """The field of a ball, or None where the plane misses it."""
        missed = any(c + r < a or c - r > b for c, r, a, b in zip(centre, radii, low, high, strict=False))
        return None if missed else _ball(points, centre, radii)

    def air(centre: tuple[float, ...], radii: tuple[float, ...], where: Mask | bool = True) -> None:
        field = ball(centre, radii)
        if field is not None:
            np.copyto(signal, np.float32(0.04), where=free & (field < 1) & where)

    for side in (-1, 1):
        orbit = ball((side * 31, 52, -40), (18, 26, 17))
        if orbit is not None:
            np.copyto(signal, np.float32(fat * 0.95), where=free & (orbit < 1))
            nerve = np.abs(points[0] - side * (14 + 0.28 * (points[1] - 28))) < 2.2
            np.copyto(signal, np.float32(muscle), where=free & (orbit < 0.95) & nerve)
        eye = ball((side * 33, 65, -40), (12.5, 12.5, 12.5))
        if eye is not None:
            np.copyto(signal, np.float32(0.15), where=free & (eye < 1))
            np.copyto(signal, np.float32(muscle), where=free & (np.abs(eye - 0.96) < 0.06))
        air((side * 54, -28, -46), (13, 16, 18), fine > -0.5)
        air((side * 28, 52, -72), (15, 17, 17))
    air((0, 55, -55), (13, 32, 22), fine > -0.4)
    air((0, 18), (13, 10), points[2] < -62)
    air((0, 66, -12 + float(rng.normal(0, 3))), (16, 6, 12))


def _brain_signal(rng: np.random.Generator, t1: Field, brain: Mask, unit: float) -> Field:
    """The template's T1 signal sharpened by a random amount and put through a random tissue contrast."""
    sharp = t1 + np.float32(rng.uniform(0.2, 1.6)) * (t1 - ndimage.gaussian_filter(t1, 2.2 * unit, truncate=2.0))
    grey = rng.uniform(0.26, 0.6)
    step = rng.uniform(0.03, 0.26) * (grey / 0.5)
    fluid = grey * rng.uniform(0.2, 0.55)
    levels = (0.2, 0.42, 0.66, 0.90, 1.15)
    tones = (fluid * 0.8, fluid, grey, grey + step, grey + 1.15 * step)
    signal = np.interp(sharp, levels, tones).astype(np.float32)
    if rng.random() < 0.35:  # vessels filled with contrast agent
        size = t1.shape[0]
        ridge = np.abs(smooth_noise(rng, size, 15 * unit)) < 0.05
        signal += np.float32(rng.uniform(0.1, 0.4)) * (ridge & (smooth_noise(rng, size, 20 * unit) > 0.8))
    return signal * brain


def _tumor(rng: np.random.Generator, signal: Field, brain: Mask) -> Mask | None:
    """Lay a tumor into the brain: darker, or with a bright rough rim as after contrast agent; None where none fits."""
    size = brain.shape[0]
    r = rng.uniform(0.075, 0.18)
    place = pick_inside(rng, brain, 0.6 * r * size / 2)
    if place is None:
        return None
    y, x = grid(size)
    field = blob(rng, y, x, place, (r * rng.uniform(0.85, 1.15), r), rng.uniform(0, 3), 0.13)
    mask = (field < 1.0) & brain
    level = float(signal[mask].mean()) if mask.any() else 0.4
    speck = smooth_noise(rng, size, 6 * size / 256)
    if rng.random() < 0.5:
        tone = level * rng.uniform(0.42, 0.66) + 0.03 * speck - 0.08 * (field < 0.5)
    else:
        core = field < rng.uniform(0.35, 0.75)
        tone = np.where(core, np.float32(level * rng.uniform(0.4, 0.75)), np.float32(level * rng.uniform(1.45, 1.9)))
        tone = tone * (np.float32(1.0) + np.float32(0.12) * speck)
    np.copyto(signal, np.maximum(tone, 0.04).astype(np.float32), where=mask)
    return mask


def _scan(rng: np.random.Generator, signal: Field, view: str, masks: dict[str, Mask]) -> Field:
    """Shading, resolution, noise, display gain and padding."""
    size = signal.shape[0]
    unit = size / 256
    image = signal * np.exp(np.float32(rng.uniform(0.03, 0.16)) * smooth_noise(rng, size, 0.6 * size))
    across = rng.uniform(0.5, 1.1) * unit
    down = across if view == "axial" or rng.random() < 0.6 else rng.uniform(1.5, 3.2) * unit
    image = ndimage.gaussian_filter(image, (down, across), truncate=2.5)
    noise = np.float32(rng.uniform(0.006, 0.045))
    image = np.hypot(image + noise * white_noise(rng, size), noise * white_noise(rng, size))
    image = np.clip(image * np.float32(rng.uniform(0.85, 1.25)), 0, 1) ** np.float32(rng.uniform(0.8, 1.2))
    if rng.random() < 0.25:  # the picture was not square: black bars, or a head cut by the field of view
        bar = int(rng.uniform(0.02, 0.12) * size)
        sides = [(slice(0, bar), slice(None)), (slice(size - bar, size), slice(None))]
        if rng.random() < 0.5:
            sides = [(columns, rows) for rows, columns in sides]
        for place in sides:
            image[place] = 0
            for mask in masks.values():
                mask[place] = False
    return image


def _draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    unit = size / 256
    for _ in range(20):
        cut = _plane(rng, size, TUMOR_RANGES if abnormal else RANGES)
        thick = rng.random() < 0.5
        atlas = load_atlas(VIEWS[cut.view][0], 5) if thick else load_atlas()
        hull = _coarse_hull(atlas, cut.points)
        near = np.flatnonzero(hull < 4.0)
        values = np.zeros((size * size, 4), dtype=np.float32)
        values[near] = atlas.cut(cut.points.reshape(3, -1)[:, near])
        t1, inside, grey, white = np.moveaxis(values.reshape(size, size, 4), -1, 0)
        brain = inside > 0.5
        fat = rng.uniform(0.72, 1.0)
        signal = _around(rng, cut, hull, brain, fat)
        np.copyto(signal, _brain_signal(rng, t1, brain, unit), where=brain)
        fluid = 1.0 - grey - white
        masks = {
            "brain": brain,
            "grey matter": brain & (grey >= white) & (grey > fluid),
            "white matter": brain & (white > grey) & (white > fluid),
        }
        if not abnormal:
            break
        tumor = _tumor(rng, signal, brain)
        if tumor is not None and np.count_nonzero(tumor) > 150 * unit**2:
            masks["tumor"] = tumor
            for name in ("grey matter", "white matter"):
                masks[name] &= ~tumor
            break
    image = _scan(rng, signal, cut.view, masks)
    said = {"tumor": tumor_sentence(masks["tumor"], brain, cut.view)} if abnormal else {}
    return make_phantom(image, masks, SPECS, said, HEALTHY, LEAST)


GENERATORS = (Generator("mri-template-head", "MRI", SPECS, _draw),)
