# SPDX-License-Identifier: Apache-2.0
"""An analytic head: scalp, skull, brain, ventricles and face of one random person, read plane by plane as tissues.

Coordinates in mm: x to the patient's left, y to the back, z up, with the origin between the thalami.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from unibiomed.phantoms.shapes import Field, grid, rotate, superellipse
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise

Mask = npt.NDArray[np.bool_]
LEVELS = (-46.0, 66.0)  # z range of axial slices
BRAIN_LEVELS = (-30.0, 58.0)  # z range in which a tumor may lie
TISSUES = ("air", "skin", "fat", "muscle", "bone", "marrow", "csf", "grey", "white", "eye", "tumor", "core")


@dataclasses.dataclass(frozen=True, eq=False)
class HeadSection:
    """One plane: tissue numbers uint8 (index into ``TISSUES``) and the mask of every target, empty ones included."""

    tissue: npt.NDArray[np.uint8]
    masks: dict[str, Mask]


class Head:
    """One random person, with a tumor or without."""

    def __init__(self, rng: np.random.Generator, size: int, tumor: bool = False, fov: float | None = None) -> None:
        self.size = size
        self.radii = (rng.uniform(70, 80), rng.uniform(88, 100), rng.uniform(84, 94))
        self.pixel = (fov or 2 * self.radii[1] * rng.uniform(1.06, 1.4)) / size
        y, x = grid(size)
        half = np.float32(self.pixel * size / 2)
        room = max(0.0, float(half) - self.radii[1] - 3.0)
        shift = rng.uniform(-0.7, 0.7, 2) * min(room, 14.0)
        self._y, self._x = rotate(y * half, x * half, rng.normal(0, 0.09), tuple(shift))
        unit = size / 256
        self._bend = tuple(SolidNoise(rng, size, 60 * unit, 60.0) for _ in range(2))
        self._folds = SolidNoise(rng, size, rng.uniform(6.0, 7.5) * unit, 8.0)
        self._ribbon = SolidNoise(rng, size, 9 * unit, 9.0)
        self._mess = SolidNoise(rng, size, 6 * unit, 6.0)
        self.scalp, self.skull, self.gap = rng.uniform(4.5, 8.5), rng.uniform(5.5, 8.0), rng.uniform(1.5, 4.0)
        self._parts(rng)
        self._tumor = self._place_tumor(rng) if tumor else None

    def _parts(self, rng: np.random.Generator) -> None:
        wide = rng.uniform(0.85, 1.5)  # ventricles vary most among people
        k = self.radii[1] / 94
        self.horns = []
        for side in (-1, 1):
            self.horns.append(Ellipsoid((side * 11.5 * wide, -10 * k, 17), (7.5 * wide, 31 * k, 14), side * 0.22))
            self.horns.append(Ellipsoid((side * 24 * wide**0.5, 27 * k, 9), (7.5 * wide, 17 * k, 13), side * -0.38))
        self.middle = [Ellipsoid((0, 6, 1), (2.6 + wide, 12, 9)), Ellipsoid((0, 31, -36), (8, 6, 9))]
        self.nuclei = []
        for side in (-1, 1):
            self.nuclei.append(Ellipsoid((side * (13 + 7 * wide), -15, 12), (5.5, 13, 12), side * 0.25))
            self.nuclei.append(Ellipsoid((side * 29, -4, 5), (6.5, 18, 12), side * 0.22))
            self.nuclei.append(Ellipsoid((side * 13, 11, 6), (9, 14, 10), side * -0.4))

    def _place_tumor(self, rng: np.random.Generator) -> Ellipsoid:
        z = float(rng.uniform(*BRAIN_LEVELS))
        r = float(rng.uniform(9, 21))
        level = self._shell(z)
        turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.8) ** 0.7
        spread = max(0.0, 1.0 - level) ** 0.5 * 0.82
        x = reach * spread * max(8.0, self.radii[0] - r) * np.cos(turn)
        x = float(np.copysign(max(abs(x), 10.0), x))
        y = float(reach * spread * max(8.0, self.radii[1] - r) * np.sin(turn))
        if z < -5:
            x, y = float(np.copysign(rng.uniform(30, 42), x)), float(rng.uniform(-12, 14))
        return Ellipsoid((x, y, z), (*(r * rng.uniform(0.8, 1.2, 2)), r), rng.uniform(0, 3))

    @property
    def tumor_level(self) -> float:
        """z (mm) of the tumor's centre; only for a head with a tumor."""
        return self._tumor.centre[2]

    @property
    def tumor_height(self) -> float:
        """Half height (mm) of the tumor; only for a head with a tumor."""
        return self._tumor.radii[2]

    def _shell(self, z: float) -> float:
        """Share of the head's field that the height alone gives: the skull's vault above, a slow taper below."""
        return (z / self.radii[2]) ** 2 if z > 0 else (z / 190.0) ** 2

    def plane(self, z: float) -> tuple[Field, Field]:
        """Head coordinates (x, y) in mm of the pixels of the axial plane at ``z``, deformation included."""
        amplitude = np.float32(2.2)
        return self._x + amplitude * self._bend[0].at(z), self._y + amplitude * self._bend[1].at(z)

    def section(self, z: float) -> HeadSection:
        """The plane at ``z`` mm."""
        x, y = self.plane(z)
        shell = self._shell(z)
        rx, ry = self.radii[0], self.radii[1]
        egg = np.float32(1.0) - np.float32(0.0009) * y  # the forehead is narrower than the back
        flat = ((x * egg) / np.float32(rx)) ** 2 + (y / np.float32(ry)) ** 2
        head = np.sqrt(flat + np.float32(shell))
        tissue = np.zeros(x.shape, dtype=np.uint8)
        edge = {}
        depth = 0.0
        scale = (
            float(np.sqrt(rx * ry)) * max(0.35, 1.0 - shell) ** 0.5
        )  # mm a unit of the field, steeper near the vertex
        for name, thickness in (
            ("skin", 1.5),
            ("fat", self.scalp),
            ("bone", self.skull),
            ("csf", self.gap),
            ("brain", 0.0),
        ):
            edge[name] = 1.0 - depth / scale
            depth += thickness
        self._fill(tissue, "skin", head < 1.0)
        self._fill(tissue, "fat", head < edge["fat"])
        if z < 5:  # temporal muscles between fat and skull
            muscle = (head < edge["fat"] - 2.0 / scale) & (np.abs(x) > 0.55 * rx) & (y < 15)
            self._fill(tissue, "muscle", muscle)
        self._fill(tissue, "bone", head < edge["bone"])
        third = (edge["bone"] - edge["csf"]) * 0.33
        marrow = (head < edge["bone"] - third) & (head > edge["csf"] + third)
        self._fill(tissue, "marrow", marrow & (self._mess.at(z) > -1.1))
        self._fill(tissue, "csf", head < edge["csf"])
        brain = self._brain(x, y, z, head < edge["brain"])
        if z < 0:
            self._base(tissue, x, y, z, head < edge["csf"], brain)
        self._cortex(tissue, x, y, z, head / np.float32(edge["brain"]), brain)
        masks = {"brain": brain, "ventricles": self._ventricles(x, y, z) & brain}
        for nucleus in self.nuclei:
            self._fill(tissue, "grey", nucleus.inside(x, y, z) & brain)
        self._fill(tissue, "csf", masks["ventricles"])
        masks["tumor"] = self._draw_tumor(tissue, x, y, z, brain, masks)
        return HeadSection(tissue, masks)

    @staticmethod
    def _fill(tissue: npt.NDArray[np.uint8], name: str, where: Mask) -> None:
        np.copyto(tissue, np.uint8(TISSUES.index(name)), where=where)

    def _brain(self, x: Field, y: Field, z: float, within: Mask) -> Mask:
        if z > -12:
            return within & (y > -200 + 0.0 * x)
        front = -0.93 * self.radii[1] + (-12.0 - z) * 4.5  # the floor of the front fossa rises towards the forehead
        cerebrum = (y > front) & (y < 200) if z > -24 else (y > 30) & (z > -30)
        k = self.radii[0] / 75
        lobes = superellipse(y, np.abs(x), (-6.0, 41.0 * k), (_round(z, -24, 27) * 38, _round(z, -24, 27) * 25), -0.15)
        small = superellipse(y, np.abs(x), (46.0, 20.0), (_round(z, -40, 32) * 31, _round(z, -40, 32) * 31), 0.0, 2.3)
        stem = superellipse(y, x, (17.0, 0.0), (14.0, 15.0))
        return within & (cerebrum | (lobes < 1.0) | (small < 1.0) | (stem < 1.0))

    def _cortex(self, tissue: npt.NDArray[np.uint8], x: Field, y: Field, z: float, depth: Field, brain: Mask) -> None:
        """White matter, the folded grey ribbon and the sulci between the folds."""
        self._fill(tissue, "white", brain)
        folds, ribbon = self._folds.at(z), self._ribbon.at(z)
        thin = np.float32(max(0.45, 1.0 - self._shell(z)))
        outer = (np.float32(1.0) - depth) / thin  # about 0 at the brain's surface, 1 in the middle
        if z < -20:
            outer = outer * np.float32(0.75)
        line = np.abs(folds)
        grey = (outer < 0.075 + 0.02 * ribbon) | ((line < 0.55) & (outer < 0.40 + 0.08 * ribbon))
        middle = np.abs(x + 1.2 * ribbon)
        fissure = (z > -20) & (middle < 5.5) & ((outer < 0.42) | (z > 34)) & (np.abs(y) > 14 if z < 34 else outer > -1)
        island = superellipse(y, np.abs(x), (-4.0, 41.0), (20.0, 5.5), 0.12)
        insula = (island < 1.0) & (-16 < z < 18)
        self._fill(tissue, "grey", brain & (grey | fissure | insula))
        if z < -20:  # the fine leaves of the cerebellum
            leaves = superellipse(y, np.abs(x), (46.0, 20.0), (31.0, 31.0), 0.0, 2.3)
            self._fill(tissue, "grey", brain & (leaves < 1.0) & ((leaves > 0.55) | (ribbon > 0.2)))
        sulci = ((line < 0.15) & (outer < 0.31 + 0.07 * ribbon)) | (fissure & (middle < 1.5))
        sulci |= insula & (island < 0.42)
        self._fill(tissue, "csf", brain & sulci)

    def _ventricles(self, x: Field, y: Field, z: float) -> Mask:
        fields = [f for f in (solid.section(x, y, z) for solid in (*self.horns, *self.middle)) if f is not None]
        if not fields:
            return np.zeros(x.shape, dtype=bool)
        return np.minimum.reduce(fields) < 1.0

    def _base(self, tissue: npt.NDArray[np.uint8], x: Field, y: Field, z: float, within: Mask, brain: Mask) -> None:
        """Skull base, orbits, sinuses and face: what lies around the brain below the front fossa."""
        mess = self._mess.at(z)
        around = within & ~brain
        if z < -12:
            self._fill(tissue, "muscle", around)
            self._fill(tissue, "marrow", around & (mess > 0.2))
            self._fill(tissue, "bone", around & (np.abs(mess) < 0.3))
            front = around & (y < -0.4 * self.radii[1])
            self._fill(tissue, "fat", front & (mess > 0.9))
            gap = brain_rim(brain)
            self._fill(tissue, "csf", gap & around)
        k = self.radii[1] / 94
        for side in (-1, 1):
            orbit = Ellipsoid((side * 31, -63 * k, -32), (19, 25, 17), side * -0.3).inside(x, y, z) & ~brain
            self._fill(tissue, "fat", orbit)
            self._fill(tissue, "muscle", orbit & (np.abs(x - side * (16 - 0.28 * (y + 50 * k))) < 2.2))
            self._fill(tissue, "eye", Ellipsoid((side * 33, -74 * k, -32), (12.5, 12.5, 12.5)).inside(x, y, z))
            cells = Ellipsoid((side * 50, 22, -44), (14, 16, 20)).inside(x, y, z) & ~brain
            self._fill(tissue, "air", cells & (mess > -0.5))
        nose = Ellipsoid((0, -66 * k, -44), (13, 26, 20)).inside(x, y, z) & ~brain
        self._fill(tissue, "muscle", nose)
        self._fill(tissue, "air", nose & (mess > -0.2))
        self._fill(tissue, "air", Ellipsoid((0, -30, -40), (14, 11, 10)).inside(x, y, z) & ~brain)
        self._fill(tissue, "air", Ellipsoid((0, -0.86 * self.radii[1], -12), (15, 5, 12)).inside(x, y, z) & ~brain)

    def _draw_tumor(
        self, tissue: npt.NDArray[np.uint8], x: Field, y: Field, z: float, brain: Mask, masks: dict[str, Mask]
    ) -> Mask:
        field = None if self._tumor is None else self._tumor.section(x, y, z)
        if field is None:
            return np.zeros(x.shape, dtype=bool)
        rough = field + np.float32(0.11) * self._folds.at(z + 400)
        mask = (rough < 1.0) & brain
        self._fill(tissue, "tumor", mask)
        self._fill(tissue, "core", mask & (rough < 0.48))
        masks["ventricles"] = masks["ventricles"] & ~mask
        return mask


def _round(z: float, centre: float, radius: float) -> float:
    """Relative radius of a ball's section at ``z``, at least a sliver."""
    return float(np.sqrt(max(1e-4, 1.0 - ((z - centre) / radius) ** 2)))


def brain_rim(brain: Mask) -> Mask:
    """A two-pixel rim around a mask."""
    rim = np.zeros_like(brain)
    for step in (1, 2):
        for axis in (0, 1):
            rim |= np.roll(brain, step, axis) | np.roll(brain, -step, axis)
    return rim & ~brain
