# SPDX-License-Identifier: Apache-2.0
"""A volume as the pictures that a model sees: axis, window and modality settled once for a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import base_modality, parse_modality
from unibiomed.volumes.slicing import SliceMapping, slice_mapping
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import WINDOWS, Window, default_window, parse_window

# Which CT window a site is read in; every other site has the modality's default.
CT_WINDOWS = {"chest": "ct-lung", "lung": "ct-lung", "brain": "ct-brain", "head": "ct-brain"}
_PICTURE = ("none", "percentile", "full")


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures (side, side, 3) uint8 of a volume's slices; ``modality`` is None where nobody said it."""

    volume: Volume
    mapping: SliceMapping
    window: Window
    modality: str | None
    site: str | None

    @classmethod
    def of(
        cls,
        volume: Volume,
        *,
        modality: str | None = None,
        site: str | None = None,
        window: Window | str | None = None,
        axis: str | None = None,
    ) -> Frames:
        """Settle what is not given: the volume's modality, the acquisition plane, the window of modality and site.

        InputError for an unknown modality, window or axis.
        """
        word = parse_modality(modality) if modality else volume.modality
        chosen = parse_window(window) if isinstance(window, str) else window
        if chosen is None:
            chosen = site_window(volume, word, site)
        return cls(volume, slice_mapping(volume, axis), chosen, word, site.strip().lower() if site else None)

    def __len__(self) -> int:
        return self.mapping.n_slices

    def picture(self, index: int) -> np.ndarray:
        """Slice ``index`` as uint8 (side, side, 3) in display orientation."""
        return self.mapping.to_image(index, self.window)

    def slices(self, wanted: Iterable[int] | None) -> tuple[int, ...]:
        """``wanted`` in ascending order without doubles, all slices for None; InputError where one does not exist."""
        if wanted is None:
            return tuple(range(len(self)))
        chosen = sorted({int(index) for index in wanted})
        if not chosen:
            raise InputError("No slice was chosen; give at least one slice number.")
        wrong = next((index for index in chosen if not 0 <= index < len(self)), None)
        if wrong is not None:
            raise InputError(
                f"Slice {wrong} is not in {self.volume.name}: its {self.mapping.axis} slices are 0 to {len(self) - 1}."
            )
        return tuple(chosen)

    def sample(self, most: int, among: Sequence[int] | None = None) -> tuple[int, ...]:
        """At most ``most`` of the slices, evenly spread, the middle of each equal part; all of them if they are few."""
        pool = range(len(self)) if among is None else among
        if len(pool) <= most:
            return tuple(pool)
        return tuple(dict.fromkeys(pool[int((part + 0.5) * len(pool) / most)] for part in range(most)))


def site_window(volume: Volume, modality: str | None, site: str | None) -> Window:
    """The window for a modality and site: CT in Hounsfield units by its site, all else the modality's default."""
    default = default_window(modality, volume)
    if modality is None or base_modality(modality) != "CT" or default.kind in _PICTURE:
        return default
    name = CT_WINDOWS.get((site or "").strip().lower())
    return WINDOWS[name] if name else default
