# SPDX-License-Identifier: Apache-2.0
"""H&E section of the colon: crypts with lumen, goblet cells and rim of nuclei in stroma; tumour as crowded big nuclei.

Drawn as optical densities of the two stains, then made light (Beer-Lambert; stain vectors of Ruifrok & Johnston 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.drawing import Points, coloured, ellipse_outlines, polygons, window
from unibiomed.phantoms.shapes import (
    Field,
    blob,
    centroid,
    coverage,
    extent,
    fractal_noise,
    grid,
    smooth_noise,
    white_noise,
)
from unibiomed.phantoms.wording import quadrant, size_word

SPECS = make_specs("colon", "pathology", ["glandular structure"], ["tumor"])
HEALTHY = "no tumor is seen and the glands are regular."
LARGE = 0.33


@dataclass(frozen=True)
class _Outline:
    """A closed curve: an ellipse whose radius swings with the angle."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    waves: tuple[tuple[float, float], ...]  # (amplitude, phase) of the harmonics 2, 3, ...

    @classmethod
    def random(cls, rng: np.random.Generator, centre: tuple[float, float], radius: float) -> _Outline:
        stretch = float(np.sqrt(rng.uniform(1.0, 1.7)))
        waves = tuple((rng.normal(0, 0.07 / np.sqrt(k)), rng.uniform(0, 2 * np.pi)) for k in range(2, 6))
        return cls(centre, (radius * stretch, radius / stretch), rng.uniform(0, np.pi), waves)

    def edge(self, cos: Field, sin: Field) -> Field:
        """Radius in the direction (cos, sin); the k-th harmonic is the phasor's k-th power: no trigonometry."""
        phasor = cos + np.complex64(1j) * sin
        power, edge = phasor, np.ones(cos.shape, np.float32)
        for amplitude, phase in self.waves:
            power = power * phasor
            edge += (power * np.complex64(amplitude * np.exp(1j * phase))).real
        return edge

    def field(self, y: Field, x: Field) -> Field:
        dy, dx = y - np.float32(self.centre[0]), x - np.float32(self.centre[1])
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        u, v = (cos * dx + sin * dy) / self.radii[0], (cos * dy - sin * dx) / self.radii[1]
        reach = np.sqrt(u * u + v * v) + np.float32(1e-6)
        return reach / self.edge(u / reach, v / reach)

    def points(self, turn: Field, level: Field | float) -> Points:
        """Places (n, 2) at the given angles and field levels."""
        cos, sin = np.cos(turn), np.sin(turn)
        reach = level * self.edge(cos, sin)
        u, v = self.radii[0] * cos * reach, self.radii[1] * sin * reach
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack([self.centre[0] + sin * u + cos * v, self.centre[1] + cos * u - sin * v], axis=1)


