# SPDX-License-Identifier: Apache-2.0
"""One colour for a segment in the page, the picture and the segmentation file: its terminology's, where that serves."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator

from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.results import SegmentResult
from unibiomed.volumes.terminology import lookup

Rgb = tuple[int, int, int]

# Bright and far apart, for segments whose usual colour is taken or cannot be told from a grey picture.
_FINDINGS: tuple[Rgb, ...] = ((255, 77, 77), (255, 176, 32), (255, 92, 205), (255, 230, 60), (255, 130, 90))
_ANATOMY: tuple[Rgb, ...] = ((72, 199, 255), (94, 224, 140), (170, 150, 255), (64, 224, 208), (190, 220, 70))
_LEAST_SATURATION = 0.35
_LEAST_VALUE = 0.55
_APART = 70


def segment_colors(segments: Iterable[SegmentResult]) -> dict[str, Rgb]:
    """Segment id to RGB 0..255; no two are nearly the same while the palette lasts.

    Findings have warm colours of their own, so that they stand out; anatomy has its terminology's colour if it is
    bright and coloured enough to be seen on a grey picture.
    """
    chosen: dict[str, Rgb] = {}
    for segment in sorted(segments, key=lambda item: item.kind != "abnormality"):
        finding = segment.kind == "abnormality"
        usual = [] if finding else _usual(segment)
        palette = _FINDINGS if finding else _ANATOMY
        taken = list(chosen.values())
        free = (color for color in (*usual, *palette, *_more(palette)) if _is_apart(color, taken))
        chosen[segment.id] = next(free, palette[len(chosen) % len(palette)])
    return chosen


def _usual(segment: SegmentResult) -> list[Rgb]:
    phrase = parse_phrase(segment.phrase)
    kind = segment.kind if segment.kind != "unknown" else None
    rgb = lookup(segment.target, site=phrase.site or "", kind=kind).rgb
    _, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in rgb))
    return [rgb] if saturation >= _LEAST_SATURATION and value >= _LEAST_VALUE else []


def _more(palette: tuple[Rgb, ...]) -> Iterator[Rgb]:
    """Lighter kinds of the palette's colours."""
    for share in (0.45, 0.7):
        for color in palette:
            yield tuple(round(part + (255 - part) * share) for part in color)


def _is_apart(color: Rgb, taken: list[Rgb]) -> bool:
    return all(sum(abs(a - b) for a, b in zip(color, other, strict=True)) >= _APART for other in taken)
