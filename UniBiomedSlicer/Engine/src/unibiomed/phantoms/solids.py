# SPDX-License-Identifier: Apache-2.0
"""Analytic 3-D solids and noise, read one plane at a time, so that a 2-D phantom is a slice of a 3-D body.

Coordinates in mm: x to the patient's left, y to the back, z up; planes are given by arrays x, y (any plane: also z).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw
from scipy import ndimage

from unibiomed.phantoms.shapes import Field, smooth_noise, superellipse


@dataclasses.dataclass(frozen=True)
class Ellipsoid:
    """A solid with centre (x, y, z) and radii (x, y, z) in mm, turned by ``angle`` in the axial plane."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    angle: float = 0.0
    power: float = 2.0

    def section(self, x: Field, y: Field, z: float) -> Field | None:
        """Field of the axial section at ``z``; None where the plane misses the solid."""
        height = abs(z - self.centre[2]) / self.radii[2]
        if height >= 0.995:
            return None
        shrink = (1.0 - height**2) ** 0.5
        radii = (self.radii[1] * shrink, self.radii[0] * shrink)
        return superellipse(y, x, (self.centre[1], self.centre[0]), radii, self.angle, self.power)

    def inside(self, x: Field, y: Field, z: float) -> npt.NDArray[np.bool_]:
        """Mask of the axial section at ``z``."""
        field = self.section(x, y, z)
        return np.zeros(x.shape, dtype=bool) if field is None else field < 1.0


class SolidNoise:
    """Smooth 3-D noise (unit deviation) read plane by plane: cubic B-spline in z over smooth 2-D noises.

    ``scale`` is the feature width in pixels in the plane, ``length`` in mm across planes. The same ``z`` always gives
    the same plane, near ones nearly the same.
    """

    def __init__(self, rng: np.random.Generator, size: int, scale: float, length: float) -> None:
        self._seed = int(rng.integers(2**32))
        self._size, self._scale, self._length = size, scale, length

    def at(self, z: float) -> Field:
        """The noise on the plane at ``z`` mm: (size, size)."""
        position = z / self._length
        first = int(np.floor(position))
        t = position - first
        weights = np.array([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3])
        weights /= np.sqrt((weights**2).sum())
        total = np.zeros((self._size, self._size), dtype=np.float32)
        for weight, knot in zip(weights, range(first - 1, first + 3), strict=True):
            rng = np.random.default_rng([self._seed, knot + 100_000])
            total += np.float32(weight) * smooth_noise(rng, self._size, self._scale)
        return total


class Tubes:
    """Thin vessels: straight pieces from ``start`` to ``end`` (n, 3) mm with ``radius`` (n,) mm."""

    def __init__(
        self, start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], radius: npt.NDArray[np.float64]
    ) -> None:
        self.start, self.end, self.radius = start, end, radius

    @classmethod
    def joined(cls, parts: list[Tubes]) -> Tubes:
        """All pieces of several trees."""
        columns = zip(*((part.start, part.end, part.radius) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def opacity(
        self, z: float, slab: float, pixel: float, origin: tuple[float, float], size: int, blur: float = 0.6
    ) -> Field:
        """(size, size) opacity 0..1 of the pieces within ``slab`` mm of the plane ``z``.

        ``pixel`` is the pixel size in mm and ``origin`` the (x, y) in mm of the image's upper left corner; ``blur`` is
        in pixels at a size of 256.
        """
        layer = PilImage.new("L", (size, size))
        pen = ImageDraw.Draw(layer)
        step = self.end - self.start
        rise = np.where(np.abs(step[:, 2]) < 1e-6, 1e-6, step[:, 2])
        a, b = (z - slab - self.start[:, 2]) / rise, (z + slab - self.start[:, 2]) / rise
        near, far = np.clip(np.minimum(a, b), 0, 1), np.clip(np.maximum(a, b), 0, 1)
        for k in np.flatnonzero(far > near):
            points = self.start[k, :2] + np.outer((near[k], far[k]), step[k, :2])
            flat = ((points - origin) / pixel).ravel().tolist()
            width = self.radius[k] / pixel
            pen.line(flat, fill=255, width=max(1, round(2 * width)))
            for px, py in (flat[:2], flat[2:]):
                pen.ellipse((px - width, py - width, px + width, py + width), fill=255)
        drawn = np.asarray(layer, dtype=np.float32) / np.float32(255)
        return ndimage.gaussian_filter(drawn, blur * size / 256, truncate=2.5)


def tree(
    rng: np.random.Generator,
    root: tuple[float, float, float],
    tips: npt.NDArray[np.float64],
    radius: float,
    bend: float,
) -> Tubes:
    """Vessels from ``root`` to each of ``tips`` (n, 3), in three pieces that thin out and bend by about ``bend`` mm."""
    fractions = np.array([0.0, 0.35, 0.7, 1.0])
    line = np.asarray(root) + fractions[None, :, None] * (tips - np.asarray(root))[:, None, :]
    line[:, 1:3] += rng.normal(0, bend, line[:, 1:3].shape)
    widths = radius * rng.uniform(0.6, 1.0, (len(tips), 1)) * np.array([1.0, 0.65, 0.4])
    return Tubes(line[:, :-1].reshape(-1, 3), line[:, 1:].reshape(-1, 3), widths.ravel())
