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
from UniBiomedSlicerLib import SegmentTags as tags

NOT_FOUND = "UniBiomed.NotFound"
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
    for info in tags.segmentsOf(segmentationNode):
        if info.isPreview:
            continue
        segment = segmentation.GetSegment(info.id)
        keySlice = _number(tags.tag(segment, tags.KEY_SLICE))
        rows.append(
            Row(
                segmentId=info.id,
                name=info.name,
                color=segment.GetColor(),
                phrase=info.phrase,
                volumeMl=_number(tags.tag(segment, tags.VOLUME_ML)),
                slices=tags.tag(segment, tags.SLICES).replace(",", ", "),
                axis=tags.tag(segment, tags.AXIS),
                keySlice=None if keySlice is None else int(keySlice),
                center=_numbers(tags.tag(segment, CENTER)),
                confidence=info.confidence,
                visible=displayNode is None or bool(displayNode.GetSegmentVisibility(info.id)),
            )
        )
    return rows


def keepCenter(segmentationNode: Any, segmentId: str, mask: Mapping[str, Any]) -> None:
    """Note the middle of a result's mask on its segment, for a jump that does not have to look for it."""
    middle = (start + (size - 1) / 2 for start, size in zip(mask["offset"], mask["shape"], strict=True))
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    tags.setTag(segment, CENTER, " ".join(repr(index) for index in middle))


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


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _numbers(text: str) -> tuple[float, ...] | None:
    values = [_number(part) for part in text.split()]
    return tuple(values) if len(values) == 3 and None not in values else None
