# SPDX-License-Identifier: Apache-2.0
"""The main job: read a volume or picture without being asked anything, from what it is to what is wrong and where.

1. Look: captions of up to 24 slices say modality, body part and the anatomy in view (``survey``).
2. Read: up to 64 slices of each part are asked the abnormality question and, where the model was trained for it, the
   report question; the presence gate decides which of the findings named have a mask (``detections``). A model whose
   gate was fitted is asked for each abnormality that it knows by name as well: its masks show some that its words miss
   (``unnamed``).
3. Refine: each finding, and each structure of the anatomy, is asked for by its trained phrase on every slice near where
   it was noticed, and followed to its ends (``refine``). A finding that is not confirmed so is reported as not
   confirmed and does not count, nor does one of hardly any confidence (``findings.LEAST_CONFIDENCE``).
4. Join: masks that overlap from slice to slice are one finding in 3-D (``joining``).
5. Write: a text whose every phrase names its segments (``compose``).

A picture is a volume of one slice and goes the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from unibiomed.tasks.answers import ParsedAnswer
from unibiomed.tasks.catalogue import Catalogue, Target, catalogue_of
from unibiomed.tasks.compose import Text, joined, picture_name, ranges, volume_text
from unibiomed.tasks.detections import Collector, Detection, detect
from unibiomed.tasks.findings import LEAST_CONFIDENCE, findings_of
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.reading import read_slices
from unibiomed.tasks.recognise import MOST_READ, describe_findings, slice_report
from unibiomed.tasks.refine import refine
from unibiomed.tasks.report import trained_for_report
from unibiomed.tasks.results import Finding, Interpretation, NotFound, Provenance, SegmentResult
from unibiomed.tasks.survey import Part, Survey, survey
from unibiomed.tasks.templates import describe_prompt, recognise_prompt, report_prompt, segment_prompt
from unibiomed.tasks.tracks import Track, not_found, settle_tracks
from unibiomed.tasks.unnamed import ByName, supported
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window


@dataclass(eq=False)
class _Reading:
    """What was said on the slices of a part, and what came of it."""

    part: Part
    slices: tuple[int, ...]
    prompts: tuple[str, ...]
    said: list[tuple[int, ParsedAnswer, list[Detection]]] = field(default_factory=list)
    sentences: Mapping[Target, Mapping[int, str]] = field(default_factory=dict)
    noticed: dict[Target, Track] = field(default_factory=dict)
    unnamed: dict[Target, list[int]] = field(default_factory=dict)
    confirmed: dict[Target, Track] = field(default_factory=dict)
    anatomy: dict[Target, Track] = field(default_factory=dict)


def interpret(
    model: Model,
    volume: Volume,
    *,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    anatomy: bool = True,
    batch_size: int | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Interpretation:
    """Read ``volume`` end to end, see the module's text for the steps.

    ``modality``, ``site``, ``window`` and ``axis`` overrule what the file and the model say; ``anatomy`` false leaves
    the structures out and looks for abnormalities only. InputError for unknown words; Cancelled on request.
    """
    run = Run(progress, cancelled)
    known = catalogue_of(model)
    frames = Frames.of(volume, modality=modality, site=site, window=window, axis=axis)
    seen = survey(model, known, frames, run, window_given=window is not None)
    readings = [_read(model, known, part, run, batch_size) for part in seen.parts]
    for reading in readings:
        _refine(model, reading, seen.step, anatomy, run, batch_size)
    segments: list[SegmentResult] = []
    structures: list[SegmentResult] = []
    findings: list[Finding] = []
    missing: list[NotFound] = []
    for reading in readings:
        own = reading.part.frames
        tracks = list(reading.anatomy.values())
        shown, _ = settle_tracks(tracks, own, len(reading.part.slices), first=len(segments) + 1)
        structures.extend(shown)
        segments.extend(shown)
        found, marked = findings_of(
            reading.confirmed.values(),
            own,
            reading.sentences,
            first_segment=len(segments) + 1,
            least_confidence=LEAST_CONFIDENCE,
        )
        findings.extend(found)
        segments.extend(marked)
        missing.extend(_unconfirmed(reading))
        missing.extend(_faint(reading, {finding.phrase for finding in found}))
    numbered = tuple(replace(item, id=f"f{number}") for number, item in enumerate(_surest_first(findings), start=1))
    read = sorted(index for reading in readings for index in reading.slices)
    text = _write(seen, frames, structures, numbered, len(read))
    marked = tuple(segments)
    reports = [slice_report(index, said, found, marked) for item in readings for index, said, found in item.said]
    return Interpretation(
        provenance=_provenance(model, frames, seen, readings, read),
        modality=seen.modality or "unknown",
        site=joined([part.site for part in seen.parts if part.site]) or None,
        text=str(text),
        nothing_found=not numbered,
        spans=tuple(text.spans),
        findings=numbered,
        segments=marked,
        slices=tuple(sorted(reports, key=lambda item: item.slice)),
        not_found=tuple(missing),
        caption=seen.caption,
    )


def _read(model: Model, known: Catalogue, part: Part, run: Run, batch_size: int | None) -> _Reading:
    """Ask the questions on the part's slices and gather what is named."""
    frames = part.frames
    questions = [recognise_prompt()]
    if trained_for_report(model, frames.modality, part.site):
        questions.append(report_prompt())
    by_name = ByName(model, known, frames.modality, part.site)
    prompts = [*questions, *by_name.prompts]
    reading = _Reading(part, frames.sample(MOST_READ, part.slices), tuple(prompts))
    collector = Collector(model, frames)
    stage = "read" if part.site is None else f"read {part.site}"
    run.tell(stage, 0, len(reading.slices))
    stream = read_slices(model, frames, reading.slices, prompts, run, batch_size=batch_size)
    for done, (index, predictions) in enumerate(stream, start=1):
        answers = [
            detect(model, known, prediction, index, modality=frames.modality, site=part.site)
            for prediction in predictions[: len(questions)]
        ]
        by_name.take(index, predictions[len(questions) :])
        taken = collector.take(index, [item for _, found in answers for item in found])
        said, found = answers[-1]
        found = taken[len(taken) - len(found) :]
        reading.said.append((index, said, [item.without_mask() for item in found]))
        run.tell(stage, done, len(reading.slices), text=said.text)
    reading.noticed = collector.finish()
    reading.unnamed = by_name.beside(reading.noticed)
    reading.sentences = collector.sentences
    return reading


