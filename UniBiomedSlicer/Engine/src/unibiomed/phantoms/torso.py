# SPDX-License-Identifier: Apache-2.0
"""An analytic torso in Hounsfield units: chest and upper abdomen of one random person, read plane by plane.

Coordinates in mm: x to the patient's left, y to the back, z up, with z = 0 near the top of the right diaphragm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unibiomed.phantoms.shapes import Field, fractal_noise, grid, rotate, smooth_noise, superellipse, white_noise
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise, tree
from unibiomed.phantoms.torso_findings import Findings

Mask = npt.NDArray[np.bool_]
ABDOMEN = (-215.0, 4.0)  # z range of abdominal slices
CHEST = (12.0, 172.0)  # z range of chest slices


@dataclasses.dataclass(frozen=True, eq=False)
class Section:
    """One plane: Hounsfield units float32 (size, size) and the mask of every target, empty ones included."""

    hu: Field
    masks: dict[str, Mask]


class Torso:
    """One random person. ``findings`` are the names of the abnormalities it has (see ``torso_findings``)."""

    def __init__(
        self, rng: np.random.Generator, size: int, findings: tuple[str, ...] = (), fov: float | None = None
    ) -> None:
        self.size = size
        self._noise_seed = int(rng.integers(2**32))
        self._place(rng, fov)
        self._tissue(rng)
        self._organs(rng)
        self._vessels(rng)
        self.findings = Findings(rng, self, findings)

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
        self._y, self._x = ry, rx
        per_pixel = self.size / 256
        self._bend = tuple(SolidNoise(rng, self.size, 55 * per_pixel, 70.0) for _ in range(2))
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
        self.grain = rng.uniform(6, 20)

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
        self.spleen = Ellipsoid(near(0.70 * cavity_x, 0.42 * cavity_y, -62), (30 * s, 46 * s, 54 * size()), -0.45)
        self.stomach = Ellipsoid(near(0.42 * cavity_x, -0.38 * cavity_y, -62), (44 * size(), 34 * size(), 52), 0.4)
        self.gas = rng.uniform(-0.2, 0.5)
        self.kidneys = {}
        for name, side, level in (("left kidney", 1.0, -112.0), ("right kidney", -1.0, -128.0)):
            s = size()
            centre = near(side * 0.53 * cavity_x, 0.46 * cavity_y, level)
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
        return self._x + amplitude * self._bend[0].at(z), self._y + amplitude * self._bend[1].at(z)

    def diaphragm(self, x: Field, y: Field) -> Field:
        """Height in mm of the diaphragm: two domes that fall steeply near the wall, deepest at the back."""
        cx, cy = self.cavity
        side = x < 0
        radius = np.sqrt(((np.abs(x) - 0.45 * cx) / (0.55 * cx)) ** 2 + ((y + 0.22 * cy) / (1.15 * cy)) ** 2)
        top = np.where(side, np.float32(self.dome[0]), np.float32(self.dome[1]))
        return top - np.float32(78.0) * np.minimum(radius, 1.3) ** 4

    def section(self, z: float) -> Section:
        """The plane at ``z`` mm, without the scan's noise."""
        x, y = self.plane(z)
        hu = np.full(x.shape, -1000.0, dtype=np.float32)
        cavity = self._wall(hu, x, y, z)
        masks = {}
        inside = cavity < 1.0
        lungs = self._lungs(x, y, z, cavity)
        self._soft(hu, x, y, z, inside, masks, lungs)
        self._spine(hu, x, y, z)
        self._lung_tissue(hu, x, y, z, lungs, masks)
        self.findings.draw(hu, x, y, z, masks)
        return Section(ndimage.gaussian_filter(hu, 0.6 * self.size / 256, truncate=2.5), masks)

    def scan(self, z: float) -> Section:
        """``section`` with correlated noise, the same for the same ``z``."""
        section = self.section(z)
        rng = np.random.default_rng([self._noise_seed, round((z + 1000) * 100)])
        noise = white_noise(rng, self.size, 0.7) + np.float32(0.6) * smooth_noise(rng, self.size, 3.0)
        streaks = np.float32(0.3) * fractal_noise(rng, self.size, 40.0, 2)
        return Section(section.hu + np.float32(self.grain) * (noise + streaks), section.masks)

    def _wall(self, hu: Field, x: Field, y: Field, z: float) -> Field:
        """Skin, fat, muscle and ribs; returns the field of the inner cavity."""
        waist = 1.0 - 0.04 * np.cos((z + 160) / 60) if z < 0 else 1.0
        w, d = self.width * waist, self.depth * waist
        outer = superellipse(y, x, (0, 0), (d, w), 0.0, self.boxy)
        taper = 1.0 - 0.30 * np.clip((z - 105) / 75, 0, 1) ** 1.5
        cx, cy = self.cavity[0] * waist * taper, self.cavity[1] * waist * (1 - (1 - taper) * 0.5)
        cavity = superellipse(y, x, (0, 0), (cy, cx), 0.0, self.boxy)
        cavity_power = (w - self.fat) / (w - self.fat - self.wall)
        muscle = superellipse(y, x, (0, 0), (d - self.fat * 1.1, w - self.fat), 0.0, self.boxy)
        hu[outer < 1.0] = 30.0
        np.copyto(hu, np.float32(self.hu["fat"]), where=outer < 1.0 - 2.2 / w)
        np.copyto(hu, np.float32(self.hu["muscle"]), where=muscle < 1.0)
        back = superellipse(y, np.abs(x), (0.80 * cy, 31.0), (26.0, 25.0), 0.0, 2.5)
        np.copyto(hu, np.float32(self.hu["muscle"]), where=back < 1.0)
        fatty = (cavity < 1.0) & (back >= 1.0)
        np.copyto(hu, np.float32(self.hu["fat"] + 4), where=fatty)
        if z > 105:  # the shoulder muscles lie on fat planes
            plane = np.abs(muscle - cavity_power * 0.97 - 0.06) < 0.02
            np.copyto(hu, np.float32(-70.0), where=plane & (cavity > 1.1) & (muscle < 1.0))
            blade = superellipse(y, np.abs(x), (0.62 * d, 0.60 * w), (6.0, 34.0), 0.0)
            blade = superellipse(*rotate(y, np.abs(x), -0.75, (0.55 * d, 0.64 * w)), (0, 0), (34.0, 5.5))
            np.copyto(hu, np.float32(260.0), where=(blade < 1.0) & (cavity > 1.06))
        self._ribs(hu, x, y, z, cavity)
        return cavity

    def _ribs(self, hu: Field, x: Field, y: Field, z: float, cavity: Field) -> None:
        ring = np.abs(cavity - np.float32(1.055)) < 0.042
        rows, columns = np.nonzero(ring)
        front = np.arctan2(np.abs(x[rows, columns]), y[rows, columns] / np.float32(0.7)) / np.float32(
            np.pi
        )  # 0 at the spine
        height = (z + self.rib_slope * front) / 25.0 + self.rib_phase
        shaft = np.abs(height - np.floor(height) - 0.5) < 0.19
        lowest = -150 + 60 * np.abs(front - 0.1) / 0.5
        bone = shaft & (front < 0.85) & (z > lowest)
        depth = np.abs(cavity[rows, columns] - np.float32(1.055)) / 0.042
        hu[rows[bone], columns[bone]] = np.where(depth[bone] > 0.45, 380.0, 190.0)
        if z > 15:
            breast = superellipse(y, x, (-1.06 * self.cavity[1], 0.0), (6.0, 19.0), 0.0, 3.0)
            np.copyto(hu, np.float32(210.0), where=breast < 1.0)

    def _spine(self, hu: Field, x: Field, y: Field, z: float) -> None:
        cy = self.cavity[1]
        phase = (z / 34.0 + self.disc_phase) % 1.0
        body = superellipse(y, x, (0.62 * cy, 0.0), (17.0, 22.0), 0.0, 2.4)
        np.copyto(hu, np.float32(420.0 if phase > 0.25 else 110.0), where=body < 1.0)
        np.copyto(hu, np.float32(190.0 if phase > 0.25 else 90.0), where=body < 0.87)
        arch = superellipse(y, x, (0.62 * cy + 28, 0.0), (15.0, 17.0), 0.0)
        process = superellipse(y, x, (0.62 * cy + 52, 0.0), (18.0, 4.5), 0.0)
        if phase > 0.35:
            wings = superellipse(y, np.abs(x), (0.62 * cy + 27, 26.0), (4.5, 17.0), 0.15)
            np.copyto(hu, np.float32(280.0), where=wings < 1.0)
        np.copyto(hu, np.float32(330.0), where=(arch < 1.0) | (process < 1.0))
        np.copyto(hu, np.float32(25.0), where=arch < 0.62)
        if z < -172:  # iliac wings
            crest = superellipse(*rotate(y, np.abs(x), 0.9, (0.45 * cy, 0.86 * self.cavity[0])), (0, 0), (7.0, 40.0))
            np.copyto(hu, np.float32(400.0), where=crest < 1.0)
            np.copyto(hu, np.float32(220.0), where=crest < 0.7)

    def _lungs(self, x: Field, y: Field, z: float, cavity: Field) -> Mask:
        """Both lungs, vessels included."""
        if z < -90:
            return np.zeros(x.shape, dtype=bool)
        cx, cy = self.cavity
        middle = 17.0 + 17.0 * np.exp(-(((y - 0.28 * cy) / (0.42 * cy)) ** 2))
        lungs = (cavity < 0.985) & (z > self.diaphragm(x, y)) & (np.abs(x) > middle)
        if z > 110:
            apex = np.sqrt(max(0.02, 1.0 - ((z - 110) / 82) ** 2))
            tops = superellipse(y, np.abs(x), (0.08 * cy, 0.50 * cx), (0.95 * cy * apex, 0.50 * cx * apex))
            lungs &= tops < 1.0
        heart = self.heart.section(x, y, z)
        if heart is not None:
            lungs &= heart > 1.06
        spine = superellipse(y, x, (0.62 * cy, 0.0), (24.0, 29.0), 0.0, 2.4)
        return lungs & (spine > 1.0)

    def _soft(self, hu: Field, x: Field, y: Field, z: float, inside: Mask, masks: dict[str, Mask], lungs: Mask) -> None:
        """Organs of abdomen and mediastinum, in the order in which they lie over one another."""
        cx, cy = self.cavity
        tone = self.hu
        below = inside & (z < self.diaphragm(x, y) - 2.0) if z > -90 else inside
        empty = np.zeros(x.shape, dtype=bool)
        if z > -60:  # mediastinum and the muscle of the diaphragm
            np.copyto(hu, np.float32(45.0), where=inside & ~lungs & ~below)
            middle = superellipse(y, x, (-0.25 * cy, 0.0), (0.62 * cy, 34.0), 0.0, 2.5)
            np.copyto(hu, np.float32(-60.0), where=(middle < 1.0) & inside & ~lungs)
        if z < -95:
            psoas = superellipse(y, np.abs(x), (0.60 * cy, 34.0), (19.0, 13.0 + min(8.0, (-95 - z) / 12)), 0.0)
            np.copyto(hu, np.float32(tone["muscle"]), where=psoas < 1.0)
        self._guts(hu, x, y, z, below)
        spine = superellipse(y, x, (0.62 * cy, 0.0), (19.0, 24.0), 0.0, 2.4) < 1.0
        kidneys = empty
        for name, solid in self.kidneys.items():
            masks[name] = self._kidney(hu, x, y, z, solid, 1.0 if name.startswith("left") else -1.0) & ~spine
            kidneys = kidneys | masks[name]
        free = below & ~spine & ~kidneys
        spleen = self.spleen.section(x, y, z)
        masks["spleen"] = empty if spleen is None else (spleen < 1.0) & free & (cavity_gap(x, y, self.cavity) < 0.97)
        np.copyto(hu, np.float32(tone["spleen"]), where=masks["spleen"])
        self._stomach(hu, x, y, z, free & ~masks["spleen"])
        lobes = [field for field in (solid.section(x, y, z) for solid in self.liver) if field is not None]
        masks["liver"] = empty
        if lobes:
            masks["liver"] = (np.minimum.reduce(lobes) < 1.0) & free & (cavity_gap(x, y, self.cavity) < 0.985)
            portal = self.portal.opacity(z, 2.5, self.pixel, self.origin(), self.size)
            gain = np.float32(0.45 * (tone["blood"] - tone["liver"]))
            np.copyto(hu, np.float32(tone["liver"]) + gain * portal, where=masks["liver"])
        if self.gallbladder is not None:
            np.copyto(hu, np.float32(8.0), where=self.gallbladder.inside(x, y, z) & free)
        self._great_vessels(hu, x, y, z, masks, inside)
        heart = self.heart.section(x, y, z)
        masks["heart"] = empty if heart is None else (heart < 1.0) & inside & ~below & ~spine
        if heart is not None:
            np.copyto(hu, np.float32(tone["muscle"] + 35), where=masks["heart"])
            chambers = np.minimum(
                superellipse(y, x, (self.heart.centre[1] + 8, self.heart.centre[0] + 17), (19, 26), -0.5),
                superellipse(y, x, (self.heart.centre[1] - 10, self.heart.centre[0] - 18), (18, 22), -0.5),
            )
            np.copyto(hu, np.float32(tone["blood"] + 15), where=masks["heart"] & (chambers < 1.0) & (heart < 0.82))
            np.copyto(hu, np.float32(-80.0), where=(heart >= 1.0) & (heart < 1.06) & inside & ~below)

    def _kidney(self, hu: Field, x: Field, y: Field, z: float, solid: Ellipsoid, side: float) -> Mask:
        field = solid.section(x, y, z)
        if field is None:
            return np.zeros(x.shape, dtype=bool)
        near = 1.0 - abs(z - solid.centre[2]) / (0.55 * solid.radii[2])
        mask = field < 1.0
        if near > 0:
            hilum = superellipse(
                y, x, (solid.centre[1] - 5, solid.centre[0] - side * 15), (9 * near**0.5, 14 * near**0.5)
            )
            np.copyto(hu, np.float32(self.hu["fat"] + 25), where=(hilum < 1.0) & (field < 1.05))
            mask &= hilum >= 1.0
        np.copyto(hu, np.float32(self.hu["kidney"]), where=mask)
        if self.hu["kidney"] > 80:
            np.copyto(hu, np.float32(self.hu["kidney"] - 28), where=mask & (field < 0.66))
        return mask

    def _stomach(self, hu: Field, x: Field, y: Field, z: float, free: Mask) -> None:
        field = self.stomach.section(x, y, z)
        if field is None:
            return
        where = free & (field < 1.0)
        np.copyto(hu, np.float32(65.0), where=where)
        np.copyto(hu, np.float32(22.0), where=where & (field < 0.88))
        level = self.stomach.centre[1] - self.gas * self.stomach.radii[1] - 8
        np.copyto(hu, np.float32(-950.0), where=where & (field < 0.88) & (y < level))

    def _guts(self, hu: Field, x: Field, y: Field, z: float, below: Mask) -> None:
        if z > -80:
            return
        vessels = self.mesentery.opacity(z, 3.0, self.pixel, self.origin(), self.size)
        hu += np.where(below & (hu < 0), vessels * np.float32(130), 0)
        free = below & (cavity_gap(x, y, self.cavity) < 0.97)
        for solid, content in self.bowel:
            box = self.box(solid.centre[0], solid.centre[1], max(solid.radii))
            field = solid.section(x[box], y[box], z)
            if field is None:
                continue
            where = free[box] & (field < 1.0)
            part = hu[box]
            np.copyto(part, np.float32(60.0), where=where)
            core = where & (field < 0.8)
            np.copyto(part, np.float32(25.0 if content < 0.7 else 90.0), where=core)
            if content > 0.85 or content < 0.15:
                np.copyto(part, np.float32(-900.0), where=core & (y[box] < solid.centre[1] - 2))

    def _great_vessels(self, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask], inside: Mask) -> None:
        cy, blood, r = self.cavity[1], np.float32(self.hu["blood"]), self.aorta_radius
        front = 0.62 * cy - 17 - r
        masks["aorta"] = np.zeros(x.shape, dtype=bool)
        if z > -196:
            lift = np.clip((z + 60) / 120, 0, 1)  # beside the spine in the chest, before it in the abdomen
            place = (front + 14 * lift, self.aorta_x + 13 * lift)
            if z < 112:
                masks["aorta"] = superellipse(y, x, place, (r, r)) < 1.0
        else:
            for side in (-1, 1):
                np.copyto(hu, blood, where=superellipse(y, x, (front, side * (6 + (-196 - z) * 0.6)), (7.5, 7.5)) < 1.0)
        np.copyto(hu, blood, where=masks["aorta"])
        if z < 20:
            cava = superellipse(y, x, (front + 1, -20.0), (10.5, 13.0)) < 1.0
            np.copyto(hu, np.float32(blood - 14), where=cava & ~masks["aorta"] & (inside))
        if 30 < z < 112:
            for place, radius in (((-18.0, -10.0), 15.0), ((-12.0, -38.0), 9.0)):
                if z > 88 or radius < 10:
                    np.copyto(hu, blood, where=superellipse(y, x, place, (radius, radius)) < 1.0)
        if 112 <= z < 130:
            arch = superellipse(*rotate(y, x, 0.95, (2.0, 6.0)), (0, 0), (13.0, 38.0))
            np.copyto(hu, blood, where=(arch < 1.0) & inside)
        if z >= 130:
            for place in ((-12.0, -14.0), (-8.0, 4.0), (2.0, 20.0), (-16.0, -28.0), (-14.0, 26.0)):
                np.copyto(hu, blood, where=superellipse(y, x, place, (6.0, 6.0)) < 1.0)
        if z > 60:
            spread = np.clip((95 - z) / 1.5, 0, 26)
            for side in (-1, 1):
                tube = superellipse(y, x, (8.0, side * spread), (8.5, 8.5 if spread < 9 else 11.0)) < 1.0
                np.copyto(hu, np.float32(-990.0), where=tube)

    def _lung_tissue(self, hu: Field, x: Field, y: Field, z: float, lungs: Mask, masks: dict[str, Mask]) -> None:
        masks["right lung"], masks["left lung"] = lungs & (x < 0), lungs & (x >= 0)
        if not lungs.any():
            return
        rng = np.random.default_rng([self._noise_seed, 7])
        tissue = np.float32(self.hu["lung"]) + np.float32(22) * smooth_noise(rng, self.size, 9 * self.size / 256)
        tissue += np.float32(45) * (y / np.float32(self.cavity[1]))
        for branch in self.trees:
            tissue += branch.opacity(z, 3.0, self.pixel, self.origin(), self.size) * np.float32(820)
        np.copyto(hu, np.minimum(tissue, np.float32(60)), where=lungs)


def cavity_gap(x: Field, y: Field, radii: tuple[float, float]) -> Field:
    """Field of the cavity's mean ellipse (x, y radii): keeps organs off the wall."""
    return superellipse(y, x, (0.0, 0.0), (radii[1], radii[0]), 0.0, 2.4)
