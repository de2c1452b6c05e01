# SPDX-License-Identifier: Apache-2.0
"""What one or two models answered about the same reviewed cases, added up for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unibiomed.evaluation.agreement import NOTES, compare, summarise
from unibiomed.evaluation.agreement_page import Comparison
from unibiomed.evaluation.exported import Asked
from unibiomed.evaluation.reviewed.cases import ReviewedSet
from unibiomed.evaluation.text_answers import compare_told, figures_of, told_of
from unibiomed.evaluation.text_metrics import TEXT_LIBRARY
from unibiomed.evaluation.text_questions import Targets
from unibiomed.evaluation.unmeasured import unmeasured
from unibiomed.tasks.catalogue import Catalogue

PICTURE_NOTES = (
    "Asked in words, by the trained prompts, are the pictures of a case where each abnormality is largest, then others "
    "evenly spread. A segment of fewer than 24 pixels (of 256 x 256) is called neither there nor absent: a picture "
    "with such an abnormality is not asked what is abnormal on it.",
    "Abnormal or not: right is a finding named where a reviewed abnormality stands, or none where none does. The score "
    "of AUROC is (1 + p) / 2 where a finding is named and (1 - p) / 2 where not; p is the probability of the answer.",
    "Recognition accuracy: on a healthy picture right without a finding, on an abnormal one when every finding named "
    "is on it and at least one is named. F1 of the names counts names over all pictures.",
    "Report phrases count with equal words and IoU >= 0.5; BLEU and ROUGE-L are of pictures whose abnormalities all "
    "have a sentence that the reviewer wrote, or accepted with its case.",
    'VQA: "signs of abnormality in A?" where A is the site or a reviewed structure, at most two a picture, one with an '
    "abnormality in A (over 60 % of it inside A or close to it) and one without any; right when exactly the reviewed "
    "abnormalities are named. Other questions do not follow from segments and are not asked.",
    "Region: a box around a reviewed segment, two a picture, an abnormality first; right is its phrase, word by word.",
)
CASE_NOTES = (
    "Case reports: the whole case read without a prompt. The text is held against the reviewed report; a reviewer "
    "starts from a model's text, which favours the model that wrote it. Phrases count when a reviewed segment of that "
    "name overlaps with IoU >= 0.5 in 3-D; the score of AUROC is the confidence of the surest finding.",
)


def comparison_of(
    asked: Mapping[str, Asked],
    reviewed: ReviewedSet,
    known: Catalogue,
    tasks: Sequence[str],
    settings: Mapping[str, Any],
    unknown: Mapping[str, Sequence[str]],
) -> Comparison:
    """``asked`` and ``unknown`` (phrases that are none of a model's targets) by the models' names, A first."""
    answers = tuple(one.answers for one in asked.values())
    told = tuple((*(told for answer in one.answers for told in told_of(answer)), *one.told) for one in asked.values())
    figures = tuple(figures_of(some) for some in told)
    measured = {one.figure for some in figures for one in some}
    groups = {one.group for some in figures for one in some}
    notes = [*NOTES, f"Text: {TEXT_LIBRARY}."]
    if groups & {"recognise", "report", "vqa", "region"}:
        notes += PICTURE_NOTES
        notes += _limits(reviewed, Targets(known))
    if "case report" in groups:
        notes += CASE_NOTES
    flat = sum(not case.facts.spatial for case in reviewed.cases)
    if flat and reviewed.unit == "mm":
        notes.append(f"{flat} of the cases do not say their size: a pixel of them counts as 1 mm.")
    for name, phrases in unknown.items():
        if phrases:
            notes.append(f"Not targets of {name}, so it shows nothing for them in a volume: {', '.join(phrases)}.")
    return Comparison(
        tuple(summarise(name, one.answers) for name, one in asked.items()),
        answers,
        compare(*answers) if len(answers) == 2 else (),
        dict(settings),
        told=tuple(one.told for one in asked.values()),
        figures=figures,
        figure_differences=compare_told(*told) if len(told) == 2 else (),
        unmeasured=unmeasured(reviewed, Targets(known), tasks, measured),
        notes=(*notes, *reviewed.notes),
    )


def _limits(reviewed: ReviewedSet, targets: Targets) -> list[str]:
    """What was not looked for cannot be told from what is not there."""
    named = [case for case in reviewed.cases if not case.facts.prompt_free]
    wanted = sorted({phrase for case in named for phrase in targets.abnormal(case)})
    if not wanted:
        return []
    return [
        f"In {len(named)} cases only these abnormalities were looked for: {', '.join(wanted)}. Another one that a "
        "model names there counts as wrong."
    ]
