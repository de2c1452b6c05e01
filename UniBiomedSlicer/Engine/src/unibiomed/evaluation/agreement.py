# SPDX-License-Identifier: Apache-2.0
"""How far a model agrees with reviewed segments: figures by phrase and over all, calibration, a list of the cases.

Empty masks are treated as Metrics Reloaded (Maier-Hein, Reinke and others, Nature Methods 2024) advises: see ``NOTES``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.evaluation.calibration import Calibration, calibrate
from unibiomed.evaluation.clustered import Estimate, Paired, auroc, clustered, clustered_mean, paired
from unibiomed.evaluation.mask_metrics import MASK_LIBRARY, iou, mask_scores

NOTES = (
    "Empty masks, after Metrics Reloaded: where the truth is empty, Dice, NSD and HD95 are not defined; such questions "
    "are in no mean, they are counted as false positives or true negatives.",
    "Where the truth is there and the model shows nothing, Dice and NSD are 0, and HD95, which has no worst value of "
    "its own, is the diagonal of the image; how many these are is said as missed.",
    "Dice counts as the user gets it: a segment that the presence gate rejects is not shown.",
    "All: mean over all questions. Mean of phrases: every phrase counts the same, however often it occurs.",
    "Intervals: 95 %, percentile bootstrap over patients, since slices of one patient are alike; where all values are "
    "alike it knows no spread. p: Wilcoxon's signed-rank test on the patients' means, from six patients on, of each "
    "figure by itself: among many figures some are small by chance.",
    "Calibration is that of the segments shown: confidence against IoU, and against being right (IoU >= 0.5).",
    "AUROC: whether the confidence tells targets that are there from those that are not; F1 is the gate's.",
    "That a phrase is absent is what the reviewer left; what nobody looked for may be there.",
    f"Masks: {MASK_LIBRARY}.",
)


@dataclass(frozen=True)
class Answer:
    """One phrase asked of one case (``place`` "") or of one of its pictures.

    Attributes:
        present, found: whether the truth has something, and whether the model shows something.
        dice, nsd, hd95: None where the truth is empty.
        iou: of what is shown with the truth; 0 where one of them is empty.
        confidence: 0..1, of the segment shown; of one that the gate rejected where it is known, else 0.
    """

    case: str
    patient: str
    place: str
    phrase: str
    present: bool
    found: bool
    dice: float | None
    nsd: float | None
    hd95: float | None
    iou: float
    confidence: float


@dataclass(frozen=True)
class Row:
    """Figures of one phrase or of several; None where there was nothing to measure."""

    phrase: str
    present: int
    missed: int
    dice: Estimate | None
    nsd: Estimate | None
    hd95: Estimate | None
    absent: int
    false_positives: Estimate | None


@dataclass(frozen=True)
class CaseLine:
    """One case: mean Dice (None where every truth is empty), its worst phrase, segments of what is not there."""

    case: str
    patient: str
    dice: float | None
    worst: str
    false_positives: int


@dataclass(frozen=True)
class Agreement:
    """A model against the reviewed segments; ``cases`` worst first."""

    model: str
    rows: tuple[Row, ...]
    overall: Row
    dice_of_phrases: float | None
    presence_f1: float | None
    presence_auroc: Estimate | None
    calibration: Calibration | None
    cases: tuple[CaseLine, ...]


@dataclass(frozen=True)
class Difference:
    """Model B against model A: of the Dice, NSD and HD95 of what is there, and of the false positives."""

    phrase: str
    dice: Paired | None
    nsd: Paired | None
    hd95: Paired | None
    false_positives: Paired | None


def answer_of(
    case: str,
    patient: str,
    phrase: str,
    shown: np.ndarray,
    truth: np.ndarray,
    spacing: Sequence[float],
    tolerance: float,
    confidence: float,
    place: str = "",
) -> Answer:
    """Score what is ``shown`` (bool, all false for nothing) against ``truth``; ``spacing`` along the masks' axes."""
    present, found = bool(truth.any()), bool(shown.any())
    if not present:
        return Answer(case, patient, place, phrase, False, found, None, None, None, 0.0, confidence)
    scores = mask_scores(shown, truth, spacing, tolerance)
    far = float(np.linalg.norm(np.multiply(truth.shape, spacing))) if scores.hd95_mm is None else scores.hd95_mm
    return Answer(
        case, patient, place, phrase, True, found, scores.dice, scores.nsd, far, iou(shown, truth), confidence
    )  # fmt: skip


