# SPDX-License-Identifier: Apache-2.0
"""An answer held against the truth: what it adds to which figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unibiomed.evaluation.mask_metrics import dice
from unibiomed.evaluation.matching import GroundedPhrase, match_phrases
from unibiomed.evaluation.questions import Question
from unibiomed.evaluation.text_metrics import exact_match, missing_library, plain_text, rouge_l
from unibiomed.tasks.answers import ParsedAnswer, parse_answer, parse_caption
from unibiomed.tasks.phrases import normalise
from unibiomed.tasks.presence import Thresholds, observe, passes_alone, seg_logprobs
from unibiomed.tasks.protocol import PredictionLike

NO_FINDINGS = "no findings"


@dataclass(frozen=True)
class Score:
    """``numerator`` of ``denominator`` added to ``figure`` by one answer; ``target`` is a segmentation's phrase."""

    figure: str
    numerator: float
    denominator: float
    target: str = ""


@dataclass(frozen=True)
class TextPair:
    """A report and its truth, as plain texts."""

    answer: str
    truth: str


def score(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    """What the answer to ``question`` adds to the figures. ``model`` gives the presence gate's thresholds."""
    return _SCORERS[question.task](question, prediction, model)


def report_pair(question: Question, prediction: PredictionLike) -> TextPair:
    """The report as plain text beside the true one."""
    return TextPair(plain_text(parse_answer(prediction.text).text), plain_text(question.phantom.report()))


def _segment(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    spec = question.spec
    truth = question.phantom.masks.get(spec.name) if not question.foreign else None
    mask, shown = np.zeros(question.image.shape[:2], bool), False
    if len(prediction.masks):
        seen = observe(prediction, 0, 0, token_logprob=seg_logprobs(model, prediction)[0])
        mask, shown = seen.mask, not passes_alone(seen, Thresholds.of(model, spec.phrase))
    if truth is None:
        group = "foreign" if question.foreign else "of the modality"
        return [
            Score("false positives", float(shown), 1.0),
            Score(f"false positives, targets {group}", float(shown), 1.0),
        ]
    overlap = dice(mask, truth)
    return [
        Score(f"{spec.kind} Dice", overlap if shown else 0.0, 1.0, spec.phrase),
        Score(f"{spec.kind} Dice, gate ignored", overlap, 1.0, spec.phrase),
        Score("missed by the gate", float(not shown), 1.0),
    ]


def _recognise(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    answer = _parsed(prediction)
    phantom = question.phantom
    if not phantom.abnormalities:
        return [Score("recognition accuracy, healthy", float(answer.nothing_found), 1.0)]
    true = {normalise(phantom.specs[name].phrase) for name in phantom.abnormalities}
    named = {link.name for link in answer.findings}
    return [Score("recognition accuracy, abnormal", float(bool(named) and named <= true), 1.0)]


def _report(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    phantom = question.phantom
    truth = [GroundedPhrase(name, phantom.masks[name]) for name in phantom.abnormalities]
    answer = _parsed(prediction)
    given = []
    for link in answer.links:
        if link.nothing:
            given.append(GroundedPhrase(NO_FINDINGS, None))
        elif link.name:
            masks = [np.asarray(prediction.masks[index][0], bool) for index in link.segments]
            given.append(GroundedPhrase(link.name, np.logical_or.reduce(masks) if masks else None))
    counts = match_phrases(given, truth or [GroundedPhrase(NO_FINDINGS, None)]).f1_parts
    scores = [Score("report phrase F1", *counts)]
    if missing_library() is None:
        pair = report_pair(question, prediction)
        scores.append(Score("report ROUGE-L", rouge_l(pair.answer, pair.truth), 1.0))
    return [*scores, Score("report phrase F1, with findings", *counts)] if truth else scores


def _vqa(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    answer = _parsed(prediction)
    if question.names:
        right = sorted(link.name for link in answer.findings) == sorted(question.names)
        return [Score("VQA accuracy", float(right), 1.0), Score("VQA accuracy, something there", float(right), 1.0)]
    right = answer.nothing_found
    return [Score("VQA accuracy", float(right), 1.0), Score("VQA accuracy, nothing there", float(right), 1.0)]


def _region(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    return [Score("region exact match", float(exact_match(_parsed(prediction).text, question.spec.phrase)), 1.0)]


def _describe(question: Question, prediction: PredictionLike, model: Any) -> list[Score]:
    said, true = parse_caption(prediction.text), parse_caption(question.phantom.caption())
    right = said.modality == true.modality and said.site == true.site
    named, there = set(said.anatomy), set(true.anatomy)
    return [
        Score("description, modality and site", float(right), 1.0),
        Score("description, anatomy F1", 2.0 * len(named & there), float(len(named) + len(there))),
    ]


def _parsed(prediction: PredictionLike) -> ParsedAnswer:
    return parse_answer(prediction.text, len(prediction.masks))


_SCORERS: dict[str, Callable[[Question, PredictionLike, Any], list[Score]]] = {
    "segment": _segment,
    "recognise": _recognise,
    "report": _report,
    "vqa": _vqa,
    "region": _region,
    "describe": _describe,
}
