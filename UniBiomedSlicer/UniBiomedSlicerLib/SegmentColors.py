# SPDX-License-Identifier: Apache-2.0
"""One colour for each segment of a result: its terminology's where that can be seen, none nearly the same as another.

The same colours as the engine's own page and pictures, so that a report and the views agree.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Rgb = tuple[int, int, int]

# Bright and far apart, for segments whose usual colour is taken or cannot be told from a grey picture.
_FINDINGS: tuple[Rgb, ...] = ((255, 77, 77), (255, 176, 32), (255, 92, 205), (255, 230, 60), (255, 130, 90))
_ANATOMY: tuple[Rgb, ...] = ((72, 199, 255), (94, 224, 140), (170, 150, 255), (64, 224, 208), (190, 220, 70))
_LEAST_SATURATION = 0.35
_LEAST_VALUE = 0.55
_APART = 70


def segmentColors(
    segments: Iterable[Mapping[str, Any]], usual: Mapping[str, Rgb], taken: Iterable[Rgb] = ()
) -> dict[str, Rgb]:
    """Return segment id to RGB 0..255.

    ``segments`` have ``id``, ``kind`` and ``phrase``; ``usual`` is phrase to the terminology's colour; ``taken`` are
    colours that are in the segmentation already. Findings have warm colours of their own, so that they stand out.
    """
    chosen: dict[str, Rgb] = {}
    used = list(taken)
    for segment in sorted(segments, key=lambda item: item["kind"] != "abnormality"):
        finding = segment["kind"] == "abnormality"
        palette = _FINDINGS if finding else _ANATOMY
        own = usual.get(segment["phrase"])
        preferred = [own] if own is not None and not finding and isSeen(own) else []
        free = (color for color in (*preferred, *palette, *_lighter(palette)) if _isApart(color, used))
        chosen[segment["id"]] = next(free, palette[len(used) % len(palette)])
        used.append(chosen[segment["id"]])
    return chosen


def isSeen(color: Rgb) -> bool:
    """Return whether a colour is bright and strong enough to be told from a grey picture."""
    _, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in color))
    return saturation >= _LEAST_SATURATION and value >= _LEAST_VALUE


def _lighter(palette: tuple[Rgb, ...]) -> Iterator[Rgb]:
    for share in (0.45, 0.7):
        for color in palette:
            yield tuple(round(part + (255 - part) * share) for part in color)


def _isApart(color: Rgb, taken: list[Rgb]) -> bool:
    return all(sum(abs(a - b) for a, b in zip(color, other, strict=True)) >= _APART for other in taken)
