# SPDX-License-Identifier: Apache-2.0
"""Colonoscopy: the wall as a lit tube with folds, vessels and highlights around a dark lumen; two kinds of polyps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import bezier, coloured, ellipse_outlines, polygons, strokes, tint, window
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

SPECS = make_specs("colon", "endoscope", ["lumen"], ["neoplastic polyp", "non-neoplastic polyp"])
HEALTHY = "no polyp is seen."
LARGE = 0.17
LOOKS = {"neoplastic polyp": "red lobulated polyp", "non-neoplastic polyp": "pale smooth polyp"}


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has one polyp. The lumen is out of view in some images."""
    y, x = grid(size)
    masks: dict[str, Mask] = {}
    sentences: dict[str, str] = {}
    in_view = rng.random() < 0.8
    polyp = None
    if abnormal:
        name = "neoplastic polyp" if rng.random() < 0.5 else "non-neoplastic polyp"
        radius = rng.uniform(0.115, 0.15) if rng.random() < 0.5 else rng.uniform(0.21, 0.3)
        centre = tuple(rng.choice((-1.0, 1.0)) * rng.uniform(0.15 + 0.3 * radius, 0.5) for _ in range(2))
        polyp = (name, radius, centre)
    lumen_radius = rng.uniform(0.17, 0.28)
    heading = rng.uniform(0, 2 * np.pi)
    if polyp is not None:  # the lumen lies on the other side of the picture
        heading = np.arctan2(-polyp[2][0], -polyp[2][1]) + rng.uniform(-0.6, 0.6)
    away = (polyp is not None) * 0.25 + rng.uniform(0.0, 0.3) if in_view else rng.uniform(1.5, 1.9)
    lumen_centre = (away * np.sin(heading), away * np.cos(heading))
    lumen = blob(rng, y, x, lumen_centre, (lumen_radius, lumen_radius * rng.uniform(0.8, 1.3)), heading, 0.07, 5)
    mucosa = np.array([1.05, 0.62, 0.48]) * (1.0, rng.uniform(0.8, 1.15), rng.uniform(0.75, 1.2))
    image = _wall(rng, size, lumen, lumen_centre, mucosa)
    masks["lumen"] = lumen < 1.0
    if polyp is not None:
        name = polyp[0]
        image, masks[name] = _polyp(rng, image, name == "neoplastic polyp", polyp[1], polyp[2], mucosa)
        masks["lumen"] &= ~masks[name]
        where = quadrant(*centroid(masks[name]))
        word = size_word(extent(masks[name]), LARGE)
        sentences[name] = f"a {word} {LOOKS[name]} is seen in the {where} quadrant."
    image, frame = _camera(rng, image)
    masks["lumen"] &= frame > 0.5
    return make_phantom(image, masks, SPECS, sentences, HEALTHY)


def _wall(rng: np.random.Generator, size: int, lumen: Field, centre: tuple[float, float], mucosa: Field) -> Field:
    y, x = grid(size)
    angle = np.arctan2(y - np.float32(centre[0]), x - np.float32(centre[1]))
    coarse = smooth_noise(rng, size, size / 4)
    # haustral folds: rings about the lumen, nearer to each other with depth (log of the distance)
    ring = np.log(np.maximum(lumen, 0.3)) * rng.uniform(6.5, 9.5) + 0.5 * coarse
    ring = ring + rng.uniform(0.3, 0.9) * np.cos(3 * angle + rng.uniform(0, 6))
    phase = np.mod(ring / (2 * np.pi) + rng.random(), 1.0)
    fold = phase * phase * (1.0 - np.clip((phase - 0.9) / 0.1, 0.0, 1.0)) * 1.6  # slow rise, sharp edge, then shade
    depth = np.clip((lumen - 0.75) / 2.6, 0.0, 1.0)
    light = 0.06 + 0.62 * depth ** np.float32(0.55) + rng.uniform(0.12, 0.2) * (fold - 0.45) * np.clip(lumen, 0.0, 1.3)
    light = light + 0.03 * coarse
    edge = np.clip(1.0 - np.abs(lumen - 1.12) / 0.14, 0.0, 1.0)
    light = np.maximum(light + 0.1 * edge, 0.03)
    light = light * (1.0 - rng.uniform(0.65, 0.85) * coverage(lumen, 0.25))
    redness = 1.0 - coloured(0.09 * fractal_noise(rng, size, size / 5, 3), (0.2, 1.0, 1.0))
    image = coloured(light, mucosa) * redness
    vessels = [(_branch(rng), rng.uniform(0.008, 0.016)) for _ in range(int(rng.integers(10, 26)))]
    thread = strokes(size, vessels) * np.clip(lumen - 1.2, 0.0, 1.0)
    return image * (1.0 - coloured(rng.uniform(0.15, 0.3) * thread, (0.3, 1.0, 1.0)))


