# SPDX-License-Identifier: Apache-2.0
"""Abnormalities of the analytic torso, as 3-D solids: where they lie, how they look, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unibiomed.phantoms.shapes import Field
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise

if TYPE_CHECKING:
    from unibiomed.phantoms.torso import Torso

Mask = npt.NDArray[np.bool_]
ABDOMINAL = ("liver tumor", "kidney tumor")
THORACIC = ("lung nodule", "pleural effusion", "COVID-19 infection")


class Findings:
    """The abnormalities of one torso. ``level`` gives a height (mm) at which a finding is well seen."""

    def __init__(self, rng: np.random.Generator, body: Torso, names: tuple[str, ...]) -> None:
        self.names = names
        self.level: dict[str, float] = {}
        self._body = body
        self._rough = SolidNoise(rng, body.size, 9 * body.size / 256, 12.0) if names else None
        self._solids: dict[str, list[Ellipsoid]] = {}
        makers = {
            "liver tumor": self._liver,
            "kidney tumor": self._kidney,
            "lung nodule": self._nodule,
            "pleural effusion": self._effusion,
            "COVID-19 infection": self._infection,
        }
        for name in names:
            makers[name](rng)

    def draw(self, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask]) -> None:
        """Lay the findings over a section; adds their masks (empty ones too) to ``masks``."""
        for name in (*ABDOMINAL, *THORACIC):
            masks[name] = np.zeros(x.shape, dtype=bool)
        for name in self.names:
            getattr(self, "_draw_" + name.split()[-1])(name, hu, x, y, z, masks)

    def _field(self, name: str, x: Field, y: Field, z: float, rough: float) -> Field | None:
        fields = [f for f in (solid.section(x, y, z) for solid in self._solids[name]) if f is not None]
        if not fields:
            return None
        return np.minimum.reduce(fields) + np.float32(rough) * self._rough.at(z)

    # -- liver and kidney -----------------------------------------------------------------------------------------------
    def _liver(self, rng: np.random.Generator) -> None:
        lobe = self._body.liver[0]
        r = rng.uniform(11, 26)
        turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
        z = rng.uniform(-105, -38)
        x = lobe.centre[0] + reach * 0.75 * lobe.radii[0] * np.cos(turn)
        y = lobe.centre[1] + reach * 0.9 * lobe.radii[1] * np.sin(turn)
        radii = tuple(r * rng.uniform(0.85, 1.2, 3))
        self._solids["liver tumor"] = [Ellipsoid((float(x), float(y), float(z)), radii, rng.uniform(0, 3))]
        self.level["liver tumor"] = float(z + rng.uniform(-0.4, 0.4) * radii[2])
        self._liver_drop = rng.uniform(42, 65)

    def _draw_tumor(self, name: str, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask]) -> None:
        field = self._field(name, x, y, z, 0.09)
        if field is None:
            return
        if name == "liver tumor":
            mask = (field < 1.0) & masks["liver"]
            tone = np.float32(self._body.hu["liver"] - self._liver_drop)
            np.copyto(hu, tone - np.float32(14) * (field < 0.5) + np.float32(5) * self._rough.at(z + 500), where=mask)
        else:
            side = self._kidney_side
            mask = (field < 1.0) & ~masks["liver"] & ~masks["spleen"] & ~masks["aorta"]
            tone = np.float32(self._kidney_tone)
            texture = np.float32(14) * self._rough.at(z + 500) - np.float32(34) * (field < 0.55)
            np.copyto(hu, tone + texture, where=mask)
            masks[side] = masks[side] | mask
        masks[name] = mask

    def _kidney(self, rng: np.random.Generator) -> None:
        side = ("left kidney", "right kidney")[int(rng.integers(2))]
        organ = self._body.kidneys[side]
        r = rng.uniform(13, 23)
        turn = rng.uniform(-0.9, 0.9)
        sign = 1.0 if side.startswith("left") else -1.0
        x = organ.centre[0] + sign * organ.radii[0] * 0.75 * np.cos(turn)
        y = organ.centre[1] + organ.radii[1] * 0.75 * np.sin(turn)
        z = organ.centre[2] + rng.uniform(-0.5, 0.5) * organ.radii[2]
        radii = tuple(r * rng.uniform(0.9, 1.1, 3))
        self._solids["kidney tumor"] = [Ellipsoid((float(x), float(y), float(z)), radii)]
        self.level["kidney tumor"] = float(z + rng.uniform(-0.4, 0.4) * radii[2])
        self._kidney_side = side
        self._kidney_tone = max(72.0, self._body.hu["kidney"] - rng.uniform(60, 85))

    # -- chest ----------------------------------------------------------------------------------------------------------
    def _lung_place(self, rng: np.random.Generator, side: float, rim: float) -> tuple[float, float]:
        """A place in a lung of one side: ``rim`` 0 near its middle .. 1 at the chest wall."""
        cx, cy = self._body.cavity
        turn = rng.uniform(-1.9, 1.9)
        x = side * (0.57 * cx + rim * 0.36 * cx * np.cos(turn))
        return float(x), float(0.05 * cy + rim * 0.72 * cy * np.sin(turn))

    def _nodule(self, rng: np.random.Generator) -> None:
        r = rng.uniform(9, 20)
        x, y = self._lung_place(rng, rng.choice((-1.0, 1.0)), rng.uniform(0, 0.75))
        z = rng.uniform(35, 125)
        self._solids["lung nodule"] = [
            Ellipsoid((x, y, float(z)), tuple(r * rng.uniform(0.85, 1.15, 3)), rng.uniform(0, 3))
        ]
        self.level["lung nodule"] = float(z + rng.uniform(-0.4, 0.4) * r)

    def _draw_nodule(self, name: str, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask]) -> None:
        field = self._field(name, x, y, z, 0.12)
        if field is None:
            return
        mask = (field < 1.0) & (masks["left lung"] | masks["right lung"])
        np.copyto(hu, np.float32(35.0), where=mask)
        masks[name] = mask

    def _effusion(self, rng: np.random.Generator) -> None:
        self._effusion_side = rng.choice((-1.0, 1.0))
        self._effusion_depth = rng.uniform(0.05, 0.42)
        self._solids["pleural effusion"] = []
        self.level["pleural effusion"] = float(rng.uniform(14, 75))

    def _draw_effusion(self, name: str, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask]) -> None:
        lung = "left lung" if self._effusion_side > 0 else "right lung"
        cx, cy = self._body.cavity
        # The fluid lies at the back, lower towards the apex, and climbs along the chest wall (the meniscus).
        surface = self._effusion_depth + 0.0045 * max(0.0, z - 20)
        outward = (np.abs(x) / np.float32(cx) - 0.5).clip(0, 1) ** 2
        mask = masks[lung] & (y / np.float32(cy) + np.float32(0.9) * outward > surface + 0.04 * self._rough.at(z))
        np.copyto(hu, np.float32(12.0), where=mask)
        masks[name] = mask
        masks[lung] = masks[lung] & ~mask

    def _infection(self, rng: np.random.Generator) -> None:
        solids = []
        sides = (-1.0, 1.0) if rng.random() < 0.55 else (rng.choice((-1.0, 1.0)),)
        z = rng.uniform(35, 115)
        for side in sides:
            for _ in range(int(rng.integers(1, 3))):
                x, y = self._lung_place(rng, side, rng.uniform(0.7, 1.0))
                radii = (*rng.uniform(18, 34, 2), 30.0)
                solids.append(Ellipsoid((x, y, float(z + rng.normal(0, 8))), radii, rng.uniform(0, 3)))
        self._solids["COVID-19 infection"] = solids
        self.level["COVID-19 infection"] = float(z)
        self._glass = rng.uniform(-600, -430)

    def _draw_infection(self, name: str, hu: Field, x: Field, y: Field, z: float, masks: dict[str, Mask]) -> None:
        field = self._field(name, x, y, z, 0.14)
        if field is None:
            return
        lungs = masks["left lung"] | masks["right lung"]
        mask = (field < 1.0) & lungs
        tone = np.float32(self._glass) + np.float32(110) * self._rough.at(z + 500)
        edge = np.clip((np.float32(1.0) - field) / np.float32(0.25), 0.35, 1.0)
        np.copyto(hu, np.maximum(hu, hu + edge * (tone - hu)), where=mask)
        masks[name] = mask
