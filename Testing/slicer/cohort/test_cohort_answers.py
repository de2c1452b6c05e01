# SPDX-License-Identifier: Apache-2.0
"""Work and answers that cross: what is changed, or fails, between a request to the engine and its answer."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

SHAPE = (4, 16, 16)
TEXT = "A liver."


@pytest.fixture
def files(host, tmp_path):
    """A volume and its segmentation as files, and nothing of them in the scene."""
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    image, segmentation = str(tmp_path / "case.nrrd"), str(tmp_path / "case.seg.nrrd")
    volume = host.addVolume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 4:12, 5:9] = 1
    segment = node.GetSegmentation().AddEmptySegment("Segment_1", "liver")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    assert slicer.util.saveNode(volume, image)
    assert writeSegmentation(node, segmentation)
    slicer.mrmlScene.Clear(0)
    return {"image": image, "first": None, "segmentation": segmentation}


class LateEngine:
    """Keeps what it is asked until the test has it answered, the oldest request first."""

    def __init__(self, files):
        from UniBiomedSlicerLib.Signal import Signal

        self.ended = Signal()
        self._files = files
        self._asked = []

    def ask(self, verb, answered, **fields):
        if verb not in ("status", "queue"):
            self._asked.append((verb, answered, fields))

    def cleanup(self, kept=None):
        self._asked.clear()

    @property
    def verbs(self):
        return [verb for verb, _, _ in self._asked]

    def fields(self, verb):
        return next(fields for asked, _, fields in self._asked if asked == verb)

    def answer(self, count=1):
        """As an engine does with which all is well."""
        for _ in range(count):
            verb, answered, fields = self._asked.pop(0)
            answered({"ok": True, **self._told(verb, fields)})

    def refuse(self, message="The disk is full."):
        _, answered, _ = self._asked.pop(0)
        answered({"ok": False, "message": message})

    def _told(self, verb, fields):
        case = fields["case"]
        if verb == "open":
            report = {"text": TEXT, "spans": [], "author": "model", "findings": []}
            told = {"case": {"id": case, "verdict": None}, "files": self._files, "report": report}
            return {**told, "standing": report, "draft": None, "others": [], "problem": ""}
        if verb == "draft":
            draft = {"reviewer": fields["reviewer"], "at": 0.0}
            return {"draft": {**draft, "segmentation": "segmentation" in fields, "text": "text" in fields}}
        verdict = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}.get(verb)
        return {"decision": {"case": case, "verdict": verdict, "reviewer": fields["reviewer"]}}


@pytest.fixture
def engine(host, files, monkeypatch):
    """The engine of the review."""
    from UniBiomedSlicerLib import CohortReview as module

    made = LateEngine(files)
    monkeypatch.setattr(module, "CohortConversation", lambda python, folder: made)
    return made


@pytest.fixture
def review(engine, tmp_path):
    """A review of four cases, the first of which is open; ``told`` are the sentences of its failures."""
    from UniBiomedSlicerLib.CohortReview import CohortReview

    made = CohortReview(str(tmp_path), "python")
    made.reviewer = "A. Reader"
    made.cases = [{"id": case, "drafts": []} for case in ("one", "two", "three", "four")]
    made.told = []
    made.failed.connect(made.told.append)
    made.open("one")
    engine.answer()
    assert made.current == "one"
    yield made
    made.cleanup()


def test_what_is_changed_while_the_next_case_is_on_its_way_is_a_draft_before_that_comes(review, engine):
    review.open("two")
    review.setText("Written meanwhile.")
    engine.answer()
    assert review.current == "one"
    assert engine.verbs == ["draft", "open"]
    assert engine.fields("draft")["text"]["text"] == "Written meanwhile."
    engine.answer(2)
    assert review.current == "two"
    assert review.text == TEXT
    assert review.told == []


def test_a_decision_that_fails_keeps_its_case_open_though_the_next_one_was_asked_for(review, engine):
    review.setText("Corrected.")
    review.accept("A. Reader")
    review.open("two")
    assert engine.verbs == ["correct", "open"]
    engine.refuse()
    engine.answer()
    assert review.current == "one"
    assert review.text == "Corrected."
    assert review.told[0] == "The disk is full."
    assert "stays open" in review.told[1]
    review.open("two")
    assert engine.verbs == ["draft", "open"]
    engine.answer(2)
    assert review.current == "two"


def test_a_case_whose_draft_failed_can_be_left_when_nothing_of_it_is_changed_any_more(review, engine):
    review.setText("Changed.")
    review.open("two")
    engine.refuse()
    engine.answer()
    assert review.current == "one"
    review.setText(TEXT)
    review.open("two")
    assert engine.verbs == ["open"]
    engine.answer()
    assert review.current == "two"


def test_a_draft_that_fails_after_the_scene_was_closed_is_told(review, engine):
    review.setText("Changed.")
    slicer.mrmlScene.Clear(0)
    assert engine.verbs == ["draft"]
    engine.refuse()
    assert review.told == ["The draft was not saved: The disk is full."]


def test_work_is_watched_on_when_it_could_not_be_dropped(review, engine):
    review.setText("Changed.")
    review.startOver()
    assert engine.verbs == ["discard"]
    engine.refuse()
    assert review.text == "Changed."
    review.open("two")
    assert engine.verbs == ["draft", "open"]


def test_a_rejection_keeps_what_was_changed_as_a_draft_that_an_undo_brings_back(review, engine):
    review.setText("Changed.")
    review.reject("A. Reader")
    assert engine.verbs == ["draft", "reject"]
    engine.answer(2)
    assert review.decision["verdict"] == "rejected"
    assert not review.isCorrected()


def test_next_goes_round_all_cases_that_stay_undecided(review, engine):
    seen = [review.current]
    for _ in range(7):
        review.next()
        engine.answer()
        seen.append(review.current)
    assert seen == ["one", "two", "three", "four"] * 2


def test_a_case_that_cannot_be_opened_does_not_stand_in_the_way_of_the_next(review, engine, files, host):
    review.next()
    engine.refuse("Its files are gone.")
    assert review.nextCase() == "three"
    review.next()
    segmentation = files["segmentation"]
    files["segmentation"] = "/there/is/none.seg.nrrd"
    engine.answer()
    assert review.current == ""
    assert review.told[0] == "Its files are gone."
    assert review.told[1].startswith("The case three cannot be loaded: ")
    files["segmentation"] = segmentation
    review.next()
    engine.answer()
    assert review.current == "four"


def test_a_case_is_taken_out_of_the_scene_unless_its_changes_are_only_there(review, engine):
    node = review.segmentationNode
    review.setText("Changed.")
    review.closeCase()
    assert slicer.mrmlScene.IsNodePresent(node)
    review.open("two")
    engine.answer(2)
    review.closeCase()
    assert review.current == ""
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
