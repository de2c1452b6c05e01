# SPDX-License-Identifier: Apache-2.0
"""Pictures of an export, shown a little differently each time: a few corrected cases would else be learned by heart.

Nothing is mirrored: left and right are words that the model has to keep.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

Mapped = Callable[[np.ndarray], np.ndarray]

_DEGREES, _ZOOM, _SHIFT = 8.0, 0.12, 0.04
_GAMMA, _GAIN, _OFFSET, _NOISE = 0.35, 0.12, 12.0, 8.0


def moved(shape: tuple[int, int], rng: np.random.Generator) -> Mapped:
    """A small turn, zoom and shift of pictures (H, W, 3) uint8 and masks (H, W) bool; the same for all it is given.

    ``shape`` is (H, W). What comes in at the border is black, and not part of a mask.
    """
    height, width = shape
    angle = np.deg2rad(rng.uniform(-_DEGREES, _DEGREES))
    zoom = np.exp(rng.uniform(-_ZOOM, _ZOOM))
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    x, y = (width - 1) / 2, (height - 1) / 2
    dx, dy = rng.uniform(-_SHIFT, _SHIFT, 2) * (width, height)
    # PIL asks where each output pixel comes from.
    matrix = (cos, sin, x + dx - cos * x - sin * y, -sin, cos, y + dy + sin * x - cos * y)

    def apply(array: np.ndarray) -> np.ndarray:
        mask = array.dtype == bool
        picture = Image.fromarray(array.astype(np.uint8) * 255 if mask else array)
        out = picture.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        return np.asarray(out) > 127 if mask else np.asarray(out)

    return apply


def other_look(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture (H, W, 3) uint8 through another grey scale and with a little noise; black stays black."""
    gamma = np.exp(rng.uniform(-_GAMMA, _GAMMA))
    gain, offset = 1.0 + rng.uniform(-_GAIN, _GAIN), rng.uniform(-_OFFSET, _OFFSET)
    seen = 255.0 * (image.astype(np.float32) / 255.0) ** gamma * gain + offset
    # One field for all channels: a grey picture stays grey.
    seen += rng.standard_normal(image.shape[:2]).astype(np.float32)[..., None] * rng.uniform(0.0, _NOISE)
    return np.where(image == 0, 0, np.clip(np.rint(seen), 0, 255)).astype(np.uint8)
