# SPDX-License-Identifier: Apache-2.0
"""Figures that are one number over many answers (a share of right ones, F1, AUROC, BLEU), of one model or of two.

What each answer adds to a figure is kept, so that intervals draw patients and two models are compared on the answers
that both gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from unibiomed.evaluation.agreement import Answer
from unibiomed.evaluation.calibration import calibration_error
from unibiomed.evaluation.clustered import Estimate, Paired, auroc, clustered
from unibiomed.evaluation.text_metrics import bleu_of_counts

Group = Literal["segment", "recognise", "report", "case report", "vqa", "region", "calibration"]


@dataclass(frozen=True)
class Told:
    """What one answer adds to ``figure``.

    ``place`` is the picture ("" for a whole case), ``question`` tells apart what was asked of it. ``values`` are, by
    the kind of figure: numerator and denominator; score and whether it is there; BLEU's counts; confidence and truth.
    """

    case: str
    patient: str
    place: str
    question: str
    figure: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """``statistic`` of the values (n, d) of all answers; ``better``: the direction that is better."""

    group: Group
    figure: str
    statistic: Callable[[np.ndarray], float]
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True)
class TextFigure:
    """A figure of one model."""

    group: Group
    figure: str
    estimate: Estimate
    better: str


@dataclass(frozen=True)
class TextDifference:
    """A figure of model B minus that of model A."""

    group: Group
    figure: str
    paired: Paired
    better: str


def ratio_of_sums(values: np.ndarray) -> float:
    """Numerators over denominators; nan where nothing was asked."""
    above, below = values.sum(axis=0)
    return float(above / below) if below else float("nan")


def area(values: np.ndarray) -> float:
    """AUROC of (score, present)."""
    return auroc(values[:, 0], values[:, 1] > 0)


def bleu(values: np.ndarray) -> float:
    """Corpus BLEU of ``bleu_counts``."""
    return bleu_of_counts(values.sum(axis=0))


def ece(values: np.ndarray) -> float:
    """Expected calibration error of (confidence, truth)."""
    return calibration_error(values[:, 0], values[:, 1])


KINDS: tuple[Kind, ...] = (
    Kind("segment", "target there or not, accuracy", ratio_of_sums),
    Kind("segment", "target there or not, F1", ratio_of_sums),
    Kind("segment", "target there or not, AUROC", area),
    Kind("calibration", "calibration error, confidence as IoU", ece, "lower"),
    Kind("calibration", "calibration error, confidence as being right", ece, "lower"),
    Kind("recognise", "abnormal or not, accuracy", ratio_of_sums),
    Kind("recognise", "abnormal or not, F1", ratio_of_sums),
    Kind("recognise", "abnormal or not, AUROC", area),
    Kind("recognise", "recognition accuracy", ratio_of_sums),
    Kind("recognise", "recognition accuracy, healthy", ratio_of_sums),
    Kind("recognise", "recognition accuracy, abnormal", ratio_of_sums),
    Kind("recognise", "recognition F1 of the names", ratio_of_sums),
    Kind("report", "report phrase F1", ratio_of_sums),
    Kind("report", "report phrase F1, with findings", ratio_of_sums),
    Kind("report", "report BLEU", bleu),
    Kind("report", "report ROUGE-L", ratio_of_sums),
    Kind("case report", "case report phrase F1", ratio_of_sums),
    Kind("case report", "case report BLEU", bleu),
    Kind("case report", "case report ROUGE-L", ratio_of_sums),
    Kind("case report", "case abnormal or not, accuracy", ratio_of_sums),
    Kind("case report", "case abnormal or not, F1", ratio_of_sums),
    Kind("case report", "case abnormal or not, AUROC", area),
    Kind("vqa", "VQA accuracy", ratio_of_sums),
    Kind("vqa", "VQA accuracy, something there", ratio_of_sums),
    Kind("vqa", "VQA accuracy, nothing there", ratio_of_sums),
    Kind("region", "region exact match", ratio_of_sums),
)
#: Figures of which each answer is right or wrong.
RIGHT_OR_WRONG = ("recognition accuracy", "VQA accuracy", "region exact match")


def yes_or_no(found: bool, present: bool) -> dict[str, tuple[float, float]]:
    """What one yes-or-no answer adds to "accuracy" and "F1"."""
    return {
        "accuracy": (float(found == present), 1.0),
        "F1": (2.0 * (found and present), 2.0 * (found and present) + (found != present)),
    }


def told_of(answer: Answer) -> list[Told]:
    """What an answer about a mask adds to the figures that are one number over all."""
    where = (answer.case, answer.patient, answer.place, answer.phrase)
    told = [
        Told(*where, f"target there or not, {name}", values)
        for name, values in yes_or_no(answer.found, answer.present).items()
    ]
    told.append(Told(*where, "target there or not, AUROC", (answer.confidence, float(answer.present))))
    if answer.found:
        right = float(answer.iou >= 0.5)
        told.append(Told(*where, "calibration error, confidence as IoU", (answer.confidence, answer.iou)))
        told.append(Told(*where, "calibration error, confidence as being right", (answer.confidence, right)))
    return told


def figures_of(told: Iterable[Told]) -> tuple[TextFigure, ...]:
    """Every figure that something was added to and that is defined, with 95 % intervals over patients."""
    by_figure = _by_figure(told)
    found = []
    for kind in KINDS:
        some = by_figure.get(kind.figure, [])
        if not some:
            continue
        values = np.array([one.values for one in some], dtype=float)
        estimate = clustered(
            lambda chosen, values=values, kind=kind: kind.statistic(values[chosen]),
            len(some),
            [one.patient for one in some],
        )
        if estimate is not None and np.isfinite(estimate.value):
            found.append(TextFigure(kind.group, kind.figure, estimate, kind.better))
    return tuple(found)


def compare_told(a: Iterable[Told], b: Iterable[Told]) -> tuple[TextDifference, ...]:
    """B against A on the answers that both gave; of the calibration, on what each of them showed of the same cases."""
    first, second = _by_figure(a), _by_figure(b)
    found = []
    for kind in KINDS:
        ours, theirs = first.get(kind.figure, []), second.get(kind.figure, [])
        if kind.group != "calibration":
            ours, theirs = _common(ours, theirs)
        pair = _paired(kind, ours, theirs)
        if pair is not None:
            found.append(TextDifference(kind.group, kind.figure, pair, kind.better))
    return tuple(found)


def _by_figure(told: Iterable[Told]) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        found[one.figure].append(one)
    return found


def _key(one: Told) -> tuple[str, str, str]:
    return one.case, one.place, one.question


def _common(a: Sequence[Told], b: Sequence[Told]) -> tuple[list[Told], list[Told]]:
    first = {_key(one): one for one in a}
    pairs = [(first[_key(two)], two) for two in b if _key(two) in first]
    return [one for one, _ in pairs], [two for _, two in pairs]


def _paired(kind: Kind, a: Sequence[Told], b: Sequence[Told]) -> Paired | None:
    """The difference of the statistic; its bootstrap draws the same patients for both models."""
    patients = sorted({one.patient for one in (*a, *b)})
    if not a or not b:
        return None
    rows = [_rows(some, patients) for some in (a, b)]

    def difference(chosen: np.ndarray) -> float:
        one, two = (np.concatenate([own[number] for number in chosen]) for own in rows)
        return kind.statistic(two) - kind.statistic(one) if len(one) and len(two) else float("nan")

    estimate = clustered(difference, len(patients), patients)
    if estimate is None or not np.isfinite(estimate.value):
        return None
    estimate = Estimate(estimate.value, estimate.low, estimate.high, len(b), len(patients))
    if kind.statistic is not ratio_of_sums:
        return Paired(estimate, 0, 0, 0, None)
    single = [
        ratio_of_sums(np.array([two.values])) - ratio_of_sums(np.array([one.values]))
        for one, two in zip(a, b, strict=True)
    ]
    known = np.array([value for value in single if np.isfinite(value)])
    same = np.isclose(known, 0.0, atol=1e-9)
    return Paired(
        estimate, int((known[~same] > 0).sum()), int((known[~same] < 0).sum()), int(same.sum()), _p_value(kind, *rows)
    )


def _rows(told: Sequence[Told], patients: Sequence[str]) -> list[np.ndarray]:
    """The values of each patient, (n, d)."""
    width = len(told[0].values)
    by_patient: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for one in told:
        by_patient[one.patient].append(one.values)
    return [np.array(by_patient[name], dtype=float).reshape(-1, width) for name in patients]


def _p_value(kind: Kind, a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float | None:
    """Wilcoxon's signed-rank test on the patients' own figures; None with fewer than six, as in ``clustered``."""
    both = [(one, two) for one, two in zip(a, b, strict=True) if len(one) and len(two)]
    change = np.array([kind.statistic(two) - kind.statistic(one) for one, two in both])
    change = change[np.isfinite(change)]
    if len(change) < 6:
        return None
    return 1.0 if np.allclose(change, 0.0) else float(stats.wilcoxon(change).pvalue)
