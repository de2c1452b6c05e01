# SPDX-License-Identifier: Apache-2.0
"""A model against the reviewed segments of a catalogue: whole volumes, distances in millimetres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.samples import Sample, Which, samples
from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.agreement import Answer, answer_of
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.tasks.segment import segment
from unibiomed.volumes.masks import BoxMask


def ask_catalogue(
    model: Any,
    catalogue: Catalogue,
    tolerance: float,
    *,
    which: Which = "reviewed",
    split: str | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    stage: str = "Evaluating",
) -> list[Answer]:
    """What ``model`` segments in every reviewed case, as the catalogue's plan says; ``tolerance`` of NSD in mm.

    Asked for is what the case was annotated for and what its reviewer outlined. ``split`` ("train", "validation",
    "test") takes the patients that an export with default shares puts there. A picture without real spacing counts 1
    mm a pixel. InputError when no case was reviewed; Cancelled within a slice.
    """
    chosen = [one for one in samples(catalogue, which) if split in (None, one.split)]
    if not chosen:
        raise InputError(f"{catalogue.folder} holds no reviewed case in the split {split}.")
    answers: list[Answer] = []
    for number, sample in enumerate(chosen):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was stopped; nothing was written.")
        answers += _ask(model, catalogue, sample, tolerance, cancelled)
        if progress is not None:
            progress(ProgressEvent(stage, number + 1, len(chosen)))
    return answers


def _ask(
    model: Any, catalogue: Catalogue, sample: Sample, tolerance: float, cancelled: Callable[[], bool] | None
) -> Iterator[Answer]:
    plan, volume = catalogue.plan, sample.volume
    automatic = sample.result
    asked = [item.phrase for item in (*automatic.segments, *automatic.not_found)] if plan.targets else []
    truth = _truth(sample, asked)
    phrases = list(dict.fromkeys([*asked, *truth]))
    if not phrases:
        return
    result = segment(
        model,
        volume,
        phrases,
        modality=plan.modality,
        site=plan.site,
        window=plan.window,
        axis=plan.axis,
        method=plan.method,
        clean=plan.clean,
        cancelled=cancelled,
    )
    shown = {item.phrase: item for item in result.segments}
    nothing = np.zeros(volume.shape, dtype=bool)
    for phrase in phrases:
        found, true = shown.get(phrase), truth.get(phrase)
        yield answer_of(
            sample.name,
            sample.patient,
            phrase,
            nothing if found is None else found.mask.to_full(volume.shape),
            nothing if true is None else true.to_full(volume.shape),
            tuple(reversed(volume.spacing)),
            tolerance,
            found.confidence if found else 0.0,
        )


def _truth(sample: Sample, asked: list[str]) -> dict[str, BoxMask]:
    """What stands, by phrase; a segment without one of its own goes by the phrase that was asked for its target."""
    by_target = {parse_phrase(phrase).target: phrase for phrase in asked}
    found: dict[str, BoxMask] = {}
    for number, item in enumerate(sample.segmentation.segments):
        phrase = sample.phrase(number)
        if phrase not in asked:
            phrase = by_target.get(item.target.lower(), phrase)
        found[phrase] = found[phrase].union(item.mask) if phrase in found else item.mask
    return found