def draw(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    """One image; an abnormal one has one region of tumour, and glands around it."""
    y, x = grid(size)
    masks: dict[str, Mask] = {}
    sentences = {}
    keep_off = np.zeros((0, 3))
    field = None
    if abnormal:
        radius = rng.uniform(0.2, 0.27) if rng.random() < 0.5 else rng.uniform(0.4, 0.55)
        centre = tuple(rng.choice((-1.0, 1.0)) * rng.uniform(0.2, 0.72 - radius * 0.4) for _ in range(2))
        field = blob(rng, y, x, centre, (radius, radius * rng.uniform(0.8, 1.2)), rng.uniform(0, 3), 0.12, 6)
        masks["tumor"] = field < 1.0
        where = quadrant(*centroid(masks["tumor"]))
        word = size_word(extent(masks["tumor"]), LARGE)
        sentences["tumor"] = f"a {word} area of crowded dark nuclei is seen in the {where} quadrant."
        keep_off = np.array([[*centre, radius * 1.15]])
    glands = _place_glands(rng, keep_off)
    hematoxylin, eosin = _stroma(rng, size)
    covered = np.zeros((size, size), np.float32)
    gland_mask = np.zeros((size, size), bool)
    nuclei: list[Points] = []
    for gland in glands:
        patch = window(size, gland.centre, max(gland.radii) * 1.35)
        level = gland.field(y[patch], x[patch])
        gland_mask[patch] |= level < 1.0
        nuclei += _fill_gland(rng, gland, level, (hematoxylin[patch], eosin[patch]), covered[patch], size)
    masks["glandular structure"] = gland_mask
    if field is not None:
        inside = coverage(field, 10.0 / (size * 0.3))
        hematoxylin += inside * (0.2 + 0.05 * smooth_noise(rng, size, size / 30) - hematoxylin)
        eosin += inside * (0.4 + 0.08 * smooth_noise(rng, size, size / 30) - eosin)
        covered = np.maximum(covered, inside)
        nuclei += _tumour_nuclei(rng, field)
    nuclei += _stroma_nuclei(rng, np.maximum(covered, gland_mask))
    ink = polygons(size, nuclei, rng.uniform(0.72, 1.0, len(nuclei)))
    chromatin = 0.8 + 0.2 * smooth_noise(rng, size, max(1.6, size / 110))
    hematoxylin += ink * (rng.uniform(0.85, 1.1) * chromatin - hematoxylin * 0.5)
    return make_phantom(_light(rng, hematoxylin, eosin), masks, SPECS, sentences, HEALTHY)


def _place_glands(rng: np.random.Generator, keep_off: Field) -> list[_Outline]:
    scale = rng.uniform(0.2, 0.34)
    placed, taken = [], keep_off
    for _ in range(90):
        radius = scale * rng.uniform(0.85, 1.2)
        centre = rng.uniform(-1.05, 1.05, 2)
        gap = np.hypot(taken[:, 0] - centre[0], taken[:, 1] - centre[1]) - taken[:, 2]
        if np.all(gap > radius * 1.3):
            placed.append(_Outline.random(rng, (float(centre[0]), float(centre[1])), radius))
            taken = np.vstack([taken, [*centre, radius * 1.2]])
        if len(placed) >= 9:
            break
    return placed


def _stroma(rng: np.random.Generator, size: int) -> tuple[Field, Field]:
    y, x = grid(size)
    coarse = fractal_noise(rng, size, size / 5, 4, 0.55)
    turn = rng.uniform(0, np.pi)
    across = y * np.float32(np.cos(turn)) + x * np.float32(np.sin(turn))
    bundle = smooth_noise(rng, size, size / 24)
    fibre = np.sin(np.float32(rng.uniform(40, 60)) * across + 3.2 * coarse + 1.6 * bundle)  # wavy collagen
    eosin = rng.uniform(0.26, 0.36) + 0.055 * fibre * (1.0 + 0.5 * bundle) + 0.05 * coarse
    hematoxylin = 0.09 + 0.02 * bundle
    # clefts that fixing leaves in loose tissue
    gaps = np.clip(smooth_noise(rng, size, size / 14) - 1.5, 0.0, 0.5) / 0.5
    return hematoxylin * (1.0 - 0.8 * gaps), eosin * (1.0 - 0.85 * gaps)


def _fill_gland(
    rng: np.random.Generator,
    gland: _Outline,
    level: Field,
    stains: tuple[Field, Field],
    covered: Field,
    size: int,
) -> list[Points]:
    """Draw cytoplasm, mucin and lumen into the two stain patches; the outlines of the gland's nuclei."""
    hematoxylin, eosin = stains
    radius = min(gland.radii)
    soft = 3.0 / (radius * size / 2)
    inside = coverage(level, soft)
    np.maximum(covered, coverage(level / np.float32(1.12), soft), out=covered)
    cleft = np.clip(1.0 - np.abs(level - 1.05) / 0.05, 0.0, 1.0)
    hematoxylin *= 1.0 - 0.6 * cleft
    eosin *= 1.0 - 0.6 * cleft
    hematoxylin += inside * (0.2 - hematoxylin)
    eosin += inside * (0.33 - eosin)
    lumen_level = rng.uniform(0.22, 0.42)
    count = max(10, int(2 * np.pi * np.mean(gland.radii) * 0.86 / 0.05))
    turn = (np.arange(count) + rng.uniform(-0.25, 0.25, count)) * (2 * np.pi / count)
    goblet = _ring(level, (lumen_level + 0.74) / 2, (0.7 - lumen_level) / 2)
    cells = 0.5 + 0.5 * np.cos(_turn(gland, size) * max(6, count // 3) + rng.uniform(0, 6))
    pale = goblet * np.clip(cells * 1.6 - 0.25, 0.0, 1.0) * rng.uniform(0.55, 0.85)
    hematoxylin += pale * (0.1 - hematoxylin)
    eosin += pale * (0.06 - eosin)
    lumen = coverage(level / np.float32(lumen_level), soft / lumen_level)
    hematoxylin += lumen * (0.015 - hematoxylin)
    eosin += lumen * (0.02 - eosin)
    places = gland.points(turn, rng.uniform(0.83, 0.9, count))
    outward = np.arctan2(places[:, 0] - gland.centre[0], places[:, 1] - gland.centre[1])
    radii = np.stack([rng.uniform(0.028, 0.042, count), rng.uniform(0.017, 0.023, count)], axis=1)
    return list(ellipse_outlines(places, radii, outward + rng.normal(0, 0.15, count)))


def _ring(level: Field, middle: float, half: float) -> Field:
    """Opacity of the ring of half-width ``half`` about field level ``middle``, soft at both edges."""
    return np.clip(1.6 - 1.6 * np.abs(level - np.float32(middle)) / np.float32(half), 0.0, 1.0)


def _turn(gland: _Outline, size: int) -> Field:
    y, x = (axis[window(size, gland.centre, max(gland.radii) * 1.35)] for axis in grid(size))
    return np.arctan2(y - np.float32(gland.centre[0]), x - np.float32(gland.centre[1]))


def _tumour_nuclei(rng: np.random.Generator, field: Field) -> list[Points]:
    step = rng.uniform(0.07, 0.085)
    line = np.arange(-1.0, 1.0, step)
    rows, columns = np.meshgrid(line, line, indexing="ij")
    columns = columns + (np.arange(len(line)) % 2)[:, None] * step / 2
    places = np.stack([rows.ravel(), columns.ravel()], axis=1) + rng.normal(0, step * 0.17, (rows.size, 2))
    places = places[_sample(field, places) < 0.97]
    count = len(places)
    radii = step * rng.uniform(0.33, 0.64, (count, 1)) * rng.uniform(0.8, 1.2, (count, 2))
    return list(ellipse_outlines(places, radii, rng.uniform(0, np.pi, count), rng.uniform(0.8, 1.2, (count, 10))))


def _stroma_nuclei(rng: np.random.Generator, covered: Field) -> list[Points]:
    places = rng.uniform(-1.0, 1.0, (int(rng.integers(110, 220)), 2))
    places = places[_sample(covered, places) < 0.1]
    count = len(places)
    spindle = rng.random(count) < 0.6
    along = np.where(spindle, rng.uniform(0.03, 0.045, count), 0.02)
    across = np.where(spindle, 0.011, 0.019)
    direction = rng.uniform(0, np.pi) + rng.normal(0, 0.6, count)
    return list(ellipse_outlines(places, np.stack([along, across], axis=1), direction))


def _sample(field: Field, places: Points) -> Field:
    size = field.shape[0]
    index = np.clip(((places + 1.0) * size / 2.0).astype(int), 0, size - 1)
    return field[index[:, 0], index[:, 1]]


def _light(rng: np.random.Generator, hematoxylin: Field, eosin: Field) -> Field:
    """Transmitted light through the stained section, with the stain's and the scanner's variation."""
    blue = np.array([0.65, 0.70, 0.29]) + rng.normal(0, 0.035, 3)
    pink = np.array([0.09, 0.95, 0.28]) + rng.normal(0, 0.035, 3)
    strength = [rng.uniform(0.85, 1.25) for _ in range(2)]
    size = hematoxylin.shape[0]
    thickness = 1.0 + 0.05 * smooth_noise(rng, size, size / 3)
    depth_h = np.clip(hematoxylin, 0.0, 2.0) * (strength[0] * 1.55) * thickness
    depth_e = np.clip(eosin, 0.0, 2.0) * (strength[1] * 1.15) * thickness
    white = (np.array([0.95, 0.94, 0.95]) + rng.normal(0, 0.012, 3)).astype(np.float32)
    grain = rng.uniform(0.008, 0.025) * white_noise(rng, size)
    return np.exp(-coloured(depth_h, blue) - coloured(depth_e, pink)) * white + grain[..., None]


GENERATORS = (Generator("colon pathology", "pathology", SPECS, draw),)
