# SPDX-License-Identifier: Apache-2.0
"""The questions in words about reviewed pictures: which are asked, and what right and wrong answers come to."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from unibiomed.errors import Cancelled
from unibiomed.evaluation.export_facts import CaseFacts, SegmentFacts, phrases_of
from unibiomed.evaluation.reviewed.cases import ListedCase, OpenedPictures, PictureFile, ReviewedSet
from unibiomed.evaluation.text_answers import KINDS, figures_of
from unibiomed.evaluation.text_metrics import missing_library
from unibiomed.evaluation.text_questions import Targets, ask_words, choose
from unibiomed.evaluation.unmeasured import unmeasured
from unibiomed.tasks.catalogue import published

LIVER, SPLEEN, TUMOR = (f"{name} in abdomen CT" for name in ("liver", "spleen", "tumor"))
SIZE = 256
TASKS = ("recognise", "report", "vqa", "region")


def _square(row: int, column: int, side: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[row : row + side, column : column + side] = True
    return mask


MASKS = {LIVER: _square(20, 20, 100), SPLEEN: _square(160, 160, 60), TUMOR: _square(40, 40, 30)}


def _picture(number: int, phrases: tuple[str, ...], sentence: str = "") -> PictureFile:
    grey = np.full((SIZE, SIZE, 3), number, np.uint8)
    masks = {phrase: partial(MASKS.get, phrase) for phrase in phrases}
    return PictureFile(str(number), lambda: grey, masks, {TUMOR: sentence} if sentence else {})


def _case(*pictures: PictureFile, name: str = "case-1", prompt_free: bool = True, stands: bool = True) -> ListedCase:
    phrases = dict.fromkeys(phrase for one in pictures for phrase in one.masks)
    kinds = {LIVER: "anatomy", SPLEEN: "anatomy", TUMOR: "abnormality"}
    segments = tuple(SegmentFacts(phrase=one, target=one.split(" in ")[0], kind=kinds[one]) for one in phrases)
    facts = CaseFacts(name=name, patient=f"patient of {name}", split="test", modality="CT", site="abdomen",
                      prompt_free=prompt_free, segments=segments, text_stands=stands)  # fmt: skip
    return ListedCase(facts, phrases_of([facts]), lambda: OpenedPictures(pictures))


class Scripted:
    """Answers by the first words of ``says`` that the prompt holds; a report comes with the mask of ``shows``."""

    info = SimpleNamespace(presence={})

    def __init__(self, says: dict[str, str], shows: np.ndarray = MASKS[TUMOR], logprob: float = 0.0) -> None:
        self.says, self.shows, self.logprob = says, shows, logprob
        self.asked: list[tuple[int, str]] = []

    def predict_batch(self, images, texts):
        self.asked += [(int(image[-1, -1, 0]), text) for image, text in zip(images, texts, strict=True)]
        return [self._answer(text) for text in texts]

    def _answer(self, prompt):
        text = next(answer for words, answer in self.says.items() if words in prompt)
        count = text.count("[SEG]")
        return SimpleNamespace(
            text=text, masks=np.repeat(self.shows[None, None], count, axis=0), token_logprobs=np.array([self.logprob])
        )


RIGHT = {
    "<region>": "liver in abdomen CT",
    "abnormality in": "<p> tumor. </p> [SEG]",
    "signs of abnormality?": f"It is [SEG]. {TUMOR}.",
    "report": "<p> tumor. a tumor is seen in the liver. </p> [SEG]",
}
NOTHING = {
    "<region>": "spleen in abdomen CT",
    "abnormality in": "<p> no findings. </p> [SEG]",
    "signs of abnormality?": "It is [SEG]. no findings in abdomen CT.",
    "report": "<p> no findings. all is clear. </p> [SEG]",
}


def _figures(model: Scripted, *cases: ListedCase, tasks=TASKS, most: int = 5) -> dict[str, tuple[float, int]]:
    targets = Targets(published())
    told = [one for case in cases for one in ask_words(model, case, case.open(), targets, tasks, most)]
    return {one.figure: (one.estimate.value, one.estimate.n) for one in figures_of(told)}


ABNORMAL = _picture(1, (LIVER, TUMOR), "A tumor is seen in the liver.")
HEALTHY = _picture(2, (LIVER, SPLEEN))


def test_a_model_that_finds_the_tumor_everywhere_is_right_where_there_is_one():
    seen = _figures(Scripted(RIGHT), _case(ABNORMAL, HEALTHY), tasks=("recognise",))
    assert seen["abnormal or not, accuracy"] == (0.5, 2)
    assert seen["abnormal or not, F1"] == (pytest.approx(2 / 3), 2)
    assert seen["recognition accuracy, abnormal"] == (1.0, 1)
    assert seen["recognition accuracy, healthy"] == (0.0, 1)
    assert seen["recognition accuracy"] == (0.5, 2)
    assert seen["recognition F1 of the names"] == (pytest.approx(2 / 3), 2)


def test_a_model_that_finds_nothing_is_right_where_nothing_is():
    seen = _figures(Scripted(NOTHING), _case(ABNORMAL, HEALTHY), tasks=("recognise",))
    assert seen["abnormal or not, accuracy"] == (0.5, 2)
    assert seen["abnormal or not, F1"][0] == 0.0
    assert seen["recognition accuracy, healthy"] == (1.0, 1)


def test_the_score_of_auroc_is_how_sure_the_model_is_of_its_verdict():
    class Unsure(Scripted):
        """Sure of the tumor that is there, less sure of the one that is not."""

        def predict_batch(self, images, texts):
            answers = super().predict_batch(images, texts)
            for image, answer in zip(images, answers, strict=True):
                answer.token_logprobs = np.log([0.9 if image[-1, -1, 0] == 1 else 0.2])
            return answers

    case = _case(ABNORMAL, HEALTHY)
    assert _figures(Unsure(RIGHT), case, tasks=("recognise",))["abnormal or not, AUROC"][0] == 1.0
    assert _figures(Scripted(RIGHT), case, tasks=("recognise",))["abnormal or not, AUROC"][0] == 0.5


def test_a_report_counts_by_its_words_and_by_its_masks():
    case = _case(ABNORMAL)
    right = _figures(Scripted(RIGHT), case, tasks=("report",))
    assert {name: value for name, (value, _) in right.items()} == {
        "report phrase F1": 1.0, "report phrase F1, with findings": 1.0,
        "report BLEU": pytest.approx(1.0), "report ROUGE-L": 1.0,
    }  # fmt: skip
    elsewhere = _figures(Scripted(RIGHT, shows=_square(200, 200, 30)), case, tasks=("report",))
    assert elsewhere["report phrase F1"][0] == 0.0
    assert elsewhere["report ROUGE-L"][0] == 1.0
    # "tumor a tumor is seen in the liver" has 8 words, "tumor a liver" 3 of them in order.
    short = {**RIGHT, "report": "<p> tumor. a liver. </p> [SEG]"}
    assert _figures(Scripted(short), case, tasks=("report",))["report ROUGE-L"][0] == pytest.approx(
        2 * (3 / 3) * (3 / 8) / (3 / 3 + 3 / 8)
    )


def test_text_is_not_measured_where_nobody_stands_for_the_sentence():
    for case in (_case(_picture(1, (LIVER, TUMOR))), _case(ABNORMAL, stands=False)):
        seen = _figures(Scripted(RIGHT), case, tasks=("report",))
        assert "report BLEU" not in seen
        assert "report ROUGE-L" not in seen
        assert seen["report phrase F1"][0] == 1.0


def test_questions_about_a_structure_follow_from_what_lies_in_it():
    model = Scripted(RIGHT)
    seen = _figures(model, _case(_picture(1, (LIVER, SPLEEN, TUMOR))), tasks=("vqa",))
    asked = [text for _, text in model.asked]
    assert len(asked) == 2
    assert any("in spleen?" in text for text in asked)
    assert any("in liver?" in text or "in abdomen?" in text for text in asked)
    assert seen["VQA accuracy, something there"] == (1.0, 1)
    assert seen["VQA accuracy, nothing there"] == (0.0, 1)
    assert seen["VQA accuracy"] == (0.5, 2)


def test_a_region_is_named_by_its_phrase_word_by_word():
    seen = _figures(Scripted(RIGHT), _case(HEALTHY), tasks=("region",))
    assert seen == {"region exact match": (0.5, 2)}


def test_where_no_abnormality_was_looked_for_only_regions_are_asked():
    model = Scripted(RIGHT)
    assert set(_figures(model, _case(HEALTHY, prompt_free=False))) == {"region exact match"}
    assert all("<region>" in text for _, text in model.asked)
    # Outlining one abnormality says that it was looked for.
    assert "abnormal or not, accuracy" in _figures(Scripted(RIGHT), _case(ABNORMAL, HEALTHY, prompt_free=False))


def test_a_picture_with_an_abnormality_too_small_to_judge_is_not_asked_what_is_abnormal(monkeypatch):
    monkeypatch.setitem(MASKS, TUMOR, _square(40, 40, 4))
    model = Scripted(RIGHT)
    assert set(_figures(model, _case(_picture(1, (LIVER, TUMOR))))) == {"region exact match"}


def test_the_pictures_are_those_where_an_abnormality_is_largest_and_others_evenly_spread():
    small, large = _square(0, 0, 10), _square(0, 0, 20)
    shown = [small if n == 3 else large if n == 8 else None for n in range(20)]
    opened = OpenedPictures([
        PictureFile(str(n), lambda: None, {} if mask is None else {TUMOR: lambda mask=mask: mask})
        for n, mask in enumerate(shown)
    ])  # fmt: skip
    assert choose(opened, [TUMOR], 1) == [8]
    assert choose(opened, [TUMOR], 3) == [4, 8, 15]
    assert choose(opened, [], 4) == [2, 7, 12, 17]
    assert choose(opened, [TUMOR], 99) == list(range(20))


def test_every_model_is_asked_the_same():
    one, two = Scripted(RIGHT), Scripted(NOTHING)
    cases = [_case(_picture(1, (LIVER, SPLEEN, TUMOR)), HEALTHY), _case(ABNORMAL, name="case-2")]
    for model in (one, two):
        _figures(model, *cases)
    assert one.asked == two.asked


def test_the_questions_stop_between_two_pictures():
    model, asked = Scripted(RIGHT), iter([False, True])
    case = _case(ABNORMAL, HEALTHY)
    with pytest.raises(Cancelled):
        list(ask_words(model, case, case.open(), Targets(published()), TASKS, 5, lambda: next(asked)))
    assert {place for place, _ in model.asked} == {1}


HEALTHY_ONLY = {
    "recognition accuracy, abnormal": "no picture asked about has an abnormality",
    "abnormal or not, AUROC": "answers are of one kind only",
    "abnormal or not, F1": "nothing is there, and nothing was found",
    "VQA accuracy, something there": "no picture asked about has an abnormality",
    "report BLEU": "a sentence that its reviewer wrote or accepted",
    "calibration error, confidence as IoU": "the task segment was not asked for",
    "case report BLEU": "no case has a report",
}


def test_every_figure_that_is_missing_has_its_reason():
    case = _case(HEALTHY)
    seen = _figures(Scripted(NOTHING), case)
    reasons = unmeasured(ReviewedSet("test", (case,)), Targets(published()), TASKS, set(seen))
    missing = {figure: reason for figures, reason in reasons for figure in figures.split("; ")}
    assert {kind.figure for kind in KINDS} == seen.keys() | (missing.keys() - {"description"})
    for figure, reason in HEALTHY_ONLY.items():
        assert reason in missing[figure]
    assert "description" in missing


def test_what_is_not_healthy_for_want_of_looking_is_said():
    case = _case(HEALTHY, prompt_free=False)
    seen = _figures(Scripted(NOTHING), case)
    told = ReviewedSet("test", (case,), whole=False)
    reasons = dict(unmeasured(told, Targets(published()), TASKS, set(seen)))
    assert any("VQA accuracy" in one and "nothing says what is healthy" in reasons[one] for one in reasons)
    assert any("case report BLEU" in one and "no case can be read as a whole" in reasons[one] for one in reasons)


def test_a_structure_whose_site_is_unknown_leaves_a_picture_certain():
    """As a label map from elsewhere has it: "aorta" may be asked for in the abdomen, the chest, ..."""
    unplaced = "aorta in CT"
    picture = PictureFile("1", ABNORMAL.image, {**ABNORMAL.masks, unplaced: lambda: _square(180, 20, 40)})
    facts = _case(ABNORMAL).facts
    facts = facts.model_copy(update={"segments": (*facts.segments, SegmentFacts(phrase=unplaced, target="aorta"))})
    case = ListedCase(facts, phrases_of([facts]), lambda: OpenedPictures((picture,)))
    assert _figures(Scripted(RIGHT), case, tasks=("recognise",))["recognition accuracy, abnormal"] == (1.0, 1)


def test_without_the_text_libraries_everything_else_is_measured(monkeypatch):
    for name in ("sacrebleu", "rouge_score"):
        monkeypatch.setitem(sys.modules, name, None)
    case = _case(ABNORMAL, HEALTHY)
    seen = _figures(Scripted(RIGHT), case)
    assert {"report phrase F1", "abnormal or not, F1", "VQA accuracy", "region exact match"} <= set(seen)
    assert "report BLEU" not in seen
    assert "report ROUGE-L" not in seen
    reasons = dict(unmeasured(ReviewedSet("test", (case,)), Targets(published()), TASKS, set(seen)))
    (reason,) = {reason for figures, reason in reasons.items() if "report BLEU" in figures}
    assert "sacrebleu is not installed" in reason
    assert missing_library() == "sacrebleu"


def test_nothing_of_the_evaluation_needs_the_text_libraries_to_be_imported():
    """As Slicer's environment is: without the extras."""
    hidden = "import sys; sys.modules.update(dict.fromkeys(('sacrebleu', 'rouge_score', 'datasets', 'pyarrow')))"
    names = ("comparison", "exported", "phantoms", "results", "agreement_page", "reviewed.formats")
    imports = "; ".join(f"import unibiomed.evaluation.{name}" for name in names)
    subprocess.run([sys.executable, "-c", f"{hidden}; {imports}"], check=True, timeout=120)
