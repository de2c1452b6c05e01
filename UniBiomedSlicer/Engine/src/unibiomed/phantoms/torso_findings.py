# SPDX-License-Identifier: Apache-2.0
"""Abnormalities of the analytic torso as 3-D solids: where they lie, how they look, and their truth."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.shapes import Field
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise
from unibiomed.phantoms.torso_build import Build, Canvas, Mask

ABDOMINAL = ("liver tumor", "kidney tumor")
THORACIC = ("lung nodule", "pleural effusion", "COVID-19 infection")


class Finding:
    """One abnormality. ``level`` is a height (mm) at which it is well seen."""

    solids: tuple[Ellipsoid, ...] = ()
    level = 0.0

    def __init__(self, rng: np.random.Generator, body: Build) -> None:
        self.body = body
        self.rough = SolidNoise(rng, body.size, 9 * body.size / 256, 12.0)
        self.place(rng)

    def place(self, rng: np.random.Generator) -> None:
        """Choose where it lies: sets ``solids`` and ``level``."""
        raise NotImplementedError

    def paint(self, canvas: Canvas) -> Mask:
        """Lay it over a section; returns its mask and mends those of the organs."""
        raise NotImplementedError

    def field(self, canvas: Canvas, rough: float) -> Field | None:
        """Field of the solids' section with an uneven edge; None where the plane misses them."""
        sections = (solid.section(canvas.x, canvas.y, canvas.z) for solid in self.solids)
        fields = [field for field in sections if field is not None]
        if not fields:
            return None
        return np.minimum.reduce(fields) + np.float32(rough) * self.rough.at(canvas.z)

    def texture(self, canvas: Canvas) -> Field:
        """Noise for its inside, unrelated to its edge."""
        return self.rough.at(canvas.z + 500)

    def centre_on(self, rng: np.random.Generator, solid: Ellipsoid) -> None:
        """Take one solid, seen best within the middle of its height."""
        self.solids = (solid,)
        self.level = solid.centre[2] + float(rng.uniform(-0.4, 0.4)) * solid.radii[2]


class LiverTumor(Finding):
    """A hypodense mass in the right lobe."""

    def place(self, rng: np.random.Generator) -> None:
        """Anywhere in the lobe but its rim."""
        lobe = self.body.liver[0]
        turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
        x = lobe.centre[0] + reach * 0.75 * lobe.radii[0] * np.cos(turn)
        y = lobe.centre[1] + reach * 0.9 * lobe.radii[1] * np.sin(turn)
        radii = rng.uniform(13, 27) * rng.uniform(0.85, 1.2, 3)
        self.centre_on(rng, Ellipsoid((x, y, rng.uniform(-105, -38)), tuple(radii), rng.uniform(0, 3)))
        self._tone = self.body.hu["liver"] - rng.uniform(42, 65)

    def paint(self, canvas: Canvas) -> Mask:
        """Darker than the liver, darkest in its middle; the liver's mask keeps it."""
        field = self.field(canvas, 0.09)
        if field is None:
            return canvas.nothing()
        mask = (field < 1.0) & canvas.masks["liver"]
        canvas.fill(self._tone - np.float32(14) * (field < 0.5) + np.float32(5) * self.texture(canvas), mask)
        return mask


class KidneyTumor(Finding):
    """A mass that grows out of one kidney."""

    def place(self, rng: np.random.Generator) -> None:
        """At the outer border of the kidney."""
        self._side = ("left kidney", "right kidney")[int(rng.integers(2))]
        organ = self.body.kidneys[self._side]
        turn = rng.uniform(-0.9, 0.9)
        sign = 1.0 if self._side.startswith("left") else -1.0
        x = organ.centre[0] + sign * organ.radii[0] * 0.75 * np.cos(turn)
        y = organ.centre[1] + organ.radii[1] * 0.75 * np.sin(turn)
        z = organ.centre[2] + rng.uniform(-0.5, 0.5) * organ.radii[2]
        self.centre_on(rng, Ellipsoid((x, y, z), tuple(rng.uniform(13, 23) * rng.uniform(0.9, 1.1, 3))))
        self._tone = max(72.0, self.body.hu["kidney"] - rng.uniform(60, 85))

    def paint(self, canvas: Canvas) -> Mask:
        """Uneven, with a dark core; it pushes liver and spleen aside and counts as kidney too."""
        field = self.field(canvas, 0.09)
        if field is None:
            return canvas.nothing()
        masks = canvas.masks
        mask = (field < 1.0) & ~masks["aorta"] & (self.body.gap(canvas.x, canvas.y) < 1.0)
        canvas.fill(self._tone + np.float32(14) * self.texture(canvas) - np.float32(34) * (field < 0.55), mask)
        for organ in ("liver", "spleen"):
            masks[organ] = masks[organ] & ~mask
        masks[self._side] = masks[self._side] | mask
        return mask