def _branch(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    start = rng.uniform(-1.0, 1.0, 2)
    return bezier(start + np.cumsum(rng.normal(0, 0.18, (4, 2)), axis=0), 14)


def _polyp(
    rng: np.random.Generator, image: Field, red: bool, radius: float, centre: tuple[float, float], mucosa: Field
) -> tuple[Field, Mask]:
    """Lay a dome (lit from the scope, a shadow at its foot) over the wall."""
    size = image.shape[0]
    patch = window(size, centre, radius * 2.0)
    y, x = (axis[patch] for axis in grid(size))
    stretch = rng.uniform(0.85, 1.2)
    if red:
        field = blob(rng, y, x, centre, (radius * stretch, radius / stretch), rng.uniform(0, 3), 0.09, 8)
    else:
        field = blob(rng, y, x, centre, (radius * stretch, radius / stretch), rng.uniform(0, 3), 0.04, 5)
    toward = rng.uniform(0, 2 * np.pi)  # the side away from the lamp
    side = (y - np.float32(centre[0])) * float(np.sin(toward)) + (x - np.float32(centre[1])) * float(np.cos(toward))
    side = side / radius
    shadow = np.clip((1.4 - field) / 0.4, 0.0, 1.0) * np.clip(0.32 + 0.3 * side, 0.1, 0.65)
    part = image[patch] * (1.0 - shadow[..., None])
    height = np.sqrt(np.clip(1.0 - field * field, 0.0, 1.0))
    shade = 0.4 + 0.42 * height - 0.13 * side
    if red:
        cells = _patch_noise(rng, size, patch, radius * size / 9)
        grooves = np.clip(1.0 - np.abs(cells) * 2.4, 0.0, 1.0)
        shade = shade * (1.0 - 0.38 * grooves)
        colour = mucosa * (rng.uniform(0.8, 0.95), rng.uniform(0.42, 0.52), rng.uniform(0.48, 0.6))
    else:
        shade = shade * (1.0 + 0.05 * _patch_noise(rng, size, patch, radius * size / 6))
        colour = mucosa * (rng.uniform(1.0, 1.08), rng.uniform(1.2, 1.34), rng.uniform(1.22, 1.42))
    part = tint(part, coloured(shade, colour), coverage(field, 7.0 / (radius * size)))
    spot = (centre[0] - radius * rng.uniform(0.1, 0.4), centre[1] + radius * rng.uniform(-0.4, 0.4))
    shine = superellipse(y, x, spot, (radius * 0.12, radius * rng.uniform(0.12, 0.25)), rng.uniform(0, 3))
    glint = coverage(shine, 0.6)
    image = image.copy()
    image[patch] = tint(part, (1.0, 0.98, 0.94), glint * 0.9)
    mask = np.zeros((size, size), bool)
    mask[patch] = field < 1.0
    return image, mask


def _patch_noise(rng: np.random.Generator, size: int, patch: tuple[slice, slice], scale: float) -> Field:
    side = max(patch[0].stop - patch[0].start, patch[1].stop - patch[1].start)
    noise = smooth_noise(rng, side, max(1.5, scale))
    return noise[: patch[0].stop - patch[0].start, : patch[1].stop - patch[1].start]


def _camera(rng: np.random.Generator, image: Field) -> tuple[Field, Field]:
    """Highlights, vignette, noise, and the black mask of the endoscope's picture; (image, opacity of the frame)."""
    size = image.shape[0]
    y, x = grid(size)
    count = int(rng.integers(3, 14))
    places = rng.uniform(-0.85, 0.85, (count, 2))
    radii = np.stack([rng.uniform(0.01, 0.045, count), rng.uniform(0.006, 0.018, count)], axis=1)
    glints = polygons(size, ellipse_outlines(places, radii, rng.uniform(0, np.pi, count)))
    bright = np.clip(image[..., 0] * 2.2 - 0.5, 0.0, 1.0)  # no highlight in the dark
    image = tint(image, (1.0, 0.98, 0.95), glints * bright * 0.9)
    distance = y * y + x * x
    light = rng.uniform(0.85, 1.15) * (1.0 - rng.uniform(0.1, 0.28) * distance)
    image = image * light[..., None] + rng.uniform(0.006, 0.02) * white_noise(rng, size)[..., None]
    shape = rng.random()
    if shape < 0.45:  # an octagon
        field = np.maximum(np.maximum(np.abs(y), np.abs(x)) / 0.97, (np.abs(y) + np.abs(x)) / rng.uniform(1.4, 1.65))
    elif shape < 0.75:
        field = superellipse(y, x, (0.0, 0.0), (0.98, 0.98), power=rng.uniform(3.0, 6.0))
    else:
        return image, np.ones((size, size), np.float32)
    frame = coverage(field, 4.0 / size)
    return image * frame[..., None], frame


GENERATORS = (Generator("colon endoscope", "endoscope", SPECS, draw),)
