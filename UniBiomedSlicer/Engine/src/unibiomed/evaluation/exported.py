# SPDX-License-Identifier: Apache-2.0
"""A model asked about reviewed cases: every phrase of every volume or picture, and the questions in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.agreement import Answer, answer_of
from unibiomed.evaluation.case_reports import ask_report, has_truth
from unibiomed.evaluation.reviewed.cases import Opened, OpenedVolume, ReviewedCase, ReviewedSet
from unibiomed.evaluation.reviewed.stacking import stacked
from unibiomed.evaluation.text_answers import Told
from unibiomed.evaluation.text_questions import Targets, ask_words
from unibiomed.tasks.catalogue import Catalogue, Target, agree, catalogue_of, published
from unibiomed.tasks.presence import Thresholds, observe, passes_alone, seg_logprobs
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.segment import segment
from unibiomed.tasks.templates import segment_prompt
from unibiomed.volumes.masks import BoxMask

TASKS = ("segment", "recognise", "report", "vqa", "region")
PICTURES = 5

Progress = Callable[[ProgressEvent], None]
CancelCheck = Callable[[], bool]


@dataclass(frozen=True, eq=False)
class Asked:
    """What one model answered: ``answers`` about masks, ``told`` what its words add to the figures."""

    answers: tuple[Answer, ...]
    told: tuple[Told, ...]


def ask(
    model: Model,
    reviewed: ReviewedSet,
    known: Catalogue,
    tolerance: float,
    *,
    tasks: Sequence[str] = TASKS,
    pictures: int = PICTURES,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
    stage: str = "Evaluating",
) -> Asked:
    """Ask for the masks of ``tasks`` "segment", and at most ``pictures`` pictures a case in words for the others.

    ``known`` says which targets are abnormalities where the data do not; give two models the same. ``tolerance`` of NSD
    is in the set's unit. InputError for damaged files; Cancelled between two pictures, within a slice of a volume.
    """
    targets = Targets(known)
    answers: list[Answer] = []
    told: list[Told] = []
    for number, case in enumerate(reviewed.cases):
        opened = case.open()
        if "segment" in tasks:
            answers += masks_of(model, case, opened, tolerance, reviewed.unit, cancelled)
        told += ask_words(model, case, opened, targets, tasks, pictures, cancelled)
        if "report" in tasks and reviewed.whole and has_truth(case.facts):
            whole = opened if isinstance(opened, OpenedVolume) else stacked(case.facts, opened)
            told += ask_report(model, case, whole, targets, cancelled)
        if progress is not None:
            progress(ProgressEvent(stage, number + 1, len(reviewed.cases)))
    return Asked(tuple(answers), tuple(told))


def known_targets(model: Model | None = None) -> Catalogue:
    """What a label or a phrase is taken to name: a target of ``model``, else a published one of that name."""
    own = catalogue_of(model).targets if model is not None else ()
    others = (
        target
        for target in published().targets
        if not any(one.name.lower() == target.name.lower() and agree(one.modality, target.modality) for one in own)
    )
    return Catalogue((*own, *others))


def masks_of(
    model: Model,
    case: ReviewedCase,
    opened: Opened,
    tolerance: float,
    unit: str,
    cancelled: CancelCheck | None = None,
) -> Iterator[Answer]:
    """Every phrase of a case: of the whole volume, or picture by picture."""
    if isinstance(opened, OpenedVolume):
        return _in_volume(model, case, opened, tolerance, cancelled)
    return _on_pictures(model, case, opened, tolerance, unit, cancelled)


def unknown_to(model: Model, cases: Iterable[ReviewedCase]) -> tuple[str, ...]:
    """The phrases that the model does not know as its targets: it shows nothing for them in a volume."""
    found = (phrase for case in cases for phrase in case.phrases if _resolved(model, case, phrase) is None)
    return tuple(sorted(set(found)))


def _in_volume(
    model: Model, case: ReviewedCase, opened: OpenedVolume, tolerance: float, cancelled: CancelCheck | None
) -> Iterator[Answer]:
    if cancelled is not None and cancelled():
        raise Cancelled("The evaluation was stopped; nothing was written.")
    how, volume = case.facts.how, opened.volume
    meant = {phrase: _resolved(model, case, phrase) for phrase in case.phrases}
    wanted = [target.phrase for target in meant.values() if target is not None]
    shown = {}
    if wanted:
        result = segment(
            model,
            volume,
            wanted,
            modality=how.modality or case.facts.modality,
            site=how.site,
            window=how.window,
            axis=how.axis,
            method=how.method,
            clean=how.clean,
            cancelled=cancelled,
        )
        shown = {item.phrase: item for item in result.segments}
    nothing = BoxMask.empty()
    for phrase in case.phrases:
        target = meant[phrase]
        found = shown.get(target.phrase) if target is not None else None
        yield answer_of(
            case.facts.name,
            case.facts.patient,
            phrase,
            (nothing if found is None else found.mask).to_full(volume.shape),
            opened.truth.get(phrase, nothing).to_full(volume.shape),
            tuple(reversed(volume.spacing)),
            tolerance,
            found.confidence if found else 0.0,
        )


def _resolved(model: Model, case: ReviewedCase, phrase: str) -> Target | None:
    how = case.facts.how
    try:
        return catalogue_of(model).resolve(phrase, how.modality or case.facts.modality, how.site)
    except InputError:
        return None


def _on_pictures(
    model: Model,
    case: ReviewedCase,
    opened: Opened,
    tolerance: float,
    unit: str,
    cancelled: CancelCheck | None,
) -> Iterator[Answer]:
    spacing = case.facts.picture_mm[:2] if unit == "mm" else (1.0, 1.0)
    for index in range(len(opened)):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was stopped; nothing was written.")
        shown = opened.picture(index)
        nothing = np.zeros(shown.image.shape[:2], dtype=bool)
        prompts = [segment_prompt(phrase) for phrase in case.phrases]
        found = model.predict_batch([shown.image] * len(prompts), prompts)
        for phrase, prediction in zip(case.phrases, found, strict=True):
            mask, confidence = nothing, 0.0
            if len(prediction.masks):
                seen = observe(prediction, 0, 0, token_logprob=seg_logprobs(model, prediction)[0])
                confidence = seen.confidence
                if not passes_alone(seen, Thresholds.of(model, phrase)):
                    mask = _in_box(seen.mask, case.facts.picture_box)
            yield answer_of(
                case.facts.name,
                case.facts.patient,
                phrase,
                mask,
                shown.masks.get(phrase, nothing),
                spacing,
                tolerance,
                confidence,
                shown.place,
            )


def _in_box(mask: np.ndarray, box: tuple[int, int, int, int] | None) -> np.ndarray:
    """What of ``mask`` lies on the picture: a user never sees the rest, which is on its black frame."""
    if box is None:
        return mask
    top, left, bottom, right = box
    inside = np.zeros_like(mask)
    inside[top:bottom, left:right] = mask[top:bottom, left:right]
    return inside
