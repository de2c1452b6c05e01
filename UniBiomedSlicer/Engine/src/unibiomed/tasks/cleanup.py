# SPDX-License-Identifier: Apache-2.0
"""Small islands and holes taken out of a mask, only when asked for, and said in the result."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, label

from unibiomed.volumes.masks import BoxMask

ISLAND = 0.02
"""Islands smaller than this share of the largest are removed."""


def clean_mask(mask: BoxMask, array_axis: int, island: float = ISLAND) -> tuple[BoxMask, str]:
    """``mask`` without small islands (26-connected) and with each slice's holes filled; and what was done, in words.

    Holes are filled slice by slice along ``array_axis``: a cavity that is open above or below is closed as well.
    """
    box = mask.array
    numbered, count = label(box, structure=np.ones((3, 3, 3), dtype=bool))
    removed = 0
    if count > 1:
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        keep = sizes >= island * sizes.max()
        removed = int(sizes[~keep].sum())
        box = keep[numbered]
    filled = np.stack([binary_fill_holes(plane) for plane in np.moveaxis(box, array_axis, 0)], axis=array_axis)
    added = int(np.count_nonzero(filled)) - int(np.count_nonzero(box))
    said = f"islands under {island:.0%} of the largest removed: {removed} voxels; holes filled: {added} voxels"
    return BoxMask(mask.offset, filled).tight(), said
