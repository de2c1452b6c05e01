# SPDX-License-Identifier: Apache-2.0
"""The grounded report of one slice."""

from __future__ import annotations

from unibiomed.tasks.catalogue import catalogue_of
from unibiomed.tasks.detections import Collector, detect
from unibiomed.tasks.findings import findings_of
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.recognise import slice_report
from unibiomed.tasks.results import Report
from unibiomed.tasks.templates import report_prompt
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

CHEST_ONLY = (
    "This model was trained to report on chest CT only; on any other picture its report is off its training and must "
    "not be relied on."
)


def report(
    model: Model,
    volume: Volume,
    *,
    slice_index: int | None = None,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Report:
    """Ask the trained report question on one slice (None: the middle one); every named finding has its segment.

    A phrase whose mask the presence gate refuses keeps its words and has no segment; a note says so.
    """
    run = Run(progress, cancelled)
    frames = Frames.of(volume, modality=modality, site=site, window=window, axis=axis)
    index = middle(frames) if slice_index is None else frames.slices([slice_index])[0]
    known = catalogue_of(model)
    run.tell("report", 0, 1)
    prediction = model.predict(frames.picture(index), report_prompt(), on_text=run.writing("report"))
    answer, found = detect(model, known, prediction, index, modality=frames.modality, site=frames.site)
    collector = Collector(model, frames)
    found = collector.take(index, found)
    tracks = collector.finish()
    findings, segments = findings_of(tracks.values(), frames, collector.sentences)
    notes = [
        f"{track.target.phrase}: named, but without a segment, since its mask did not pass the presence gate."
        for track in tracks.values()
        if not track.stack.indices
    ]
    if not trained_for_report(model, frames.modality, frames.site):
        notes.append(CHEST_ONLY)
    run.tell("report", 1, 1, text=answer.text)
    spoken = slice_report(index, answer, found, segments)
    return Report(
        provenance=provenance_of(
            "report",
            model,
            frames,
            prompts=[report_prompt()],
            slices=[index],
            phrases=[target.phrase for target in tracks],
            notes=notes,
        ),
        slice=index,
        text=answer.text,
        nothing_found=answer.nothing_found,
        spans=spoken.spans,
        findings=findings,
        segments=segments,
    )


def middle(frames: Frames) -> int:
    """The slice that is read when none is named."""
    return (len(frames) - 1) // 2


def trained_for_report(model: Model, modality: str | None, site: str | None) -> bool:
    """Whether the report question is within the model's training: a model that states its targets says so by its own
    folder, the published one saw chest CT only (tasks reference, section 1)."""
    if not catalogue_of(model).published:
        return True
    return modality is not None and base_modality(modality) == "CT" and site in ("chest", "lung")
