# SPDX-License-Identifier: Apache-2.0
"""An analytic torso in Hounsfield units: chest and upper abdomen of one random person, read plane by plane.

Coordinates in mm: x to the patient's left, y to the back, z up, with z = 0 near the top of the right diaphragm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from unibiomed.phantoms.shapes import Field, fractal_noise, smooth_noise, white_noise
from unibiomed.phantoms.torso_build import Build, Canvas, Mask
from unibiomed.phantoms.torso_findings import FINDINGS
from unibiomed.phantoms.torso_organs import paint_lungs, paint_organs
from unibiomed.phantoms.torso_wall import lung_outline, paint_spine, paint_wall

ABDOMEN = (-215.0, 4.0)  # z range of abdominal slices
CHEST = (12.0, 172.0)  # z range of chest slices


@dataclasses.dataclass(frozen=True, eq=False)
class Section:
    """One plane: Hounsfield units float32 (size, size) and the mask of every target, empty ones included."""

    hu: Field
    masks: dict[str, Mask]


class Torso:
    """One random person. ``findings`` are the names of the abnormalities it has (see ``torso_findings``).

    ``pixel`` is the pixel size in mm at a matrix of ``size``; without ``fov`` (mm) a random one that holds the body.
    """

    def __init__(
        self, rng: np.random.Generator, size: int, findings: tuple[str, ...] = (), fov: float | None = None
    ) -> None:
        self._build = Build(rng, size, fov)
        self.pixel = self._build.pixel
        self.findings = {name: FINDINGS[name](rng, self._build) for name in findings}

    def section(self, z: float) -> Section:
        """The plane at ``z`` mm, without the scan's noise."""
        body = self._build
        x, y = body.plane(z)
        canvas = Canvas(np.full(x.shape, -1000.0, dtype=np.float32), x, y, z, {})
        cavity = paint_wall(body, canvas)
        lungs = lung_outline(body, canvas, cavity)
        paint_organs(body, canvas, cavity < 1.0, lungs)
        paint_spine(body, canvas)
        paint_lungs(body, canvas, lungs)
        for name in FINDINGS:
            canvas.masks[name] = self.findings[name].paint(canvas) if name in self.findings else canvas.nothing()
        return Section(ndimage.gaussian_filter(canvas.hu, 0.6 * body.size / 256, truncate=2.5), canvas.masks)

    def scan(self, z: float) -> Section:
        """``section`` with correlated noise, the same for the same ``z``."""
        section, size = self.section(z), self._build.size
        rng = np.random.default_rng([self._build.noise_seed, round((z + 1000) * 100)])
        noise = white_noise(rng, size, 0.7) + np.float32(0.6) * smooth_noise(rng, size, 3.0)
        streaks = np.float32(0.3) * fractal_noise(rng, size, 40.0, 2)
        return Section(section.hu + np.float32(self._build.grain) * (noise + streaks), section.masks)
