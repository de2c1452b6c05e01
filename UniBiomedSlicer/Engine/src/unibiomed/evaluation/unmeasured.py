# SPDX-License-Identifier: Apache-2.0
"""Why a figure is not on the page: every one that is missing has its reason."""

from __future__ import annotations

from collections.abc import Collection

from unibiomed.evaluation.reviewed.cases import ReviewedSet
from unibiomed.evaluation.text_answers import KINDS, Kind
from unibiomed.evaluation.text_metrics import missing_library
from unibiomed.evaluation.text_questions import Targets

DESCRIPTION = ("description", "reviewers leave no description of a whole picture to compare with")


def unmeasured(
    reviewed: ReviewedSet, targets: Targets, tasks: Collection[str], measured: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """(figures, reason) for every figure that is not among ``measured``; figures of one reason stand together."""
    looked_for = any(targets.looked_for_abnormality(case) for case in reviewed.cases)
    reasons: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind.figure not in measured:
            reasons.setdefault(_reason(kind, reviewed, tasks, measured, looked_for), []).append(kind.figure)
    told = [("; ".join(figures), reason) for reason, figures in reasons.items()]
    return (*told, DESCRIPTION)


def _reason(
    kind: Kind, reviewed: ReviewedSet, tasks: Collection[str], measured: Collection[str], looked_for: bool
) -> str:
    if kind.figure.endswith(("BLEU", "ROUGE-L")) and (missing := missing_library()) is not None:
        return f"{missing} is not installed (pip install 'unibiomed[evaluation]')"
    task = {"calibration": "segment", "case report": "report"}.get(kind.group, kind.group)
    if task not in tasks:
        return f"the task {task} was not asked for"
    if kind.group == "calibration":
        return "the model showed no segment"
    if kind.group == "case report":
        return _reason_of_case(kind, reviewed, measured)
    if kind.group in ("recognise", "report", "vqa") and not looked_for:
        return "no abnormality was looked for or outlined in this set, so nothing says what is healthy"
    if kind.figure in ("report BLEU", "report ROUGE-L"):
        return (
            "no picture asked about has, for each of its abnormalities, a sentence that its reviewer wrote or accepted"
        )
    if any(one.figure in measured for one in KINDS if one.group == kind.group):
        return _one_kind_only(kind)
    if kind.group == "segment":
        return "no case is asked for anything"
    if kind.group == "region":
        return "no reviewed segment with a known phrase is large enough on a picture asked about"
    return "on no picture asked about is it certain what is abnormal: a segment is too small, or its target unknown"


def _one_kind_only(kind: Kind) -> str:
    """Other figures of the same answers are there."""
    if kind.figure.endswith(("healthy", "nothing there")):
        return "every picture asked about has an abnormality there"
    if kind.figure.endswith(("abnormal", "with findings", "something there")):
        return "no picture asked about has an abnormality there"
    if kind.figure.endswith("AUROC"):
        return "it needs both what is there and what is not, and the answers are of one kind only"
    return "nothing is there, and nothing was found"


def _reason_of_case(kind: Kind, reviewed: ReviewedSet, measured: Collection[str]) -> str:
    if not reviewed.whole:
        return "this format holds only the pictures that a segment stands on, so no case can be read as a whole"
    if kind.figure in ("case report BLEU", "case report ROUGE-L"):
        return "no case has a report that its reviewer wrote or accepted"
    if not any(case.facts.prompt_free for case in reviewed.cases):
        return "the cases were annotated for named targets, so nothing else was looked for in them"
    return _one_kind_only(kind)
