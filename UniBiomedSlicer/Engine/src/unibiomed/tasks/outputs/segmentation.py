# SPDX-License-Identifier: Apache-2.0
"""A result's segments on the volume's grid, named and annotated for the file writers."""

from __future__ import annotations

from unibiomed.errors import InputError
from unibiomed.tasks.outputs.colors import segment_colors
from unibiomed.tasks.results import Answer, Interpretation, Provenance, RecognitionResult, Report, SegmentationResult
from unibiomed.tasks.results import SegmentResult as Record
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.volume import Volume

Segmented = SegmentationResult | RecognitionResult | Report | Answer | Interpretation


def to_segmentation(result: Segmented, volume: Volume) -> Segmentation:
    """The segments of ``result`` on the grid of ``volume``, which must be the one that it was made from.

    Segments of one target are numbered ("liver tumor 1", "liver tumor 2"). InputError where the grids differ.
    """
    if tuple(result.provenance.shape) != volume.shape:
        raise InputError(
            f"The result belongs to a volume of {result.provenance.shape} voxels [k, j, i], not to {volume.name} with "
            f"{volume.shape}."
        )
    colors, names = segment_colors(result.segments), segment_names(result.segments)
    segments = tuple(
        Segment(
            name=names[item.id],
            target=item.phrase,
            mask=item.mask,
            color=tuple(part / 255 for part in colors[item.id]),
            attributes=_attributes(item),
        )
        for item in result.segments
    )
    return Segmentation(volume.shape, volume.ijk_to_ras, segments, _about(result.provenance))


def segment_names(segments: tuple[Record, ...]) -> dict[str, str]:
    """Segment id to the name shown: the target, numbered where there are several of it."""
    totals: dict[str, int] = {}
    for item in segments:
        totals[item.target] = totals.get(item.target, 0) + 1
    counts: dict[str, int] = {}
    names = {}
    for item in segments:
        counts[item.target] = counts.get(item.target, 0) + 1
        names[item.id] = item.target if totals[item.target] == 1 else f"{item.target} {counts[item.target]}"
    return names


def _attributes(item: Record) -> dict[str, str]:
    texts = {
        "UniBiomed.Id": item.id,
        "UniBiomed.Phrase": item.phrase,
        "UniBiomed.Kind": item.kind,
        "UniBiomed.Confidence": f"{item.confidence:.4f}",
    }
    if item.cleaned:
        texts["UniBiomed.Cleaned"] = item.cleaned
    return texts


def _about(provenance: Provenance) -> dict[str, str]:
    return {
        "UniBiomed.Task": provenance.task,
        "UniBiomed.Model": f"{provenance.model} {provenance.model_version}".strip(),
        "UniBiomed.WeightsSha256": provenance.weights_sha256,
        "UniBiomed.EngineVersion": provenance.engine_version,
        "UniBiomed.Date": provenance.date,
        "UniBiomed.Notice": "AI generated, not for clinical use",
    }
