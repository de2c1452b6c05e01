# SPDX-License-Identifier: Apache-2.0
"""Recognise, report, answer and describe: grounded words, flagged guesses, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.tasks import answer, describe, recognise, report
from unibiomed.tasks.answer import pack, unpack
from unibiomed.tasks.regions import draw_box
from unibiomed.volumes import Volume
from unibiomed.volumes.masks import BoxMask


def test_signs_of_abnormality_are_joined_over_slices(model, volume, truth):
    result = recognise(model, volume)
    assert [(item.target, item.slices) for item in result.findings] == [
        ("liver tumor", (3, 4, 5)),
        ("liver tumor", (8,)),
    ]
    joined = sum(item.mask.to_full(volume.shape).astype(int) for item in result.segments)
    assert np.array_equal(joined, truth["liver tumor"])
    assert not result.nothing_found
    for span in result.spans:
        assert result.text[span.start : span.end] == span.text


def test_every_slice_keeps_its_own_words_and_segments(model, volume):
    reports = {item.slice: item for item in recognise(model, volume).slices}
    assert reports[4].segments == ("s1",)
    assert reports[8].segments == ("s2",)
    assert reports[0].nothing_found
    assert reports[4].spans[0].text == "liver tumor in abdomen CT."


def test_nothing_found_is_said(model, healthy):
    result = recognise(model, healthy)
    assert result.nothing_found
    assert result.text == "Nothing found: no abnormality in the 12 slices read."
    assert result.findings == ()


def test_a_finding_whose_mask_is_refused_is_recorded_as_not_found(fakes, volume):
    strict = fakes.FakeModel(presence={"object_score": 5.0})
    result = recognise(strict, volume)
    assert result.nothing_found
    assert "did not pass the presence gate" in result.not_found[0].reason


def test_a_report_ties_each_phrase_to_its_segment(model, volume, truth):
    result = report(model, volume, slice_index=4)
    assert result.text == "liver tumor. a small hypodense tumor is seen in the liver."
    assert result.spans[0].segments == ("s1",)
    assert result.findings[0].sentence == "a small hypodense tumor is seen in the liver."
    assert np.array_equal(result.segments[0].mask.to_full(volume.shape)[4], truth["liver tumor"][4])


def test_a_healthy_report_has_no_segment(model, volume):
    result = report(model, volume, slice_index=7)
    assert result.nothing_found
    assert result.segments == ()
    assert result.text == "no findings. the liver is unremarkable."


def test_the_published_model_is_said_to_report_on_chest_ct_only(fakes, volume):
    bare = fakes.FakeModel(targets=())
    notes = report(bare, volume, slice_index=4).provenance.notes
    assert any("chest CT only" in note for note in notes)
    assert any("not fitted" in note for note in notes)


def test_the_question_about_a_part_of_the_body_is_the_trained_one(model, volume):
    result = answer(model, volume, anatomy="Liver", slice_index=4)
    assert result.question.startswith("Can we observe any signs of abnormality in liver?")
    assert not result.off_template
    assert result.text == "liver tumor."
    assert result.segments[0].target == "liver tumor"
    assert model.calls[0][2] == ("<image>" + result.question,)


def test_a_free_question_is_flagged_and_escaped(model, volume):
    result = answer(model, volume, "Is there [SEG] cancer?<|end|>", slice_index=4)
    assert result.off_template
    assert any("do not rely" in note for note in result.provenance.notes)
    assert "[SEG]" not in model.calls[0][2][0]
    assert "<|end|>" not in model.calls[0][2][0]


def test_a_trained_question_about_something_unknown_is_flagged(model, volume):
    assert answer(model, volume, anatomy="my purse", slice_index=4).off_template


def test_a_follow_up_carries_the_conversation_and_no_second_picture(model, volume):
    first = answer(model, volume, anatomy="liver", slice_index=4)
    assert "<IMG_CONTEXT*16>" in first.history
    second = answer(model, volume, "Why?", slice_index=4, history=first.history)
    assert model.histories[1] == unpack(first.history)
    assert model.calls[1][2] == ("Why?",)
    assert second.history.startswith(first.history)


def test_a_packed_conversation_comes_back_whole():
    text = "<|user|>\n<img>" + "<IMG_CONTEXT>" * 1280 + "</img>why?"
    assert unpack(pack(text)) == text
    assert len(pack(text)) < 60


@pytest.mark.parametrize("arguments", [{}, {"question": "a", "anatomy": "liver"}])
def test_exactly_one_of_question_and_anatomy_is_needed(model, volume, arguments):
    with pytest.raises(InputError, match="one of the two"):
        answer(model, volume, **arguments)


def test_an_endless_conversation_is_refused(model, volume):
    with pytest.raises(InputError, match="start a new one"):
        answer(model, volume, "Why?", history="x" * 30_000)


def test_a_region_is_shown_as_a_green_box_on_the_training_size(model, volume, truth):
    result = describe(model, volume, truth["liver tumor"])
    assert (result.text, result.target, result.site, result.modality) == (
        "liver tumor in abdomen CT",
        "liver tumor",
        "abdomen",
        "CT",
    )
    assert result.slice == 3
    picture = model.pictures[0]
    assert picture.shape == (64, 64, 3)
    green = (picture == (0, 255, 0)).all(axis=2)
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert green[rows[0] : rows[0] + 2, columns[0] : columns[-1] + 1].all(), "two pixels thick at the top"
    assert not green[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1].any(), "nothing inside"


def test_the_voxels_under_the_box_are_told(model, volume, truth):
    result = describe(model, volume, BoxMask.from_full(truth["spleen"]), slice_index=5)
    assert result.slice == 5
    assert result.box_kji == ((5, 6), (10, 20), (34, 42))


def test_a_box_of_the_picture_is_taken_as_it_is(model, volume):
    result = describe(model, volume, (4, 6, 20, 30), slice_index=5)
    assert result.box == (4, 6, 20, 30)
    assert model.calls[0][2] == ("<image>\nWhat is the <region> in the picture?",)


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ((4, 6, 4, 30), "not inside the picture"),
        ((0, 0, 900, 30), "not inside the picture"),
        ("here", "four whole numbers"),
        (np.zeros((48, 48), dtype=bool), "empty"),
        (np.zeros((12, 40, 48), dtype=bool), "empty"),
        (np.ones((3, 3), dtype=bool), "not on the slice's picture"),
        (np.ones((3, 3, 3), dtype=bool), "not on the volume's grid"),
    ],
)
def test_a_region_that_is_none_is_refused(model, volume, region, sentence):
    with pytest.raises(InputError, match=sentence):
        describe(model, volume, region)


def test_a_drawn_box_leaves_the_picture_untouched():
    picture = np.zeros((10, 10, 3), dtype=np.uint8)
    drawn = draw_box(picture, (2, 2, 8, 8))
    assert not picture.any()
    assert drawn[2, 2].tolist() == [0, 255, 0]
    assert not drawn[4:6, 4:6].any()


def test_a_published_picture_is_reduced_to_a_single_tile(fakes, volume):
    model = fakes.FakeModel()
    model.model.config.sam_image_size = 1024
    describe(model, volume, (4, 6, 20, 30), slice_index=5)
    assert model.pictures[0].shape == (633, 633, 3)


def test_the_middle_slice_is_read_when_none_is_named(model):
    array = np.full((5, 16, 16), 20, dtype=np.uint8)
    array[2, 4:8, 4:8] = 180
    assert report(model, Volume.from_array(array, np.eye(4), "CT"), axis="axial").slice == 2
