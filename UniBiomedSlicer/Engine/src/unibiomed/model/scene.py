# SPDX-License-Identifier: Apache-2.0
"""The pictures of one call and how much of them the language model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from unibiomed.errors import InputError
from unibiomed.model.cache import content_key
from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.preprocessing import Picture, tile_grid, to_rgb
from unibiomed.model.prompt import VisualLayout, region_cells
from unibiomed.model.tracking import PROMPTED_FRAMES


@dataclass(frozen=True, eq=False)
class Scene:
    """One image, or the frames of a video: RGB pictures of one size and a content key of each."""

    pictures: tuple[Image.Image, ...]
    keys: tuple[str, ...]
    is_video: bool

    @classmethod
    def image(cls, picture: Picture) -> Scene:
        """A single image."""
        rgb = to_rgb(picture)
        return cls((rgb,), (content_key(rgb),), False)

    @classmethod
    def video(cls, frames: Sequence[Picture]) -> Scene:
        """The frames of a video; raises InputError if there is none or they differ in size."""
        rgb = tuple(to_rgb(frame) for frame in frames)
        if not rgb:
            raise InputError("A video needs at least one frame.")
        if sizes := {p.size for p in rgb} - {rgb[0].size}:
            raise InputError(f"The frames of a video must have one size, not {rgb[0].size} and {sorted(sizes)[0]}.")
        return cls(rgb, tuple(content_key(p) for p in rgb), True)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pictures[0].size

    @property
    def n_prompted(self) -> int:
        """Frames that the language model sees and that its prompt is applied to."""
        return min(len(self.pictures), PROMPTED_FRAMES)

    @property
    def language_key(self) -> tuple[str, ...]:
        """Key of what the language model sees."""
        return ("video" if self.is_video else "image", *self.keys[: self.n_prompted])

    def layout(self, config: UniBiomedConfig, regions: Sequence[np.ndarray] | np.ndarray | None) -> VisualLayout:
        """How many picture tokens the prompt gets, and the cells of ``regions`` (n, H, W)."""
        if self.is_video:
            return VisualLayout((config.tokens_per_tile,) * self.n_prompted)
        columns, rows = tile_grid(*self.size, tile_size=config.tile_size, max_tiles=config.max_tiles)
        tiles = columns * rows + (columns * rows > 1)
        cells = None if regions is None else region_cells(regions, self.size, int(config.tokens_per_tile**0.5))
        return VisualLayout((tiles * config.tokens_per_tile,), cells)
