# SPDX-License-Identifier: Apache-2.0
"""Many small outlines and lines at once, drawn by Pillow: nuclei, vessels, hairs, dots.

Points are (y, x) in the grid units of ``shapes.grid`` (-1..1); widths too, so that a picture is the same at any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from unibiomed.phantoms.shapes import Field

Points = npt.NDArray[np.float64]
SUPERSAMPLING = 2


def polygons(size: int, outlines: Sequence[Points], values: npt.ArrayLike = 1.0) -> Field:
    """Opacity 0..1, (size, size), of filled outlines (each (n, 2)), with soft edges; ``values`` 0..1 (one or each)."""
    canvas, draw = _canvas(size)
    fills = np.broadcast_to(np.asarray(values) * 255.0, (len(outlines),)).astype(int).tolist()
    for outline, fill in zip(outlines, fills, strict=True):
        draw.polygon(_pixels(outline, size), fill=fill)
    return _opacity(canvas)


def strokes(size: int, lines: Iterable[tuple[Points, float]]) -> Field:
    """Opacity 0..1, (size, size), of polylines given as (points (n, 2), width)."""
    canvas, draw = _canvas(size)
    for points, width in lines:
        pixels = max(1, round(width * size * SUPERSAMPLING / 2.0))
        draw.line(_pixels(points, size), fill=255, width=pixels, joint="curve" if pixels > 2 else None)
    return _opacity(canvas)


def ellipse_outlines(
    centres: npt.ArrayLike, radii: npt.ArrayLike, angles: npt.ArrayLike, wobble: npt.ArrayLike | None = None
) -> Points:
    """Outlines (n, corners, 2) of n ellipses: ``centres`` (n, 2), ``radii`` (n, 2) as (along, across) an axis turned by
    ``angles`` (n,) from x to y; ``wobble`` (n, corners) multiplies the radius (None: 10 corners, none)."""
    centres, radii, angles = np.asarray(centres), np.asarray(radii), np.asarray(angles)
    corners = 10 if wobble is None else np.shape(wobble)[1]
    turn = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    scale = 1.0 if wobble is None else np.asarray(wobble)
    along, across = radii[:, :1] * np.cos(turn) * scale, radii[:, 1:] * np.sin(turn) * scale
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.stack([centres[:, :1] + sin * along + cos * across, centres[:, 1:] + cos * along - sin * across], axis=2)


def bezier(control: npt.ArrayLike, count: int = 16) -> Points:
    """``count`` points (count, 2) on the quadratic (3 control points) or cubic (4) curve."""
    points = np.asarray(control, dtype=np.float64)
    t = np.linspace(0.0, 1.0, count)[:, None]
    while len(points) > 1:  # de Casteljau, over all t at once
        points = [a + (b - a) * t for a, b in pairwise(points)]
    return points[0]


def window(size: int, centre: tuple[float, float], reach: float) -> tuple[slice, slice]:
    """Rows and columns of the image within ``reach`` (grid units) of ``centre``: draw there instead of everywhere."""
    low = [int(np.clip((c - reach + 1.0) * size / 2.0, 0, size - 1)) for c in centre]
    high = [int(np.clip((c + reach + 1.0) * size / 2.0 + 1, 1, size)) for c in centre]
    return slice(low[0], high[0]), slice(low[1], high[1])


def coloured(light: Field, colour: npt.ArrayLike) -> Field:
    """(H, W, 3) picture of one ``colour`` (3,) under ``light`` (H, W).

    Its memory holds one colour plane after the other, which arithmetic keeps: laying (H, W) fields over it is then some
    three times as fast as over interleaved pixels.
    """
    planes = np.asarray(colour, dtype=np.float32)[:, None, None] * light[None]
    return planes.transpose(1, 2, 0)


def tint(image: Field, colour: npt.ArrayLike, opacity: Field) -> Field:
    """(H, W, 3) ``image`` with ``colour`` ((3,) or (H, W, 3)) laid over it at ``opacity`` (H, W)."""
    return image + opacity[..., None] * (np.asarray(colour, dtype=np.float32) - image)


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("L", (size * SUPERSAMPLING, size * SUPERSAMPLING))
    return canvas, ImageDraw.Draw(canvas)


def _pixels(points: Points, size: int) -> list[float]:
    return ((points[:, ::-1] + 1.0) * (size * SUPERSAMPLING / 2.0) - 0.5).ravel().tolist()


def _opacity(canvas: Image.Image) -> Field:
    return np.asarray(canvas.reduce(SUPERSAMPLING), dtype=np.float32) * np.float32(1.0 / 255.0)
