# SPDX-License-Identifier: Apache-2.0
"""Tracks of abnormalities made into findings: joined over slices in 3-D, numbered, measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from unibiomed.tasks.catalogue import Target
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.joining import join
from unibiomed.tasks.measure import combine, segment_record
from unibiomed.tasks.results import Finding, SegmentResult, TextSpan
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.tracks import Track

LEAST_CONFIDENCE = 0.1
"""A reading reports no finding of less: the product of the mask's scores is not calibrated, but it is no evidence."""


def findings_of(
    tracks: Iterable[Track],
    frames: Frames,
    sentences: Mapping[Target, Mapping[int, str]],
    *,
    first_segment: int = 1,
    least_confidence: float = 0.0,
) -> tuple[tuple[Finding, ...], tuple[SegmentResult, ...]]:
    """A finding with one segment for each object of each track, surest first within a target; ids count up.

    Objects of less than ``least_confidence`` (0..1) are left out.
    The sentence is that of the finding's most certain slice that has one.
    """
    findings: list[Finding] = []
    segments: list[SegmentResult] = []
    for track in tracks:
        for part in join(track.stack):
            segment = _segment(f"s{first_segment + len(segments)}", track, part, frames)
            if segment.confidence < least_confidence:
                continue
            segments.append(segment)
            findings.append(
                Finding(
                    id=f"f{len(findings) + 1}",
                    phrase=segment.phrase,
                    target=segment.target,
                    segments=(segment.id,),
                    slices=segment.slices,
                    confidence=segment.confidence,
                    sentence=_sentence(track, part, sentences.get(track.target, {})),
                    volume_ml=segment.volume_ml,
                    extent_mm=segment.extent_mm,
                )
            )
    return tuple(findings), tuple(segments)


def segments_at(segments: Iterable[SegmentResult], phrase: str, index: int) -> tuple[str, ...]:
    """Ids of the segments of ``phrase`` that have voxels on slice ``index``."""
    return tuple(item.id for item in segments if item.phrase == phrase and index in item.slices)


def span(text: str, start: int, end: int, segments: tuple[str, ...]) -> TextSpan:
    """A span of ``text`` with its own words."""
    return TextSpan(start, end, text[start:end], segments)


def _segment(identity: str, track: Track, part: PlaneStack, frames: Frames) -> SegmentResult:
    own = set(part.indices)
    weighted = [(track.confidence_at[index], int(part.box(index)[2].sum())) for index in part.indices]
    return segment_record(
        identity,
        track.target,
        part.to_mask(),
        frames.volume,
        frames.mapping.array_axis,
        confidence=combine(weighted),
        presence=tuple(item for item in track.evidence if item.slice in own),
    )


def _sentence(track: Track, part: PlaneStack, sentences: Mapping[int, str]) -> str:
    """The sentence said on the part's surest slice; a slice near it where no slice of the part has one."""
    said = {index: text for index, text in sentences.items() if text}
    own = [index for index in part.indices if index in said]
    if own:
        return said[max(own, key=lambda index: track.confidence_at[index])]
    near = min(said, key=lambda index: min(abs(index - at) for at in part.indices), default=None)
    return said[near] if near is not None else ""
