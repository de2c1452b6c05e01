# SPDX-License-Identifier: Apache-2.0
"""The build of one random torso: pose, tissue densities and where its organs lie.

Coordinates in mm: x to the patient's left, y to the back, z up, with z = 0 near the top of the right diaphragm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from unibiomed.phantoms.shapes import Field, grid, rotate, superellipse
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise, tree

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(eq=False)
class Canvas:
    """One plane being painted: Hounsfield units ``hu`` over body coordinates ``x``, ``y`` (mm) at height ``z``."""

    hu: Field
    x: Field
    y: Field
    z: float
    masks: dict[str, Mask]

    def fill(self, value: float | Field, where: Mask) -> None:
        """Paint ``value`` (one, or one a pixel) where the mask is set."""
        np.copyto(self.hu, value, where=where, casting="same_kind")

    def nothing(self) -> Mask:
        """An empty mask."""
        return np.zeros(self.hu.shape, dtype=bool)


class Build:
    """Everything that is fixed for one person and scan; ``torso_wall`` and ``torso_organs`` paint from it."""

    def __init__(self, rng: np.random.Generator, size: int, fov: float | None = None) -> None:
        self.size = size
        self.noise_seed = int(rng.integers(2**32))
        self._place(rng, fov)
        self._tissue(rng)
        self._organs(rng)
        self._vessels(rng)

    def _place(self, rng: np.random.Generator, fov: float | None) -> None:
        """Pose, outline and the smooth deformation of the whole body."""
        self.width = rng.uniform(148, 170)
        self.depth = self.width * rng.uniform(0.66, 0.78)
        self.pixel = (fov or self.width * rng.uniform(2.12, 2.45)) / self.size
        self.shift = rng.normal(0, 4.0, 2)
        self.turn = rng.normal(0, 0.04)
        y, x = grid(self.size)
        half = self.pixel * self.size / 2
        ry, rx = rotate(y * np.float32(half), x * np.float32(half), self.turn, tuple(self.shift))
        self.y, self.x = ry, rx
        per_pixel = self.size / 256
        self.bend = tuple(SolidNoise(rng, self.size, 55 * per_pixel, 70.0) for _ in range(2))
        self.fat = rng.uniform(7, 24)
        self.wall = rng.uniform(8, 13)
        self.boxy = rng.uniform(2.2, 2.6)
        self.rib_phase, self.rib_slope = rng.uniform(0, 1), rng.uniform(90, 130)
        self.disc_phase = rng.uniform(0, 1)

    def _tissue(self, rng: np.random.Generator) -> None:
        """Hounsfield units of one contrast phase, and the grain of the scan."""
        plain = rng.random() < 0.12
        uptake = 0.0 if plain else rng.uniform(0.8, 1.15)
        self.hu = {
            "fat": rng.uniform(-110, -90),
            "muscle": rng.uniform(48, 62),
            "liver": 58 + 48 * uptake + rng.uniform(-6, 6),
            "spleen": 50 + 66 * uptake + rng.uniform(-6, 6),
            "kidney": 34 + 130 * uptake + rng.uniform(-10, 10),
            "blood": 42 + 108 * uptake + rng.uniform(-10, 10),
            "lung": rng.uniform(-890, -820),
        }
        self.grain = rng.uniform(5, 16)

    def _organs(self, rng: np.random.Generator) -> None:
        def size(low: float = 0.88, high: float = 1.12) -> float:
            return float(rng.uniform(low, high))

        def near(*centre: float) -> tuple[float, ...]:
            return tuple(np.asarray(centre) + rng.normal(0, 4.0, len(centre)))

        w, d = self.width / 160, self.depth / 110
        cavity_x, cavity_y = self.width - self.fat - self.wall, self.depth - self.fat - self.wall
        self.cavity = (cavity_x, cavity_y)
        self.dome = (rng.uniform(2, 8), rng.uniform(-14, -4))
        s = size()
        self.liver = (
            Ellipsoid(
                near(-0.52 * cavity_x, -2, -75), (0.53 * cavity_x * s, 0.92 * cavity_y * s, 92 * size()), 0.0, 2.3
            ),
            Ellipsoid(
                near(-0.02 * cavity_x, -0.5 * cavity_y, -52), (88 * w * size(), 34 * d * size(), 46 * size()), 0.12
            ),
        )
        s = size()
        self.spleen = Ellipsoid(near(0.74 * cavity_x, 0.40 * cavity_y, -60), (30 * s, 46 * s, 54 * size()), -0.45)
        self.stomach = Ellipsoid(near(0.42 * cavity_x, -0.38 * cavity_y, -62), (44 * size(), 34 * size(), 52), 0.4)
        self.gas = rng.uniform(-0.2, 0.5)
        self.kidneys = {}
        for name, side, level in (("left kidney", 1.0, -112.0), ("right kidney", -1.0, -128.0)):
            s = size()
            centre = near(side * 0.49 * cavity_x, 0.46 * cavity_y, level)
            self.kidneys[name] = Ellipsoid(centre, (25 * s, 31 * s, 56 * size()), side * 0.5)
        self.aorta_radius = rng.uniform(11, 14)
        self.aorta_x = rng.uniform(8, 15)
        self.heart = Ellipsoid(
            near(0.17 * cavity_x, -0.26 * cavity_y, 62), (56 * size(), 44 * size(), 56 * size()), -0.5
        )
        self.gallbladder = Ellipsoid(near(-42, -0.42 * cavity_y, -118), (14, 17, 26)) if rng.random() < 0.5 else None
        count = 44
        spots = np.stack(
            [rng.uniform(-0.85, 0.85, count) * cavity_x, rng.uniform(-0.9, 0.25, count) * cavity_y], axis=1
        )
        levels = rng.uniform(-235, -85, count)
        self.bowel = [
            (Ellipsoid((*spot, level), tuple(rng.uniform(13, 25, 3)), rng.uniform(0, 3)), rng.random())
            for spot, level in zip(spots, levels, strict=True)
        ]

    def _vessels(self, rng: np.random.Generator) -> None:
        cx, cy = self.cavity
        self.trees = []
        for side in (-1.0, 1.0):
            count = 60
            angle, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0.05, 0.9, count))
            tips = np.stack(
                [
                    side * 0.58 * cx + 0.36 * cx * reach * np.cos(angle),
                    0.82 * cy * reach * np.sin(angle),
                    rng.uniform(-30, 165, count),
                ],
                axis=1,
            )
            self.trees.append(tree(rng, (side * 34.0, 2.0, 82.0), tips, 3.6, 6.0))
        centre = np.array(self.liver[0].centre)
        tips = centre + rng.uniform(-1, 1, (14, 3)) * (0.42 * cx, 0.7 * cy, 60)
        self.portal = tree(rng, (-24.0, 0.0, -80.0), tips, 5.0, 5.0)
        tips = rng.uniform(-1, 1, (26, 3)) * (0.75 * cx, 0.6 * cy, 55) + (0, -0.2 * cy, -160)
        self.mesentery = tree(rng, (4.0, 0.0, -130.0), tips, 3.0, 8.0)

    def origin(self) -> tuple[float, float]:
        """(x, y) in mm of the image's upper left corner, without the body's turn (vessels ignore it: it is small)."""
        half = self.pixel * self.size / 2
        return -half - self.shift[1], -half - self.shift[0]

    def box(self, x: float, y: float, radius: float) -> tuple[slice, slice]:
        """Rows and columns that surely hold a disc (mm), whatever the body's turn and deformation."""
        left, top = self.origin()
        reach = radius + 14.0 + abs(self.turn) * (abs(x) + abs(y))
        low = np.floor((np.array((y - top, x - left)) - reach) / self.pixel).astype(int).clip(0, self.size)
        high = np.ceil((np.array((y - top, x - left)) + reach) / self.pixel).astype(int).clip(0, self.size)
        return slice(low[0], high[0]), slice(low[1], high[1])

    def plane(self, z: float) -> tuple[Field, Field]:
        """Body coordinates (x, y) in mm of the pixels of the axial plane at ``z``, deformation included."""
        amplitude = np.float32(3.0)
        return self.x + amplitude * self.bend[0].at(z), self.y + amplitude * self.bend[1].at(z)

    def aorta_place(self, z: float) -> tuple[float, float]:
        """(y, x) of the descending aorta: before the spine in the abdomen, beside it in the chest."""
        lift = float(np.clip((z + 60) / 120, 0, 1))
        return 0.62 * self.cavity[1] - 17 - self.aorta_radius + 14 * lift, self.aorta_x + 13 * lift

    def gap(self, x: Field, y: Field) -> Field:
        """Field of the cavity's mean ellipse: keeps organs off the wall."""
        return superellipse(y, x, (0.0, 0.0), (self.cavity[1], self.cavity[0]), 0.0, 2.4)

    def diaphragm(self, x: Field, y: Field) -> Field:
        """Height in mm of the diaphragm: two domes that fall steeply near the wall, deepest at the back."""
        cx, cy = self.cavity
        side = x < 0
        radius = np.sqrt(((np.abs(x) - 0.45 * cx) / (0.55 * cx)) ** 2 + ((y + 0.22 * cy) / (1.15 * cy)) ** 2)
        top = np.where(side, np.float32(self.dome[0]), np.float32(self.dome[1]))
        return top - np.float32(78.0) * np.minimum(radius, 1.3) ** 4
