# SPDX-License-Identifier: Apache-2.0
"""The table: an oracle reaches everything, and each kind of mistake shows in its own figure and no other."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.goals import GOALS
from unibiomed.evaluation.phantoms import evaluate_phantoms
from unibiomed.evaluation.results import Evaluation, save
from unibiomed.phantoms import registry

_SPEC = importlib.util.spec_from_file_location("evaluation_oracle", Path(__file__).with_name("oracle.py"))
oracle = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(oracle)


@pytest.fixture(autouse=True)
def small_catalogue(monkeypatch):
    monkeypatch.setattr("unibiomed.evaluation.phantoms.all_targets", lambda: oracle.CATALOGUE)


def evaluate(spoil=None, presence=None, **options) -> Evaluation:
    model = oracle.Oracle(presence, spoil)
    return evaluate_phantoms(model, ("CT", "MRI"), options.pop("n", 6), draw=model.draw, **options)


def values(evaluation: Evaluation, modality: str = "all") -> dict[str, float]:
    return {one.figure: one.interval.value for one in evaluation.figures if one.modality == modality}


@pytest.fixture(scope="module")
def perfect():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unibiomed.evaluation.phantoms.all_targets", lambda: oracle.CATALOGUE)
        return evaluate()


def test_a_model_that_knows_the_truth_reaches_every_goal_in_every_modality(perfect):
    assert perfect.missed_goals == ()
    assert {one.modality for one in perfect.figures} == {"CT", "MRI", "all"}
    measured = values(perfect)
    assert set(measured) == {goal.figure for goal in GOALS}
    wrong = {name for name, value in measured.items() if value != pytest.approx(1.0)}
    assert wrong == {name for name in measured if name.startswith(("false", "missed"))}
    assert all(measured[name] == 0.0 for name in wrong)


def changed(spoil) -> dict[str, float]:
    """The figures that a mistake changes, with their new values."""
    with_mistake, without = values(evaluate(spoil)), values(evaluate())
    return {name: value for name, value in with_mistake.items() if value != pytest.approx(without[name], abs=1e-9)}


def test_a_gate_that_lets_absent_targets_through_shows_as_false_positives_only():
    def spoil(question, answer):
        if question.task == "segment" and answer.object_scores[0, 0] < 0:
            answer.object_scores[:] = 5.0
        return answer

    assert changed(spoil) == {
        "false positives": 1.0,
        "false positives, targets of the modality": 1.0,
        "false positives, targets foreign": 1.0,
    }


def test_a_present_target_that_the_gate_rejects_scores_zero_but_not_with_the_gate_ignored():
    def spoil(question, answer):
        if question.task == "segment" and question.spec.kind == "abnormality":
            answer.object_scores[:] = -5.0
        return answer

    seen = changed(spoil)
    assert set(seen) == {"abnormality Dice", "missed by the gate"}
    assert seen["abnormality Dice"] == 0.0


def test_an_answer_without_a_mask_counts_as_not_found():
    def spoil(question, answer):
        if question.task == "segment":
            answer.masks, answer.text = answer.masks[:0], "I do not know."
        return answer

    seen = changed(spoil)
    assert seen["anatomy Dice"] == seen["anatomy Dice, gate ignored"] == 0.0
    assert seen["missed by the gate"] == 1.0
    assert "false positives" not in seen


def test_always_saying_no_findings_is_right_for_healthy_images_only():
    def spoil(question, answer):
        if question.task in ("recognise", "report", "vqa"):
            answer.text = "<p> no findings. all is clear. </p> [SEG]"
        return answer

    seen = changed(spoil)
    assert seen["recognition accuracy, abnormal"] == 0.0
    assert "recognition accuracy, healthy" not in seen
    assert seen["VQA accuracy, something there"] == 0.0
    assert "VQA accuracy, nothing there" not in seen
    assert seen["report phrase F1, with findings"] == 0.0
    assert 0.0 < seen["report phrase F1"] < 0.6


def test_a_report_with_the_right_words_and_a_wrong_place_loses_its_phrases_but_not_its_text():
    def spoil(question, answer):
        if question.task == "report":
            answer.masks = np.roll(answer.masks, 20, axis=-1)
        return answer

    assert changed(spoil).keys() == {"report phrase F1", "report phrase F1, with findings"}


def test_a_region_named_with_the_wrong_modality_is_no_exact_match():
    def spoil(question, answer):
        if question.task == "region":
            answer.text = answer.text.replace("CT", "MRI")
        return answer

    seen = changed(spoil)
    assert set(seen) == {"region exact match"}


def test_the_thresholds_of_the_models_folder_decide_what_the_user_gets():
    measured = values(evaluate(presence={"object_score": 9.0}))
    assert measured["anatomy Dice"] == 0.0
    assert measured["missed by the gate"] == 1.0
    one = values(evaluate(presence={"per_target": {"tumor in brain MRI-T1": {"iou": 0.95}}}), "MRI")
    assert one["abnormality Dice"] == 0.0
    assert one["anatomy Dice"] == 1.0


def test_one_task_alone_gives_only_its_figures_and_images_are_asked_in_batches():
    model = oracle.Oracle()
    events = []
    evaluation = evaluate_phantoms(model, ("CT",), 5, tasks=("recognise",), draw=model.draw, progress=events.append)
    assert {one.task for one in evaluation.figures} == {"recognise"}
    assert model.calls == [4, 1]
    assert [(event.done, event.total) for event in events] == [(4, 5), (5, 5)]


def test_a_stop_takes_effect_before_the_next_batch():
    model = oracle.Oracle()
    with pytest.raises(Cancelled):
        evaluate_phantoms(model, ("CT",), 9, draw=model.draw, cancelled=lambda: len(model.calls) == 1)
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"seed_base": 5}, "belongs to the training"),
        ({"n": 0}, "At least one image"),
        ({"tasks": ("draw",)}, "no task 'draw'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(options, reason):
    with pytest.raises(InputError, match=reason):
        evaluate(**options)


def test_an_unknown_modality_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no phantom of modality 'PET'"):
        evaluate_phantoms(oracle.Oracle(), ("PET",), 1, draw=registry.generate)


def test_the_table_is_saved_as_json_markdown_and_csv_that_agree(perfect, tmp_path):
    save(perfect, tmp_path / "table")
    assert sorted(path.name for path in (tmp_path / "table").iterdir()) == [
        "evaluation.csv",
        "evaluation.json",
        "evaluation.md",
    ]
    data = json.loads((tmp_path / "table" / "evaluation.json").read_text())
    rows = list(csv.DictReader((tmp_path / "table" / "evaluation.csv").open()))
    assert len(rows) == len(data["figures"]) + len(data["targets"])
    assert {row["target"] for row in rows} - {""} == {
        "lung in chest CT",
        "heart in chest CT",
        "nodule in chest CT",
        "brain in brain MRI-T1",
        "tumor in brain MRI-T1",
    }
    text = (tmp_path / "table" / "evaluation.md").read_text()
    assert "Every goal is reached." in text
    assert "surface-distance" in text


def test_a_goal_that_is_not_reached_is_said_in_the_table(tmp_path):
    from unibiomed.evaluation.results import to_markdown

    evaluation = evaluate(presence={"object_score": 9.0})
    assert {one.figure for one in evaluation.missed_goals} == {"anatomy Dice", "abnormality Dice"}
    assert "Not reached (6):" in to_markdown(evaluation)
    assert "- CT: anatomy Dice 0.000, goal >= 0.85" in to_markdown(evaluation)
