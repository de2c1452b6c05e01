# SPDX-License-Identifier: Apache-2.0
"""From a mask to the segment record with its figures."""

from __future__ import annotations

from collections.abc import Iterable

from unibiomed.tasks.catalogue import Target
from unibiomed.tasks.presence import Decision
from unibiomed.tasks.results import Extent, PresenceEvidence, SegmentResult
from unibiomed.tasks.stack import slices_along
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.volume import Volume


def extent_mm(mask: BoxMask, volume: Volume) -> Extent | None:
    """Edges of the bounding box along i, j and k in mm; None without real spacing or voxels."""
    bounds = mask.bounds
    if bounds is None or not volume.spatial:
        return None
    sizes = [last - first + 1 for first, last in bounds][::-1]
    return tuple(round(size * step, 3) for size, step in zip(sizes, volume.spacing, strict=True))


def volume_ml(mask: BoxMask, volume: Volume) -> float | None:
    """Volume in millilitres; None without real spacing, and for a single slice of unknown thickness."""
    return round(mask.volume_ml(volume.ijk_to_ras), 6) if volume.spatial else None


def mean_confidence(decisions: Iterable[Decision]) -> float:
    """Mean of the slices' confidences, each weighted with its pixels; 0 without slices."""
    weighted = [(decision.seen.confidence, decision.evidence.pixels) for decision in decisions]
    return combine(weighted)


def combine(weighted: Iterable[tuple[float, int]]) -> float:
    """Weighted mean in 0..1, rounded to four places."""
    pairs = list(weighted)
    total = sum(weight for _, weight in pairs)
    return round(min(1.0, sum(value * weight for value, weight in pairs) / total), 4) if total else 0.0


def segment_record(
    identity: str,
    target: Target,
    mask: BoxMask,
    volume: Volume,
    array_axis: int,
    *,
    confidence: float,
    presence: tuple[PresenceEvidence, ...] = (),
    cleaned: str = "",
) -> SegmentResult:
    """The record of one segment on ``volume``."""
    return SegmentResult(
        id=identity,
        phrase=target.phrase,
        target=target.name,
        kind=target.kind,
        mask=mask,
        slices=slices_along(mask, array_axis),
        voxels=mask.voxel_count,
        confidence=confidence,
        volume_ml=volume_ml(mask, volume),
        extent_mm=extent_mm(mask, volume),
        presence=presence,
        cleaned=cleaned,
    )
