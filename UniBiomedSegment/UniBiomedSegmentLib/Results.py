# SPDX-License-Identifier: Apache-2.0
"""What the result table shows, read from the segmentation itself, so that it is back after the scene is loaded again.

A segment carries its figures as tags, the segmentation what was not found as an attribute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from UniBiomedSegmentLib.Wording import slicesInWords

NOT_FOUND = "UniBiomed.NotFound"
PHRASE = "UniBiomed.Phrase"
CONFIDENCE = "UniBiomed.Confidence"
AXIS = "UniBiomed.Axis"
SLICES = "UniBiomed.Slices"
KEY_SLICE = "UniBiomed.KeySlice"
VOLUME_ML = "UniBiomed.VolumeMl"
CENTER = "UniBiomed.Center"


@dataclass(frozen=True)
class Row:
    """One segment that the model made. ``axis`` and ``keySlice`` say where it is seen best, in the volume's slices;
    ``center`` is the middle of its box (k, j, i)."""

    segmentId: str
    name: str
    color: tuple[float, float, float]
    phrase: str
    volumeMl: float | None
    slices: str
    axis: str
    keySlice: int | None
    center: tuple[float, ...] | None
    confidence: float | None
    visible: bool


def rowsOf(segmentationNode: Any) -> list[Row]:
    """The segments of a segmentation that the model made, in their order; none for None."""
    if segmentationNode is None:
        return []
    segmentation, displayNode = segmentationNode.GetSegmentation(), segmentationNode.GetDisplayNode()
    rows = []
    for index in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(index)
        segment = segmentation.GetSegment(segmentId)
        phrase = tag(segment, PHRASE)
        if not phrase:
            continue
        keySlice = _number(tag(segment, KEY_SLICE))
        rows.append(
            Row(
                segmentId=segmentId,
                name=segment.GetName(),
                color=segment.GetColor(),
                phrase=phrase,
                volumeMl=_number(tag(segment, VOLUME_ML)),
                slices=tag(segment, SLICES),
                axis=tag(segment, AXIS),
                keySlice=None if keySlice is None else int(keySlice),
                center=_numbers(tag(segment, CENTER)),
                confidence=_number(tag(segment, CONFIDENCE)),
                visible=displayNode is None or bool(displayNode.GetSegmentVisibility(segmentId)),
            )
        )
    return rows


def figuresOf(segment: Mapping[str, Any], axis: str) -> dict[str, str]:
    """The tags that keep a result segment's figures. The key slice is the one with most pixels, else the middle one."""
    slices = list(segment.get("slices") or ())
    present = [evidence for evidence in segment.get("presence") or () if evidence["present"]]
    pixels = {evidence["slice"]: evidence.get("pixels", 0) for evidence in present if evidence["slice"] in slices}
    key = max(slices, key=lambda index: pixels.get(index, 0)) if any(pixels.values()) else None
    if key is None and slices:
        key = slices[len(slices) // 2]
    volume, mask = segment.get("volume_ml"), segment["mask"]
    return {
        AXIS: axis,
        SLICES: slicesInWords(slices),
        KEY_SLICE: "" if key is None else str(key),
        VOLUME_ML: "" if volume is None else repr(float(volume)),
        CENTER: " ".join(
            repr(start + (size - 1) / 2) for start, size in zip(mask["offset"], mask["shape"], strict=True)
        ),
    }


def keepFigures(segmentationNode: Any, segmentId: str, segment: Mapping[str, Any], axis: str) -> None:
    """Write a result segment's figures to its segment in the scene."""
    target = segmentationNode.GetSegmentation().GetSegment(segmentId)
    for name, value in figuresOf(segment, axis).items():
        target.SetTag(name, value)


def notFoundOf(segmentationNode: Any) -> list[dict[str, Any]]:
    """The targets that were looked for and not seen, as they were written by ``keepNotFound``; none if unreadable."""
    text = segmentationNode.GetAttribute(NOT_FOUND) if segmentationNode is not None else None
    try:
        entries = json.loads(text) if text else []
    except ValueError:
        return []
    return [entry for entry in entries if isinstance(entry, dict) and "target" in entry]


def keepNotFound(segmentationNode: Any, missing: Iterable[Mapping[str, Any]], found: Iterable[str] = ()) -> None:
    """Add to what was not found. What is found later (``found``: phrases), or looked for again, is replaced."""
    fresh = [{key: entry.get(key, "") for key in ("target", "phrase", "reason")} for entry in missing]
    settled = {entry["phrase"] for entry in fresh} | set(found)
    kept = [entry for entry in notFoundOf(segmentationNode) if entry.get("phrase") not in settled]
    segmentationNode.SetAttribute(NOT_FOUND, json.dumps(kept + fresh) if kept or fresh else None)


def volumeOf(segmentationNode: Any) -> Any:
    """The volume that a segmentation was made on, if it is still in the scene."""
    return segmentationNode.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())


def tag(segment: Any, name: str) -> str:
    """A segment's tag, "" where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _numbers(text: str) -> tuple[float, ...] | None:
    values = [_number(part) for part in text.split()]
    return tuple(values) if len(values) == 3 and None not in values else None
