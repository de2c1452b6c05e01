# SPDX-License-Identifier: Apache-2.0
"""A model asked about the pictures of an export; here it reads the truth off the grey values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.agreement import Answer, summarise
from unibiomed.evaluation.comparison import comparison_of
from unibiomed.evaluation.export_facts import CaseFacts, ExportFacts, write_facts
from unibiomed.evaluation.exported import Asked, ask, known_targets
from unibiomed.evaluation.reviewed.formats import read_export

GREY = {"liver": 200, "spleen": 100}


@pytest.fixture
def export(tmp_path) -> Path:
    """Three cases, two slices each; the second case has no spleen."""
    root = tmp_path / "set"
    for name in ("test", "test_mask"):
        (root / name).mkdir(parents=True)
    images, annotations = [], []
    for case in range(3):
        for index in range(2):
            file = f"case-{case:04d}-{index:04d}_CT_abdomen.png"
            picture = np.zeros((40, 40), np.uint8)
            picture[4:14, 4 + index : 14 + index] = GREY["liver"]
            if case != 1:
                picture[24:34, 20:32] = GREY["spleen"]
            Image.fromarray(picture).save(root / "test" / file)
            images.append({"id": len(images), "file_name": file, "height": 40, "width": 40})
            for name, grey in GREY.items():
                mask = picture == grey
                if mask.any():
                    mask_file = f"{file[:-4]}_{name}.png"
                    Image.fromarray(mask.astype(np.uint8) * 255).save(root / "test_mask" / mask_file)
                    sentence = {"raw": f"{name} in abdomen CT", "sent": "", "sent_id": 0}
                    annotations.append({"file_name": file, "mask_file": mask_file, "sentences": [sentence],
                                        "patient": f"patient-{case}"})  # fmt: skip
    (root / "test.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return root


class Reader:
    """Shows what has the grey value of the name in the prompt; ``always`` shows something for every prompt."""

    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: 1)
    info = SimpleNamespace(presence={})

    def __init__(self, always: bool = False) -> None:
        self.always = always
        self.prompts: list[str] = []

    def predict_batch(self, images, texts):
        self.prompts += texts
        return [self._answer(image, text) for image, text in zip(images, texts, strict=True)]

    def _answer(self, image, text):
        name = next(word for word in GREY if word in text)
        mask = image[..., 0] == GREY[name]
        score = 5.0 if mask.any() or self.always else -5.0
        return SimpleNamespace(
            token_ids=[1], token_logprobs=np.zeros(1), masks=(mask if mask.any() else ~mask)[None, None],
            object_scores=np.array([[score]]), iou_scores=np.array([[0.9]]),
        )  # fmt: skip


def ask_export(model: Reader, folder: Path, split: str, tolerance: float, **how) -> tuple[Answer, ...]:
    known = known_targets()
    return ask(model, read_export(folder, split, known), known, tolerance, tasks=("segment",), **how).answers


def test_a_model_that_sees_everything_scores_everything(export):
    found = summarise("reader", ask_export(Reader(), export, "test", 2.0))
    assert found.overall.present == 10
    assert found.overall.absent == 2
    assert found.overall.dice.value == 1.0
    assert found.overall.false_positives.value == 0.0
    assert found.presence_f1 == 1.0
    assert [line.patient for line in found.cases] == ["patient-0", "patient-1", "patient-2"]


def test_a_model_that_always_draws_something_has_false_positives(export):
    found = summarise("reader", ask_export(Reader(always=True), export, "test", 2.0))
    assert found.overall.false_positives.value == 1.0
    assert found.cases[0].case == "case-0001"
    assert found.cases[0].false_positives == 2


@pytest.mark.parametrize(("box", "found"), [((0, 0, 40, 40), True), ((0, 0, 40, 3), False)])
def test_what_is_drawn_on_the_black_frame_of_a_picture_does_not_count(export, box, found):
    """The pictures hold something from column 4 on."""
    facts = (CaseFacts(name=f"case-{n:04d}", patient=str(n), split="test", picture_box=box) for n in range(3))
    write_facts(export, ExportFacts(cases=tuple(facts)))
    shown = [one for one in ask_export(Reader(), export, "test", 2.0) if one.present]
    assert {(one.found, one.dice) for one in shown} == {(found, float(found))}


def test_phrases_are_asked_for_as_they_were_trained(export):
    model = Reader()
    ask_export(model, export, "test", 2.0)
    assert set(model.prompts) == {f"<image>Please segment {name} in abdomen CT." for name in GREY}


def test_a_split_that_is_not_there_is_refused_in_words(export):
    with pytest.raises(InputError, match=r"has no train\.json"):
        ask_export(Reader(), export, "train", 2.0)


def test_a_picture_that_is_gone_is_refused_in_words(export):
    next((export / "test").glob("*.png")).unlink()
    with pytest.raises(InputError, match="export the data set again"):
        ask_export(Reader(), export, "test", 2.0)


def test_the_evaluation_stops_between_two_pictures(export):
    asked = iter([False, True])
    model = Reader()
    with pytest.raises(Cancelled):
        ask_export(model, export, "test", 2.0, cancelled=lambda: next(asked))
    assert len(model.prompts) == 2


def test_what_limits_the_figures_is_said_on_the_page(export):
    reviewed = read_export(export, "test", known_targets())
    answers = ask_export(Reader(), export, "test", 2.0)
    asked = {"A": Asked(answers, ()), "B": Asked(answers, ())}
    in_mm = replace(reviewed, unit="mm")
    found = comparison_of(asked, in_mm, known_targets(), ("segment",), {}, {"A": ("spleen in abdomen CT",), "B": ()})
    assert [one for one in found.notes if "counts as 1 mm" in one] == [
        "3 of the cases do not say their size: a pixel of them counts as 1 mm."
    ]
    assert [one for one in found.notes if "Not targets" in one] == [
        "Not targets of A, so it shows nothing for them in a volume: spleen in abdomen CT."
    ]
    assert {one.figure for one in found.figures[0]} == {one.figure for one in found.figure_differences}
    assert dict(found.unmeasured)["region exact match"] == "the task region was not asked for"
    assert not any("counts as 1 mm" in one for one in comparison_of(asked, reviewed, known_targets(), (), {}, {}).notes)
