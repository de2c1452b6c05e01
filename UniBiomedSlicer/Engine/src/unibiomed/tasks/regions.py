# SPDX-License-Identifier: Apache-2.0
"""How a region is shown to the model: a green box on the picture, as in its training (tasks reference, section 1)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

GREEN = (0, 255, 0)
LINE_WIDTH = 2


def region_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Bounding box (top, left, bottom, right; the last two exclusive) of the largest connected part of ``mask``.

    ``mask`` is bool (H, W) and not empty. Training takes one contour's box at random; the largest is what a user means.
    """
    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        mask = parts == int(sizes.argmax()) + 1
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def draw_box(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """A copy of an RGB uint8 picture (H, W, 3) with a 2-pixel green rectangle along the inside of ``box``."""
    top, left, bottom, right = box
    drawn = image.copy()
    drawn[top : min(top + LINE_WIDTH, bottom), left:right] = GREEN
    drawn[max(bottom - LINE_WIDTH, top) : bottom, left:right] = GREEN
    drawn[top:bottom, left : min(left + LINE_WIDTH, right)] = GREEN
    drawn[top:bottom, max(right - LINE_WIDTH, left) : right] = GREEN
    return drawn


def draw_region_box(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of ``image`` with the box of ``mask`` drawn on it."""
    return draw_box(image, region_box(mask))
