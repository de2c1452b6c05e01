# SPDX-License-Identifier: Apache-2.0
"""Named intensity windows: how voxel values become the 8-bit picture that the model sees.

The window is chosen from the modality or given by the user, and is stored with the result.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import base_modality, parse_modality
from unibiomed.volumes.statistics import IntensityStats
from unibiomed.volumes.volume import Volume

_KINDS = ("width/level", "percentile", "full", "none")


@dataclass(frozen=True)
class Window:
    """A linear map from intensity to 0..255, clipped at both ends.

    ``kind`` "width/level": level ± width/2 in the image's own unit (HU for CT); "percentile": from the ``lower`` to the
    ``upper`` percentile of the whole volume; "full": its minimum to its maximum; "none": values are taken as 0..255.
    """

    name: str
    kind: str
    width: float | None = None
    level: float | None = None
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        """Refuse an empty or reversed range."""
        numbers = (self.width, self.level, self.lower, self.upper)
        if any(number is not None and not np.isfinite(number) for number in numbers):
            raise InputError(f'The window "{self.name}" holds a number that is not finite.')
        if self.kind not in _KINDS:
            raise InputError(f'The window kind "{self.kind}" is not known; use one of {", ".join(_KINDS)}.')
        if self.kind == "width/level" and (self.level is None or self.width is None or self.width <= 0):
            raise InputError(f'The window "{self.name}" needs a width above 0 and a level, as in "400/40".')
        if self.kind == "percentile" and (
            self.lower is None or self.upper is None or not 0 <= self.lower < self.upper <= 100
        ):
            raise InputError(f'The window "{self.name}" needs two percentiles, 0 <= lower < upper <= 100.')

    def bounds(self, stats: IntensityStats | None) -> tuple[float, float]:
        """Return the intensities shown as black and as white; ``stats`` is needed for "percentile" and "full"."""
        if self.kind == "width/level":
            return self.level - self.width / 2, self.level + self.width / 2
        if self.kind == "none":
            return 0.0, 255.0
        if stats is None:
            raise InputError(f'The window "{self.name}" needs the intensity figures of the volume.')
        if self.kind == "percentile":
            low, high = stats.percentile(self.lower), stats.percentile(self.upper)
            if low < high:
                return low, high
        # The slices sampled of a huge volume may all hold one value although the volume does not.
        return stats.minimum, stats.maximum if stats.maximum > stats.minimum else stats.minimum + 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set, for the provenance of a result."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Window:
        """Read back what :meth:`to_json` gave; raises InputError for anything else."""
        if not isinstance(data, dict) or not {"name", "kind"} <= set(data) <= set(cls.__dataclass_fields__):
            raise InputError(f"A window cannot be read from {str(data)[:80]}; it needs at least a name and a kind.")
        return cls(**data)


# Width and level in HU as usual in radiology (and Slicer's presets).
WINDOWS: dict[str, Window] = {
    window.name: window
    for window in (
        Window("ct-abdomen", "width/level", width=400, level=40),
        Window("ct-lung", "width/level", width=1500, level=-600),
        Window("ct-bone", "width/level", width=1800, level=400),
        Window("ct-brain", "width/level", width=80, level=40),
        Window("ct-mediastinum", "width/level", width=350, level=50),
        Window("percentile", "percentile", lower=0.5, upper=99.5),
        Window("full", "full"),
        Window("none", "none"),
    )
}


def parse_window(text: str) -> Window:
    """Return a window by its name, or made of "width/level" (``"400/40"``) or two percentiles (``"1%-99%"``)."""
    cleaned = text.strip().lower()
    if cleaned in WINDOWS:
        return WINDOWS[cleaned]
    number = r"([-+]?\d+(?:\.\d*)?)"
    if match := re.fullmatch(rf"{number}\s*/\s*{number}", cleaned):
        return Window(cleaned, "width/level", width=float(match[1]), level=float(match[2]))
    if match := re.fullmatch(rf"{number}\s*%\s*-\s*{number}\s*%", cleaned):
        return Window(cleaned, "percentile", lower=float(match[1]), upper=float(match[2]))
    raise InputError(
        f'The window "{text[:40]}" is not known; use {", ".join(WINDOWS)}, '
        'a width/level as "400/40", or percentiles as "1%-99%".'
    )


def default_window(modality: str | None, volume: Volume) -> Window:
    """Choose the window from the modality: CT in Hounsfield units the abdomen window, 8-bit images as they are,
    every other image the 0.5 to 99.5 percentiles of the whole volume."""
    if volume.is_color or np.dtype(volume.array.dtype) == np.uint8:
        return WINDOWS["none"]
    word = modality or volume.modality
    # Air is -1000 HU: a "CT" that never goes below -200 is not in Hounsfield units (already windowed, or a label).
    if word is not None and base_modality(parse_modality(word)) == "CT" and volume.stats.minimum <= -200:
        return WINDOWS["ct-abdomen"]
    return WINDOWS["percentile"]


def apply_window(array2d: np.ndarray, window: Window, stats: IntensityStats | None = None) -> np.ndarray:
    """Return uint8 of the same shape. Colour (H, W, 3) uint8 is returned as it is: windows are for grey values."""
    if array2d.ndim == 3:
        return array2d
    low, high = window.bounds(stats)
    if window.kind == "none" and array2d.dtype == np.uint8:
        return array2d
    scaled = (array2d.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
