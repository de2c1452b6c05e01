# SPDX-License-Identifier: Apache-2.0
"""Sentences for people, built so that every phrase keeps its segments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from unibiomed.tasks.results import Extent, TextSpan

# Words of the trained phrases that read oddly in a sentence.
_SPOKEN = {"endoscope": "endoscopy", "retinal": "retina"}


class Text:
    """Text as it grows, with the spans that speak of segments."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.spans: list[TextSpan] = []

    def add(self, text: str, segments: Iterable[str] = ()) -> Text:
        """Append ``text``; with ``segments`` it becomes a span of theirs."""
        named = tuple(segments)
        if named and text:
            self.spans.append(TextSpan(self._length, self._length + len(text), text, named))
        self._parts.append(text)
        self._length += len(text)
        return self

    def __str__(self) -> str:
        return "".join(self._parts)


def ranges(indices: Sequence[int]) -> str:
    """``3``, ``3-7``, ``3-7, 9``: ascending indices as text, with an en dash."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def span_text(indices: Sequence[int]) -> str:
    """``slice 3`` or ``slices 3-7``."""
    return f"slice{'s' if len(indices) > 1 else ''} {ranges(indices)}"


def volume_text(ml: float | None) -> str:
    """``1,480 ml``, ``4.2 ml``, ``0.03 ml``; "" when unknown."""
    if ml is None:
        return ""
    if ml >= 100:
        return f"{ml:,.0f} ml"
    if ml >= 1:
        return f"{ml:.1f} ml"
    return f"{ml:.2f} ml" if ml >= 0.01 else "under 0.01 ml"


def extent_text(extent: Extent | None) -> str:
    """``23 × 18 × 12 mm`` along i, j, k; "" when unknown."""
    if extent is None:
        return ""
    digits = 0 if max(extent) >= 10 else 1
    return " × ".join(f"{edge:.{digits}f}" for edge in extent) + " mm"


def sentence_case(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def full_stop(text: str) -> str:
    """``text`` ending in exactly one mark."""
    return text if text.endswith((".", "!", "?")) else text + "."


def sentence_bounds(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the sentence of ``text`` that holds ``start``..``end`` begins and ends (excluded), without blanks around.

    A full stop within a number does not end it."""
    stops = [match.end() for match in re.finditer(r"[.!?](?=\s|$)|\n+", text)]
    first = max((stop for stop in stops if stop <= start), default=0)
    last = min((stop for stop in stops if stop >= end), default=len(text))
    inside = text[first:last]
    return first + len(inside) - len(inside.lstrip()), first + len(inside.rstrip())


def sentence_around(text: str, start: int, end: int) -> str:
    """The sentence of ``text`` that holds ``start``..``end``."""
    first, last = sentence_bounds(text, start, end)
    return text[first:last]


def picture_name(modality: str | None, site: str | None) -> str:
    """``CT image of the abdomen``, ``Endoscopy image of the colon``, ``Image`` where nothing is known."""
    word = _SPOKEN.get(modality or "", modality or "")
    what = f"{sentence_case(word)} image" if word not in ("", "unknown") else "Image"
    return f"{what} of the {_SPOKEN.get(site, site)}" if site else what


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
