# SPDX-License-Identifier: Apache-2.0
"""Presence thresholds for the phrases of an export, with a model whose scores are known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from unibiomed.evaluation.fit_exported import fit_exported
from unibiomed.tasks.presence import Thresholds

LIVER, SPLEEN = "liver in abdomen CT", "spleen in abdomen CT"


def _export(root, split, pictures, with_spleen):
    """Pictures with a liver each, and a spleen in the first ``with_spleen`` of them."""
    for name in (split, f"{split}_mask"):
        (root / name).mkdir(parents=True)
    images, annotations = [], []
    for number in range(pictures):
        file = f"case-{number:04d}-0000_CT_abdomen.png"
        grey = np.zeros((32, 32), np.uint8)
        grey[4:12, 4:12] = 200
        if number < with_spleen:
            grey[20:28, 20:28] = 100
        Image.fromarray(grey).save(root / split / file)
        images.append({"file_name": file})
        for phrase, value in ((LIVER, 200), (SPLEEN, 100)):
            if (grey == value).any():
                mask_file = f"{number}-{value}.png"
                Image.fromarray((grey == value).astype(np.uint8) * 255).save(root / f"{split}_mask" / mask_file)
                annotations.append({"file_name": file, "mask_file": mask_file, "sentences": [{"raw": phrase}]})
    (root / f"{split}.json").write_text(json.dumps({"images": images, "annotations": annotations}))


class Model:
    """Outlines what is there with the scores ``there``, and something else with ``not_there``: (object score, IoU)."""

    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: 1)

    def __init__(self, there, not_there, presence=None):
        self.there, self.not_there = there, not_there
        self.info = SimpleNamespace(presence=presence)

    def predict_batch(self, images, texts):
        return [self._answer(image, text) for image, text in zip(images, texts, strict=True)]

    def _answer(self, image, text):
        mask = image[..., 0] == (200 if "liver" in text else 100)
        score, iou = self.there if mask.any() else self.not_there
        return SimpleNamespace(
            token_ids=[1], token_logprobs=np.zeros(1), masks=(mask if mask.any() else ~mask)[None, None],
            object_scores=np.array([[score]]), iou_scores=np.array([[iou]]),
        )  # fmt: skip


def _limits(model, fitted, phrase):
    model.info.presence = fitted
    return Thresholds.of(model, phrase)


@pytest.fixture
def export(tmp_path):
    _export(tmp_path, "train", 50, 25)
    return tmp_path


def test_thresholds_part_what_is_there_from_what_is_not(export):
    model = Model(there=(-1.0, 0.4), not_there=(-3.0, 0.4))
    fitted = fit_exported(model, export)
    limits = _limits(model, fitted, SPLEEN)
    assert -3.0 < limits.object_score <= -1.0
    assert limits.iou <= 0.4


def test_a_phrase_that_is_never_absent_takes_the_thresholds_of_all(export):
    model = Model(there=(-1.0, 0.4), not_there=(-3.0, 0.4))
    fitted = fit_exported(model, export)
    assert fitted["per_target"][LIVER] == fitted["per_target"][SPLEEN]


def test_where_nothing_is_absent_thresholds_are_lowered_and_never_raised(tmp_path):
    _export(tmp_path, "train", 10, 10)
    timid = Model(there=(-1.0, 0.2), not_there=(-3.0, 0.1))
    limits = _limits(timid, fit_exported(timid, tmp_path), SPLEEN)
    assert (limits.object_score, limits.iou) == (-1.0, 0.2)
    sure = Model(there=(9.0, 0.95), not_there=(-3.0, 0.1))
    limits = _limits(sure, fit_exported(sure, tmp_path), SPLEEN)
    assert (limits.object_score, limits.iou) == (0.0, 0.5)


def test_what_the_model_has_for_other_phrases_stays(export):
    given = {
        "object_score": 1.5,
        "iou": 0.3,
        "fitted": {"all": {}},
        "per_target": {"polyp in colon endoscopy": {"iou": 0.7}},
    }
    fitted = fit_exported(Model((-1.0, 0.4), (-3.0, 0.4), given), export)
    assert fitted["object_score"] == 1.5
    assert fitted["fitted"] == {"all": {}}
    assert fitted["per_target"]["polyp in colon endoscopy"] == {"iou": 0.7}
    assert LIVER in fitted["per_target"]


def test_held_out_pictures_are_asked_first(export):
    _export(export, "val", 60, 30)
    model = Model((-1.0, 0.4), (-3.0, 0.4))
    seen = []
    answer = model._answer
    model._answer = lambda image, text: seen.append(text) or answer(image, text)
    fit_exported(model, export)
    assert len(seen) == 40 * 2


def test_a_stop_ends_it_without_thresholds(export):
    assert fit_exported(Model((-1.0, 0.4), (-3.0, 0.4)), export, cancelled=lambda: True) is None
