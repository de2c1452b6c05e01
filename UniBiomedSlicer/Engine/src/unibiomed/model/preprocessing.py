# SPDX-License-Identifier: Apache-2.0
"""Pictures into the two inputs of the model: tiles for the vision tower, one square for SAM 2 (specification §5).

Both resizes are Pillow's bicubic with antialiasing and do not keep the aspect; another resize changes the masks
(specification §13), so a picture that already has the wanted size is the only one left alone.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from unibiomed.errors import InputError

Picture: TypeAlias = "Image.Image | np.ndarray"

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
# The released code holds SAM's mean and standard deviation in bfloat16 whatever the model computes in.
_SAM_MEAN = (0.484375, 0.455078125, 0.40625)
_SAM_STD = (0.228515625, 0.2236328125, 0.224609375)


def to_rgb(image: Picture) -> Image.Image:
    """A PIL picture in RGB from a PIL picture or a uint8 array (H, W), (H, W, 3); raises InputError otherwise."""
    if isinstance(image, Image.Image):
        return image if image.mode == "RGB" else image.convert("RGB")
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise InputError(
            "A picture must be a PIL image or a uint8 array of shape (H, W) or (H, W, 3), "
            f"not {array.dtype} {array.shape}."
        )
    if array.size == 0:
        raise InputError(f"A picture of shape {array.shape} holds no pixel.")
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")


def tile_grid(width: int, height: int, *, tile_size: int = 448, max_tiles: int = 12) -> tuple[int, int]:
    """Columns and rows that the picture is cut into: the grid whose aspect is nearest, at most ``max_tiles`` tiles.

    On a tie of aspect the larger grid is taken only where the picture has more than half of its pixels.
    """
    aspect = width / height
    grids = [(c, r) for c in range(1, max_tiles + 1) for r in range(1, max_tiles + 1) if c * r <= max_tiles]
    best, best_difference = (1, 1), float("inf")
    for columns, rows in sorted(grids, key=lambda g: g[0] * g[1]):
        difference = abs(aspect - columns / rows)
        large_enough = width * height > 0.5 * tile_size * tile_size * columns * rows
        if difference < best_difference or (difference == best_difference and large_enough):
            best, best_difference = (columns, rows), difference
    return best


def tiles(image: Picture, *, tile_size: int = 448, max_tiles: int = 12, split: bool = True) -> torch.Tensor:
    """Normalised tiles of a picture, float32 (n, 3, tile_size, tile_size): the grid row by row, then the thumbnail.

    The thumbnail is left out where the grid has one tile. ``split=False`` gives the one whole-picture tile that a
    video frame gets.
    """
    picture = to_rgb(image)
    columns, rows = tile_grid(*picture.size, tile_size=tile_size, max_tiles=max_tiles) if split else (1, 1)
    large = np.asarray(_resized(picture, (columns * tile_size, rows * tile_size)))
    cut = large.reshape(rows, tile_size, columns, tile_size, 3).transpose(0, 2, 1, 3, 4)
    parts = cut.reshape(-1, tile_size, tile_size, 3)
    if columns * rows > 1:
        parts = np.concatenate([parts, np.asarray(_resized(picture, (tile_size, tile_size)))[None]])
    return _normalised(parts, _MEAN, _STD)


def sam_pixels(image: Picture, *, size: int = 1024) -> torch.Tensor:
    """The picture stretched to a square and normalised for SAM 2, float32 (3, size, size)."""
    return _normalised(np.asarray(_resized(to_rgb(image), (size, size)))[None], _SAM_MEAN, _SAM_STD)[0]


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Columns first, then rows, each rounded to 8 bits, as Pillow did in one call until 12; 13 may turn the order round.
    across = picture.resize((size[0], picture.height), Image.Resampling.BICUBIC)
    return across.resize(size, Image.Resampling.BICUBIC)


def _normalised(pixels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).to(torch.float32) / 255
    shape = (1, 3, 1, 1)
    return (values - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
