# SPDX-License-Identifier: Apache-2.0
"""Figures that are one number over many answers, held against sums done by hand; intervals, and two models."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.evaluation.agreement import Answer
from unibiomed.evaluation.text_answers import Told, compare_told, figures_of, told_of, yes_or_no
from unibiomed.evaluation.text_metrics import bleu, bleu_counts, bleu_of_counts

TEXTS = [
    ("a nodule is seen in the left lung", "a nodule is seen in the right lung"),
    ("the heart is enlarged", "the heart is enlarged"),
    ("no abnormality", "a small effusion is seen at the base of the left lung"),
]


def _told(figure: str, *values: float, case: str = "a", question: str = "q") -> Told:
    return Told(case, f"patient of {case}", "0", question, figure, values)


def _value(told: list[Told], figure: str) -> float:
    return next(one.estimate.value for one in figures_of(told) if one.figure == figure)


def test_a_share_is_the_sum_of_what_was_right_over_the_sum_of_what_was_asked():
    told = [_told("VQA accuracy", 1, 1), _told("VQA accuracy", 0, 1), _told("VQA accuracy", 1, 1, case="b")]
    assert _value(told, "VQA accuracy") == pytest.approx(2 / 3)


def test_f1_counts_hits_twice_and_true_negatives_not_at_all():
    # Found and there: 2; there and missed: 1; found and not there: 1; neither: 3.
    verdicts = [(True, True)] * 2 + [(False, True)] + [(True, False)] + [(False, False)] * 3
    told = [_told("abnormal or not, F1", *yes_or_no(*one)["F1"]) for one in verdicts]
    told += [_told("abnormal or not, accuracy", *yes_or_no(*one)["accuracy"]) for one in verdicts]
    assert _value(told, "abnormal or not, F1") == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert _value(told, "abnormal or not, accuracy") == pytest.approx(5 / 7)


def test_auroc_counts_the_pairs_that_are_in_order():
    told = [_told("abnormal or not, AUROC", *one) for one in ((0.9, 1), (0.4, 1), (0.6, 0), (0.1, 0))]
    assert _value(told, "abnormal or not, AUROC") == pytest.approx(3 / 4)


def test_auroc_of_one_kind_alone_is_no_figure():
    assert figures_of([_told("abnormal or not, AUROC", 0.9, 1), _told("abnormal or not, AUROC", 0.3, 1)]) == ()


def test_bleu_of_counts_is_that_of_the_whole_corpus():
    counts = np.array([bleu_counts(*pair) for pair in TEXTS])
    whole = bleu([ours for ours, _ in TEXTS], [theirs for _, theirs in TEXTS]).value
    assert 0.2 < whole < 0.9
    assert bleu_of_counts(counts.sum(axis=0)) == pytest.approx(whole)
    told = [_told("report BLEU", *row) for row in counts]
    assert _value(told, "report BLEU") == pytest.approx(whole)


def test_what_an_answer_about_a_mask_adds():
    there = Answer("a", "p", "", "liver", True, True, 0.8, 0.9, 2.0, 0.6, 0.7)
    missed = Answer("b", "q", "", "liver", True, False, 0.0, 0.0, 9.0, 0.0, 0.2)
    invented = Answer("c", "r", "", "liver", False, True, None, None, None, 0.0, 0.4)
    told = [one for answer in (there, missed, invented) for one in told_of(answer)]
    assert _value(told, "target there or not, accuracy") == pytest.approx(1 / 3)
    assert _value(told, "target there or not, F1") == pytest.approx(2 / 4)
    assert _value(told, "target there or not, AUROC") == pytest.approx(1 / 2)
    # Two bins: |0.7 - 0.6| and |0.4 - 0|; as being right |0.7 - 1| and |0.4 - 0|.
    assert _value(told, "calibration error, confidence as IoU") == pytest.approx((0.1 + 0.4) / 2)
    assert _value(told, "calibration error, confidence as being right") == pytest.approx((0.3 + 0.4) / 2)


def test_intervals_draw_patients_and_not_answers():
    alike = [_told("VQA accuracy", float(case == "a"), 1, case=case) for case in ("a", "b") for _ in range(50)]
    apart = [_told("VQA accuracy", float(n % 2), 1, case=str(n)) for n in range(100)]
    wide, narrow = (figures_of(some)[0].estimate for some in (alike, apart))
    assert (wide.low, wide.high) == (0.0, 1.0)
    assert wide.patients == 2
    assert 0.35 < narrow.low < 0.45


def test_two_models_are_compared_on_the_answers_that_both_gave():
    a = [_told("VQA accuracy", 0, 1, question="one"), _told("VQA accuracy", 1, 1, question="two")]
    b = [_told("VQA accuracy", 1, 1, question="one"), _told("VQA accuracy", 0, 1, question="three")]
    (one,) = compare_told(a, b)
    assert one.paired.difference.value == 1.0
    assert (one.paired.higher, one.paired.lower, one.paired.equal) == (1, 0, 0)


def test_a_model_that_is_right_more_often_for_every_patient_is_found_to_be():
    cases = [f"c{n}" for n in range(8)]
    a = [_told("VQA accuracy", 0, 1, case=case, question=str(n)) for case in cases for n in range(4)]
    b = [_told("VQA accuracy", float(n < 2 + (case > "c3")), 1, case=case, question=str(n))
         for case in cases for n in range(4)]  # fmt: skip
    paired = compare_told(a, b)[0].paired
    assert paired.difference.value == pytest.approx(20 / 32)
    assert paired.difference.low > 0.4
    assert paired.p_value < 0.01
    assert compare_told(a, a)[0].paired.p_value == 1.0
    assert compare_told(a[:8], b[:8])[0].paired.p_value is None


def test_the_difference_of_a_figure_is_that_of_the_two_figures():
    counts = [bleu_counts(*pair) for pair in TEXTS]
    better = [bleu_counts(theirs, theirs) for _, theirs in TEXTS]
    a = [_told("report BLEU", *row, case=str(n)) for n, row in enumerate(counts)]
    b = [_told("report BLEU", *row, case=str(n)) for n, row in enumerate(better)]
    paired = compare_told(a, b)[0].paired
    assert paired.difference.value == pytest.approx(1.0 - _value(a, "report BLEU"))
    assert paired.difference.low <= paired.difference.value <= paired.difference.high