class LungNodule(Finding):
    """A solid nodule in one lung."""

    def place(self, rng: np.random.Generator) -> None:
        """Anywhere in a lung."""
        x, y = lung_place(rng, self.body, rng.choice((-1.0, 1.0)), rng.uniform(0, 0.75))
        radii = rng.uniform(9, 20) * rng.uniform(0.85, 1.15, 3)
        self.centre_on(rng, Ellipsoid((x, y, rng.uniform(35, 125)), tuple(radii), rng.uniform(0, 3)))

    def paint(self, canvas: Canvas) -> Mask:
        """Soft tissue; the lung's mask keeps it."""
        field = self.field(canvas, 0.12)
        if field is None:
            return canvas.nothing()
        mask = (field < 1.0) & (canvas.masks["left lung"] | canvas.masks["right lung"])
        canvas.fill(35.0, mask)
        return mask


class PleuralEffusion(Finding):
    """Fluid behind one lung."""

    def place(self, rng: np.random.Generator) -> None:
        """One side, little or much."""
        self._lung = ("left lung", "right lung")[int(rng.integers(2))]
        self._surface = rng.uniform(0.05, 0.42)
        self.level = float(rng.uniform(14, 75))

    def paint(self, canvas: Canvas) -> Mask:
        """It lies at the back, lower towards the apex, and climbs along the chest wall; it takes the lung's place."""
        cx, cy = self.body.cavity
        surface = self._surface + 0.0045 * max(0.0, canvas.z - 20) + np.float32(0.04) * self.rough.at(canvas.z)
        outward = np.square((np.abs(canvas.x) / np.float32(cx) - np.float32(0.5)).clip(0, 1))
        mask = canvas.masks[self._lung] & (canvas.y / np.float32(cy) + np.float32(0.9) * outward > surface)
        canvas.fill(12.0, mask)
        canvas.masks[self._lung] = canvas.masks[self._lung] & ~mask
        return mask


class Infection(Finding):
    """Ground-glass patches near the chest wall, in one lung or both."""

    def place(self, rng: np.random.Generator) -> None:
        """One or two patches a side, all near one level."""
        sides = (-1.0, 1.0) if rng.random() < 0.55 else (rng.choice((-1.0, 1.0)),)
        self.level = float(rng.uniform(35, 115))
        solids = []
        for side in sides:
            for _ in range(int(rng.integers(1, 3))):
                x, y = lung_place(rng, self.body, side, rng.uniform(0.7, 1.0))
                centre = (x, y, self.level + rng.normal(0, 8))
                solids.append(Ellipsoid(centre, (*rng.uniform(18, 34, 2), 30.0), rng.uniform(0, 3)))
        self.solids = tuple(solids)
        self._tone = rng.uniform(-600, -430)

    def paint(self, canvas: Canvas) -> Mask:
        """A haze through which the vessels still show; the lung's mask keeps it."""
        field = self.field(canvas, 0.14)
        if field is None:
            return canvas.nothing()
        mask = (field < 1.0) & (canvas.masks["left lung"] | canvas.masks["right lung"])
        haze = np.float32(self._tone) + np.float32(110) * self.texture(canvas)
        edge = np.clip((np.float32(1.0) - field) * np.float32(4.0), 0.35, 1.0)
        canvas.fill(np.maximum(canvas.hu, canvas.hu + edge * (haze - canvas.hu)), mask)
        return mask


FINDINGS: dict[str, type[Finding]] = {
    "liver tumor": LiverTumor,
    "kidney tumor": KidneyTumor,
    "lung nodule": LungNodule,
    "pleural effusion": PleuralEffusion,
    "COVID-19 infection": Infection,
}


def lung_place(rng: np.random.Generator, body: Build, side: float, rim: float) -> tuple[float, float]:
    """A place (x, y) in the lung of one side (1 left): ``rim`` 0 near its middle .. 1 at the chest wall."""
    cx, cy = body.cavity
    turn = rng.uniform(-1.9, 1.9)
    return side * (0.57 * cx + rim * 0.36 * cx * np.cos(turn)), 0.05 * cy + rim * 0.72 * cy * np.sin(turn)