def _refine(model: Model, reading: _Reading, step: int, anatomy: bool, run: Run, batch_size: int | None) -> None:
    """Confirm the findings and draw the anatomy, both by the trained segmentation prompt, in one go over the slices."""
    part = reading.part
    apart = max(1, -(-len(part.slices) // max(1, len(reading.slices))))
    wanted: dict[Target, tuple[int, ...]] = {
        target: track.stack.indices for target, track in reading.noticed.items() if track.stack.indices
    }
    wanted |= {target: tuple(slices) for target, slices in reading.unnamed.items()}
    structures = {target: slices for target, slices in part.anatomy.items() if anatomy and target not in wanted}
    tracks = refine(
        model,
        part.frames,
        {**structures, **wanted},
        part.slices,
        max(step, apart),
        run,
        batch_size=batch_size,
        stage="segment" if part.site is None else f"segment {part.site}",
    )
    for target in reading.unnamed:
        tracks[target] = supported(tracks[target], part.frames)
    reading.confirmed = {target: tracks[target] for target in wanted if tracks[target].stack.indices}
    reading.anatomy = {target: tracks[target] for target in structures}


def _unconfirmed(reading: _Reading) -> list[NotFound]:
    """What was named on some slice but did not hold."""
    records = []
    for target, track in reading.noticed.items():
        if target in reading.confirmed:
            continue
        where = ranges(track.stack.indices)
        reason = (
            f"Named when slices {where} were read, but not confirmed when asked for by name."
            if where
            else "Named by the model, but its mask did not pass the presence gate on any slice."
        )
        records.append(not_found(track, len(reading.slices), reason))
    return records


def _faint(reading: _Reading, reported: set[str]) -> list[NotFound]:
    """What was confirmed, but nowhere with a confidence that is worth a report."""
    records = []
    for target, track in reading.confirmed.items():
        if target.phrase in reported:
            continue
        where, most = ranges(track.stack.indices), max(track.confidence_at.values())
        reason = f"Seen on slices {where}, confidence {most:.2f} at most; less than {LEAST_CONFIDENCE} is not reported."
        records.append(not_found(track, len(reading.slices), reason))
    return records


def _surest_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda item: -item.confidence)


def _write(
    seen: Survey,
    frames: Frames,
    structures: list[SegmentResult],
    findings: tuple[Finding, ...],
    slices_read: int,
) -> Text:
    """The report: what the picture is, what it shows, what was found."""
    text = Text()
    sites = joined([part.site for part in seen.parts if part.site])
    count = f", {len(frames)} {frames.mapping.axis} slices, {slices_read} read" if len(frames) > 1 else ""
    text.add(f"{picture_name(seen.modality, sites)}{count}.")
    if structures:
        text.add(" It shows ")
        for number, item in enumerate(structures):
            text.add("" if number == 0 else " and " if number == len(structures) - 1 else ", ")
            text.add("the ").add(item.target, [item.id])
            size = volume_text(item.volume_ml) if len(frames) > 1 else ""
            text.add(f" ({size})" if size else "")
        text.add(".")
    text.add("\n")
    describe_findings(text, findings, slices_read, frames)
    return text


def _provenance(model: Model, frames: Frames, seen: Survey, readings: list[_Reading], read: list[int]) -> Provenance:
    prompts = [describe_prompt(), *(prompt for item in readings for prompt in item.prompts)]
    prompts += [
        segment_prompt(target.phrase) for item in readings for target in (*item.anatomy, *item.noticed, *item.unnamed)
    ]
    prompts = list(dict.fromkeys(prompts))
    notes = list(seen.notes)
    if len(read) < len(frames):
        notes.append(
            f"{len(read)} of {len(frames)} slices were read for findings; one that lies wholly between them is missed."
        )
    own = {item.part.site: item.part.frames.window for item in readings}
    whole = replace(frames, window=next(iter(own.values())), modality=seen.modality, site=frames.site)
    made = provenance_of(
        "interpret",
        model,
        whole,
        prompts=prompts,
        slices=read,
        phrases=[target.phrase for item in readings for target in (*item.anatomy, *item.noticed, *item.unnamed)],
        notes=notes,
        site=joined([site for site in own if site]) or None,
    )
    if len({window.name for window in own.values()}) == 1:
        return made
    windows = {site or "elsewhere": window.to_json() for site, window in own.items()}
    return replace(made, window={"name": "by site", "kind": "by site", "sites": windows})
