# SPDX-License-Identifier: Apache-2.0
"""A model against reviewed segments: empty masks, intervals over patients, calibration, two models, the page."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from unibiomed.evaluation.agreement import Answer, answer_of, compare, summarise
from unibiomed.evaluation.agreement_page import Comparison, save
from unibiomed.evaluation.calibration import calibrate
from unibiomed.evaluation.clustered import auroc, clustered_mean, paired
from unibiomed.evaluation.text_answers import Told, figures_of

SPACING = (4.0, 1.0, 1.0)


def _box(*corner: int, size: int = 6) -> np.ndarray:
    mask = np.zeros((8, 20, 20), bool)
    k, j, i = corner
    mask[k : k + 2, j : j + size, i : i + size] = True
    return mask


NOTHING = np.zeros((8, 20, 20), bool)


def _answer(case: str, shown: np.ndarray, truth: np.ndarray, phrase: str = "liver", confidence: float = 0.8) -> Answer:
    return answer_of(case, f"patient of {case}", phrase, shown, truth, SPACING, 2.0, confidence)


def test_an_empty_truth_is_in_no_mean_and_counts_as_false_positive():
    answers = [
        _answer("a", _box(1, 2, 2), _box(1, 2, 2)),
        _answer("b", _box(1, 2, 2), NOTHING),
        _answer("c", *2 * [NOTHING]),
    ]
    row = summarise("m", answers).overall
    assert (row.present, row.absent) == (1, 2)
    assert row.dice.value == 1.0
    assert row.false_positives.value == 0.5


def test_a_missed_target_scores_zero_and_the_distance_is_the_diagonal_of_the_image():
    one = _answer("a", NOTHING, _box(1, 2, 2))
    assert (one.dice, one.nsd) == (0.0, 0.0)
    assert one.hd95 == pytest.approx(np.hypot(np.hypot(8 * 4.0, 20.0), 20.0))
    assert summarise("m", [one]).overall.missed == 1


def test_distances_are_in_millimetres_along_each_axis():
    along_k = _answer("a", _box(2, 2, 2), _box(1, 2, 2)).hd95
    along_j = _answer("a", _box(1, 3, 2), _box(1, 2, 2)).hd95
    assert along_k == pytest.approx(4.0, abs=0.5)
    assert along_j == pytest.approx(1.0, abs=0.5)


def test_a_larger_tolerance_forgives_more():
    shown, truth = _box(1, 4, 2), _box(1, 2, 2)
    strict, mild = (answer_of("a", "p", "liver", shown, truth, SPACING, t, 0.5).nsd for t in (0.5, 3.0))
    assert strict < mild


def test_many_slices_of_two_patients_do_not_make_the_interval_narrow():
    values = [0.2] * 50 + [0.8] * 50
    by_patient = clustered_mean(values, ["a"] * 50 + ["b"] * 50)
    by_slice = clustered_mean(values, [str(n) for n in range(100)])
    assert by_patient.low == pytest.approx(0.2)
    assert by_slice.low > 0.4
    assert (by_patient.n, by_patient.patients) == (100, 2)


def test_one_patient_gives_no_interval():
    found = clustered_mean([0.5, 0.6], ["a", "a"])
    assert found.low is None
    assert found.high is None


def test_a_model_that_is_better_for_every_patient_is_found_to_be():
    rng = np.random.default_rng(0)
    a = rng.uniform(0.4, 0.6, 24)
    better = paired(a, a + 0.1, [f"p{n // 2}" for n in range(24)])
    assert better.difference.value == pytest.approx(0.1)
    assert better.difference.low > 0.09
    assert better.p_value < 0.01
    assert (better.higher, better.lower, better.equal) == (24, 0, 0)
    assert paired(a, a, [f"p{n}" for n in range(24)]).p_value == 1.0
    assert paired(a[:5], a[:5] + 0.1, list("abcde")).p_value is None


def test_confidence_that_is_the_iou_has_no_calibration_error_and_a_boast_has():
    iou = np.linspace(0.05, 0.95, 19)
    patients = [str(n) for n in range(19)]
    honest = calibrate(iou, iou, patients)
    assert honest.ece_iou.value == pytest.approx(0.0, abs=1e-9)
    assert sum(one.n for one in honest.bins) == 19
    assert calibrate(np.full(19, 0.95), iou, patients).ece_iou.value == pytest.approx(0.45)
    assert calibrate([], [], []) is None


def test_auroc_knows_order_and_ties():
    present = np.array([True, True, False, False])
    assert auroc(np.array([0.9, 0.8, 0.2, 0.1]), present) == 1.0
    assert auroc(np.full(4, 0.5), present) == 0.5
    assert np.isnan(auroc(np.array([0.5, 0.6]), np.array([True, True])))


def test_cases_stand_worst_first():
    answers = [_answer("good", _box(1, 2, 2), _box(1, 2, 2)), _answer("bad", NOTHING, _box(1, 2, 2)),
               _answer("middle", _box(1, 4, 2), _box(1, 2, 2))]  # fmt: skip
    assert [line.case for line in summarise("m", answers).cases] == ["bad", "middle", "good"]


def test_models_are_compared_on_the_questions_that_both_were_asked():
    a = [_answer("one", _box(1, 4, 2), _box(1, 2, 2)), _answer("one", _box(1, 2, 2), NOTHING, "spleen")]
    b = [_answer("one", _box(1, 2, 2), _box(1, 2, 2)), _answer("one", NOTHING, NOTHING, "spleen"),
         _answer("two", NOTHING, _box(1, 2, 2))]  # fmt: skip
    overall, liver, spleen = compare(a, b)
    assert overall.phrase == "all"
    assert overall.dice.difference.n == 1
    assert liver.dice.higher == 1
    assert spleen.dice is None
    assert spleen.false_positives.difference.value == -1.0


def test_page_and_data_say_how_empty_masks_were_treated(tmp_path):
    a = [_answer("one", _box(1, 4, 2), _box(1, 2, 2)), _answer("two", NOTHING, _box(1, 2, 2), "<b>odd</b>")]
    b = [_answer("one", _box(1, 2, 2), _box(1, 2, 2)), _answer("two", NOTHING, _box(1, 2, 2), "<b>odd</b>")]
    settings = {"data": "set", "split": "test", "unit": "mm", "tolerance": "2 mm", "questions": 2}
    comparison = Comparison((summarise("A", a), summarise("B", b)), (tuple(a), tuple(b)), compare(a, b), settings)
    page, data, table = save(comparison, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "Metrics Reloaded" in text
    assert "<script" not in text
    assert "<b>odd</b>" not in text
    assert text.count("data:image/png") == 3
    document = json.loads(data.read_text(encoding="utf-8"))
    assert document["b_minus_a"][0]["dice"]["higher"] == 1
    assert any("Metrics Reloaded" in note for note in document["notes"])
    assert len(document["answers"][0]) == 2
    lines = list(csv.DictReader(table.open(encoding="utf-8")))
    assert {line["model"] for line in lines} == {"A", "B", "B minus A"}
    dice = {
        line["model"]: float(line["value"]) for line in lines if (line["figure"], line["phrase"]) == ("dice", "all")
    }
    assert dice["B minus A"] == pytest.approx(dice["B"] - dice["A"], abs=1e-4)


def test_the_page_lists_the_figures_in_words_what_is_missing_and_the_cases_worst_first(tmp_path):
    answers = (_answer("good", _box(1, 2, 2), _box(1, 2, 2)), _answer("bad", NOTHING, _box(1, 2, 2)))
    told = tuple(
        Told(case, f"patient of {case}", "0", "region", "region exact match", (right, 1.0))
        for case, right in (("bad", 1.0), ("words only", 0.0), ("words only", 1.0), ("words alone", 0.0))
    )
    settings = {"data": "set", "split": "test", "unit": "mm", "tolerance": "2 mm", "questions": 2}
    comparison = Comparison(
        (summarise("A", answers),), (answers,), (), settings, told=(told,), figures=(figures_of(told),),
        unmeasured=(("VQA accuracy", "nobody looked"),), notes=("A note.",),
    )  # fmt: skip
    assert [case for case, _, _ in comparison.case_lines] == ["bad", "good", "words alone", "words only"]
    assert [models[0][1] for _, _, models in comparison.case_lines] == ["1 of 1", "", "0 of 1", "1 of 2"]
    page, data, _ = save(comparison, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "region exact match<td>0.500" in text
    assert "VQA accuracy: nobody looked." in text
    assert "A note." in text
    assert text.count("data:image/png") == 3
    document = json.loads(data.read_text(encoding="utf-8"))
    assert document["not_measured"] == [{"figures": "VQA accuracy", "reason": "nobody looked"}]
    assert len(document["told"][0]) == 4
