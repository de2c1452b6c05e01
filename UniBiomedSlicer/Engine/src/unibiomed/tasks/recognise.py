# SPDX-License-Identifier: Apache-2.0
"""Are there signs of abnormality? Asked on every slice, grounded, and joined over slices."""

from __future__ import annotations

from collections.abc import Iterable

from unibiomed.tasks.answers import ParsedAnswer
from unibiomed.tasks.catalogue import catalogue_of
from unibiomed.tasks.compose import Text, extent_text, sentence_case, span_text, volume_text
from unibiomed.tasks.detections import Collector, Detection, detect
from unibiomed.tasks.findings import findings_of, segments_at, span
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.reading import read_slices
from unibiomed.tasks.results import Finding, NotFound, RecognitionResult, SegmentResult, SliceReport
from unibiomed.tasks.templates import recognise_prompt
from unibiomed.tasks.tracks import Track, not_found
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

MOST_READ = 64
"""Slices read of a volume when none are named: evenly spread, the middle of each part."""


def recognise(
    model: Model,
    volume: Volume,
    *,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    slices: Iterable[int] | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> RecognitionResult:
    """Ask the trained abnormality question on ``slices`` (None: up to 64, evenly spread) and join the findings.

    ``modality`` and ``site`` complete names that the model does not. A finding that the gate refuses everywhere is in
    ``not_found``. InputError for unknown modality, window, axis or slice; Cancelled on request.
    """
    run = Run(progress, cancelled)
    frames = Frames.of(volume, modality=modality, site=site, window=window, axis=axis)
    wanted = frames.slices(slices) if slices is not None else frames.sample(MOST_READ)
    known = catalogue_of(model)
    collector = Collector(model, frames)
    said: list[tuple[int, ParsedAnswer, list[Detection]]] = []
    run.tell("recognise", 0, len(wanted))
    stream = read_slices(model, frames, wanted, [recognise_prompt()], run, batch_size=batch_size)
    for done, (index, (prediction,)) in enumerate(stream, start=1):
        answer, found = detect(model, known, prediction, index, modality=frames.modality, site=frames.site)
        found = collector.take(index, found)
        said.append((index, answer, [item.without_mask() for item in found]))
        run.tell("recognise", done, len(wanted), text=answer.text)
    tracks = collector.finish()
    findings, segments = findings_of(tracks.values(), frames, collector.sentences)
    text = Text()
    describe_findings(text, findings, len(wanted), frames)
    notes = [] if len(wanted) == len(frames) else [f"{len(wanted)} of {len(frames)} slices were read."]
    return RecognitionResult(
        provenance=provenance_of(
            "recognise",
            model,
            frames,
            prompts=[recognise_prompt()],
            slices=wanted,
            phrases=[target.phrase for target in tracks],
            notes=notes,
        ),
        text=str(text),
        nothing_found=not findings,
        spans=tuple(text.spans),
        findings=findings,
        segments=segments,
        slices=tuple(slice_report(index, answer, found, segments) for index, answer, found in said),
        not_found=refused(tracks.values(), len(wanted)),
    )


def slice_report(
    index: int, answer: ParsedAnswer, found: Iterable[Detection], segments: tuple[SegmentResult, ...]
) -> SliceReport:
    """What was said on slice ``index``, its phrases tied to those ``segments`` that are on it."""
    spans, own = [], []
    for item in found:
        ids = segments_at(segments, item.target.phrase, index)
        spans.append(span(answer.text, item.link.start, item.link.end, ids))
        own.extend(ids)
    return SliceReport(
        slice=index,
        text=answer.text,
        nothing_found=answer.nothing_found,
        spans=tuple(spans),
        segments=tuple(dict.fromkeys(own)),
    )


def refused(tracks: Iterable[Track], slices_read: int) -> tuple[NotFound, ...]:
    """A record for each target that was named but whose every mask the gate refused."""
    return tuple(
        not_found(track, slices_read, "Named by the model, but its mask did not pass the presence gate on any slice.")
        for track in tracks
        if not track.stack.indices
    )


def describe_findings(text: Text, findings: tuple[Finding, ...], slices_read: int, frames: Frames) -> None:
    """Append a sentence a finding, or that nothing was found in how many slices."""
    if not findings:
        where = "the image" if len(frames) == 1 else f"the {slices_read} slices read"
        text.add(f"Nothing found: no abnormality in {where}.")
        return
    for number, finding in enumerate(findings):
        text.add("\n" if number else "").add(sentence_case(finding.target), finding.segments)
        if finding.sentence:
            text.add(": ").add(finding.sentence.rstrip("."), finding.segments)
        figures = [volume_text(finding.volume_ml), extent_text(finding.extent_mm)]
        if len(frames) > 1:
            figures.append(span_text(finding.slices))
        figures.append(f"confidence {finding.confidence:.2f}")
        text.add(f" ({', '.join(figure for figure in figures if figure)}).")
