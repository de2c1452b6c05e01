# SPDX-License-Identifier: Apache-2.0
"""Fitting the presence gate on samples whose best thresholds are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.evaluation.fit_presence import fit_presence, write_presence
from unibiomed.evaluation.presence_pair import Sample
from unibiomed.model.manifest import MANIFEST_NAME, verify_folder, write_manifest


def samples(
    modality: str, present: list[float], absent: list[float], iou: float = 0.9, kind: str = "anatomy"
) -> list[Sample]:
    phrase = f"{'thing' if kind == 'anatomy' else 'tumor'} in site {modality}"
    return [Sample(phrase, modality, kind, score, iou, -0.01, 0.8) for score in present] + [
        Sample(phrase, modality, kind, score, iou, -0.01, None) for score in absent
    ]


def test_the_threshold_lies_between_absent_and_present():
    fit = fit_presence(samples("CT", list(np.linspace(2, 6, 50)), list(np.linspace(-6, 1, 50))))
    assert 1 < fit.overall.object_score <= 2
    assert (fit.overall.false_positives, fit.overall.dice) == (0.0, pytest.approx(0.8))


def test_overlapping_scores_keep_the_false_positives_within_the_limit():
    rng = np.random.default_rng(0)
    mixed = samples("CT", list(rng.normal(1, 1, 400)), list(rng.normal(-1, 1, 400)))
    strict, loose = fit_presence(mixed, 0.01).overall, fit_presence(mixed, 0.10).overall
    assert strict.false_positives <= 0.01 < loose.false_positives <= 0.10
    assert strict.object_score > loose.object_score
    assert strict.dice < loose.dice


def test_the_predicted_iou_is_used_where_the_object_score_says_nothing():
    both = samples("CT", [3.0] * 50, [], 0.9) + samples("CT", [], [3.0] * 50, 0.2)
    assert 0.2 < fit_presence(both).overall.iou <= 0.9


def test_each_modality_with_enough_samples_has_its_own_thresholds():
    mixed = samples("CT", [5.0] * 40, [2.0] * 40) + samples("MRI-T1", [1.0] * 40, [-3.0] * 40)
    fit = fit_presence(mixed + samples("OCT", [5.0] * 3, [1.0] * 3))
    assert set(fit.by_group) == {"CT anatomy", "MRI anatomy"}
    data = fit.to_json()
    assert data["per_target"]["thing in site CT"]["object_score"] > 2.0
    assert data["per_target"]["thing in site MRI-T1"]["object_score"] <= 1.0
    assert data["fitted"]["CT anatomy"] == {"present": 40, "absent": 40, "dice": 0.8, "false_positives": 0.0}


def test_abnormalities_have_thresholds_of_their_own():
    organs = samples("CT", [5.0] * 40, [2.0] * 40)
    lesions = samples("CT", [1.0] * 40, [-3.0] * 40, kind="abnormality")
    limits = fit_presence(organs + lesions).to_json()["per_target"]
    assert limits["tumor in site CT"]["object_score"] <= 1.0 < 2.0 < limits["thing in site CT"]["object_score"]


def test_a_kind_with_few_samples_takes_the_thresholds_of_its_modality():
    few = samples("CT", [5.0] * 3, [2.0] * 3, kind="abnormality")
    fit = fit_presence(samples("CT", [5.0] * 40, [2.0] * 40) + few)
    assert fit.by_group["CT abnormality"].present == 43


def test_answers_without_a_mask_are_never_let_through():
    fit = fit_presence(
        [*samples("CT", [1.0] * 40, [-1.0] * 40), Sample("x", "CT", "anatomy", -math.inf, -math.inf, None, None)]
    )
    assert math.isfinite(fit.overall.object_score)
    json.dumps(fit.to_json(), allow_nan=False)


def test_samples_of_one_kind_only_cannot_be_fitted():
    with pytest.raises(InputError, match="both present and absent"):
        fit_presence(samples("CT", [1.0] * 5, []))


def test_writing_keeps_the_rest_of_the_file_and_the_folder_still_verifies(tmp_path):
    (tmp_path / "unibiomed.json").write_text(json.dumps({"name": "mine", "presence": {"object_score": 0}}))
    write_manifest(tmp_path, name="mine", source="test", revision="", licence="Apache-2.0")
    write_presence(tmp_path, fit_presence(samples("CT", [5.0] * 40, [2.0] * 40)))
    data = json.loads((tmp_path / "unibiomed.json").read_text())
    assert data["name"] == "mine"
    assert 2.0 < data["presence"]["object_score"] <= 5.0
    assert verify_folder(tmp_path) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST_NAME, "unibiomed.json"]
