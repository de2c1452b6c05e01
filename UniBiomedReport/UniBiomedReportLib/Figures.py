# SPDX-License-Identifier: Apache-2.0
"""What a report knows of each of its segments (volume, slices, confidence), kept with the report by MRML segment id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIGURES = "figures"
CONVERSATION = "conversation"
"""Fields of a report's document in the scene that are this module's own."""
_FIELDS = ("phrase", "target", "kind", "volume_ml", "voxels", "slices", "extent_mm", "confidence")


def figuresOf(result: Mapping[str, Any], segmentIds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return {MRML segment id: figures} of a result's segments."""
    sentences = {
        one: str(finding.get("sentence", ""))
        for finding in result.get("findings", ())
        for one in finding.get("segments", ())
    }
    found = {}
    for item in result.get("segments", ()):
        segmentId = segmentIds.get(item["id"])
        if segmentId is not None:
            found[segmentId] = {name: item[name] for name in _FIELDS if item.get(name) is not None}
            found[segmentId]["sentence"] = sentences.get(item["id"], "")
    return found


def withoutVoxels(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without its masks and the evidence of every slice: those are in the segmentation, and a report is
    written anew with every edit."""
    light = dict(result)
    if "segments" in light:
        light["segments"] = [
            {name: value for name, value in item.items() if name not in ("mask", "presence")}
            for item in light["segments"]
        ]
    return light


def volumeText(ml: float | None) -> str:
    """``1,480 ml``, ``4.2 ml``, ``0.03 ml``; "" when unknown."""
    if ml is None:
        return ""
    if ml >= 100:
        return f"{ml:,.0f} ml"
    if ml >= 1:
        return f"{ml:.1f} ml"
    return f"{ml:.2f} ml" if ml >= 0.01 else "< 0.01 ml"


def rangesText(indices: Sequence[int]) -> str:
    """``3``, ``3–7``, ``3–7, 9``: indices as text."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def confidenceText(values: Iterable[float | None]) -> str:
    """``0.42–0.77``, ``0.42``; "" when none is known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = f"{min(known):.2f}", f"{max(known):.2f}"
    return low if low == high else f"{low}–{high}"