def summarise(model: str, answers: Iterable[Answer]) -> Agreement:
    """Add the answers up."""
    answers = list(answers)
    by_phrase: dict[str, list[Answer]] = defaultdict(list)
    by_case: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for one in answers:
        by_phrase[one.phrase].append(one)
        by_case[one.case, one.patient].append(one)
    rows = tuple(_row(phrase, some) for phrase, some in sorted(by_phrase.items()))
    means = [row.dice.value for row in rows if row.dice]
    shown = [one for one in answers if one.found]
    scores = np.array([one.confidence for one in answers])
    present = np.array([one.present for one in answers], dtype=bool)
    area = clustered(lambda i: auroc(scores[i], present[i]), len(answers), [one.patient for one in answers])
    return Agreement(
        model=model,
        rows=rows,
        overall=_row("all", answers),
        dice_of_phrases=float(np.mean(means)) if means else None,
        presence_f1=_f1(answers),
        presence_auroc=area if area and np.isfinite(area.value) else None,
        calibration=calibrate([s.confidence for s in shown], [s.iou for s in shown], [s.patient for s in shown]),
        cases=tuple(sorted((_line(*key, some) for key, some in by_case.items()), key=_badness)),
    )


def compare(a: Iterable[Answer], b: Iterable[Answer]) -> tuple[Difference, ...]:
    """B against A over all and by phrase, on the questions that both were asked."""
    first = {(one.case, one.place, one.phrase): one for one in a}
    pairs = [(first[key], two) for two in b if (key := (two.case, two.place, two.phrase)) in first]
    phrases = sorted({two.phrase for _, two in pairs})
    return tuple(
        _difference(phrase or "all", [pair for pair in pairs if phrase in ("", pair[1].phrase)])
        for phrase in ("", *phrases)
    )


def _row(phrase: str, answers: Sequence[Answer]) -> Row:
    there = [one for one in answers if one.present]
    absent = [one for one in answers if not one.present]
    patients = [one.patient for one in there]
    return Row(
        phrase=phrase,
        present=len(there),
        missed=sum(not one.found for one in there),
        dice=clustered_mean([one.dice for one in there], patients),
        nsd=clustered_mean([one.nsd for one in there], patients),
        hd95=clustered_mean([one.hd95 for one in there], patients),
        absent=len(absent),
        false_positives=clustered_mean([float(one.found) for one in absent], [one.patient for one in absent]),
    )


def _difference(phrase: str, pairs: Sequence[tuple[Answer, Answer]]) -> Difference:
    there = [pair for pair in pairs if pair[0].present]
    absent = [pair for pair in pairs if not pair[0].present]

    def of(name: str, some: Sequence[tuple[Answer, Answer]]) -> Paired | None:
        a, b = ([float(getattr(pair[side], name)) for pair in some] for side in (0, 1))
        return paired(a, b, [pair[0].patient for pair in some])

    return Difference(phrase, of("dice", there), of("nsd", there), of("hd95", there), of("found", absent))


def _f1(answers: Sequence[Answer]) -> float | None:
    hits = sum(one.present and one.found for one in answers)
    wrong = sum(one.present != one.found for one in answers)
    return 2 * hits / (2 * hits + wrong) if hits + wrong else None


def _line(case: str, patient: str, answers: Sequence[Answer]) -> CaseLine:
    there = [one for one in answers if one.present]
    worst = min(there, key=lambda one: one.dice, default=None)
    return CaseLine(
        case=case,
        patient=patient,
        dice=float(np.mean([one.dice for one in there])) if there else None,
        worst=f"{worst.phrase} {worst.dice:.2f}" if worst else "",
        false_positives=sum(one.found and not one.present for one in answers),
    )


def _badness(line: CaseLine) -> tuple[float, int, str]:
    return (1.0 if line.dice is None else line.dice, -line.false_positives, line.case)
