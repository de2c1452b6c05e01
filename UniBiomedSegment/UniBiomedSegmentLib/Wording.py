# SPDX-License-Identifier: Apache-2.0
"""Figures in words: durations, slices, millilitres."""

from __future__ import annotations

from collections.abc import Iterable

from slicer.i18n import tr as _


def timeLeft(seconds: float | None) -> str:
    """How long it will still take, rounded as far as an estimate deserves; "" when it is not known."""
    if seconds is None or seconds < 0:
        return ""
    if seconds < 5:
        return _("a few seconds left")
    if seconds < 55:
        return _("about {n} s left").format(n=int(round(seconds / 5) * 5))
    if seconds < 3600:
        return _("about {n} min left").format(n=max(1, round(seconds / 60)))
    return _("about {n} h left").format(n=round(seconds / 3600, 1))


def slicesInWords(slices: Iterable[int]) -> str:
    """Ranges of slice numbers: "3, 5-9"."""
    runs: list[list[int]] = []
    for index in sorted(set(slices)):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def millilitres(volume: float | None) -> str:
    """Three significant digits, never an exponent; "" for a picture without real spacing."""
    if volume is None:
        return ""
    if volume >= 100:
        return f"{volume:.0f}"
    if volume >= 10:
        return f"{volume:.1f}"
    return f"{volume:.2f}" if volume >= 1 else f"{volume:.3f}"


def percent(fraction: float | None) -> str:
    """A confidence of 0..1 as a whole percentage; "" when there is none."""
    return "" if fraction is None else f"{round(100 * fraction)} %"
