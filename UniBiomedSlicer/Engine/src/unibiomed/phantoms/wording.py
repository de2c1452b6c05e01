# SPDX-License-Identifier: Apache-2.0
"""The small closed vocabulary of the phantoms' sentences; every word must be decidable from the image."""

from __future__ import annotations


def size_word(fraction: float, limit: float = 0.1) -> str:
    """``small`` or ``large``: ``fraction`` is the finding's diameter over the image side (``shapes.extent``)."""
    return "large" if fraction >= limit else "small"


def patient_side(x: float, midline: float = 0.0) -> str:
    """``right`` or ``left`` of the patient for a place ``x`` (grid units): it is mirrored in the image."""
    return "right" if x < midline else "left"


def third(value: float, words: tuple[str, str, str], low: float = -0.33, high: float = 0.33) -> str:
    """One of three words for a value below ``low``, between, or above ``high``."""
    return words[0] if value < low else words[2] if value > high else words[1]


def quadrant(y: float, x: float, centre: tuple[float, float] = (0.0, 0.0)) -> str:
    """``upper left`` ... ``lower right`` as seen in the image (not the patient's side)."""
    return f"{'upper' if y < centre[0] else 'lower'} {'left' if x < centre[1] else 'right'}"
