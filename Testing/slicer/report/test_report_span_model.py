# SPDX-License-Identifier: Apache-2.0
"""Links between phrases and segments under any editing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "UniBiomedSlicer"))
from UniBiomedSlicerLib.SpanModel import SpanModel, sentenceAround

TEXT = "It shows the liver and a liver tumor (2.5 ml)."


@pytest.fixture
def model():
    return SpanModel(TEXT, [span(13, 18, "s1"), span(25, 36, "s2")])


def span(start: int, end: int, *segments: str) -> dict:
    return {"start": start, "end": end, "segments": list(segments)}


def words(model: SpanModel) -> list[str]:
    return [model.text[one.start : one.end] for one in model.spans]


def test_a_change_before_a_phrase_moves_it(model):
    model.replaceText(0, 2, "The picture")
    assert words(model) == ["liver", "liver tumor"]


def test_a_change_within_a_phrase_keeps_the_link(model):
    model.replaceText(31, 0, "malignant ")
    assert words(model) == ["liver", "liver malignant tumor"]


def test_a_phrase_that_is_typed_anew_keeps_its_link(model):
    model.replaceText(25, 11, "h")
    for number, letter in enumerate("epatic lesion", 26):
        model.replaceText(number, 0, letter)
    assert words(model) == ["liver", "hepatic lesion"]
    model.replaceText(0, 0, "A")
    model.replaceText(model.spans[1].end, 0, " here")
    assert words(model) == ["liver", "hepatic lesion"]


def test_letters_typed_behind_a_phrase_belong_to_it_and_other_words_do_not(model):
    model.replaceText(36, 0, "s")
    assert words(model)[1] == "liver tumors"
    model.replaceText(37, 0, " of the dome")
    assert words(model)[1] == "liver tumors"


def test_words_typed_in_front_of_a_phrase_do_not_belong_to_it(model):
    model.replaceText(25, 0, "small ")
    assert words(model)[1] == "liver tumor"


def test_a_phrase_that_is_cut_and_pasted_elsewhere_is_linked_there(model):
    model.replaceText(22, 15, "")
    assert words(model) == ["liver"]
    model.replaceText(0, 0, "A liver tumor! ")
    assert words(model) == ["liver tumor", "liver"]
    assert model.spans[0].segments == ("s2",)


def test_a_deleted_phrase_that_is_undone_is_linked_again(model):
    before = model.spans
    model.replaceText(10, 30, "")
    assert model.spans == ()
    model.replaceText(10, 0, TEXT[10:40])
    assert model.spans == before


def test_a_half_deleted_phrase_keeps_its_link_and_undo_gives_all_of_it_back(model):
    model.replaceText(30, 10, "")
    assert words(model) == ["liver", "liver"]
    model.replaceText(30, 0, TEXT[30:40])
    assert words(model) == ["liver", "liver tumor"]


def test_links_that_do_not_fit_are_left_out():
    model = SpanModel("abc", [span(0, 9, "s1"), span(2, 2, "s1"), span(-1, 2, "s1"), span(0, 1), span(0, 2, "s2")])
    assert [(one.start, one.end) for one in model.spans] == [(0, 2)]


def test_a_text_given_whole_is_a_change_of_the_stretch_that_differs(model):
    model.setText(TEXT.replace("shows", "clearly shows"))
    assert words(model) == ["liver", "liver tumor"]
    model.setText("")
    assert model.spans == ()
    model.setText(TEXT)
    assert words(model) == ["liver", "liver tumor"]


def test_the_innermost_phrase_is_found_at_a_position():
    model = SpanModel("a liver tumor", [span(2, 13, "s1"), span(2, 7, "s2")])
    assert model.at(3).segments == ("s2",)
    assert model.at(9).segments == ("s1",)
    assert model.at(0) is None


calmly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
alphabet = st.text(alphabet="ab \n\U0001f600", max_size=12)


@st.composite
def models(draw):
    text = draw(st.text(alphabet="abc .\n", min_size=1, max_size=40))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [span(a, b, f"s{n}") for n, (a, b) in enumerate(pairs) if a < b]


edits = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), alphabet), max_size=12)


@calmly
@given(models(), edits)
def test_spans_stay_within_the_text_ordered_and_never_empty(made, changes):
    model = SpanModel(*made)
    reference = made[0]
    for start, removed, inserted in changes:
        model.replaceText(start, removed, inserted)
        start = min(start, len(reference))
        reference = reference[:start] + inserted + reference[start + removed :]
        assert model.text == reference
        assert all(0 <= one.start < one.end <= len(model.text) for one in model.spans)
        assert list(model.spans) == sorted(model.spans, key=lambda one: (one.start, -one.end))
        assert len({one.key for one in model.spans}) == len(model.spans)


@calmly
@given(models(), st.integers(0, 60), st.integers(0, 20), alphabet)
def test_a_phrase_that_a_change_does_not_touch_keeps_its_words(made, start, removed, inserted):
    model = SpanModel(*made)
    before = {one.key: (one, model.text[one.start : one.end]) for one in model.spans}
    start = min(start, len(model.text))
    end = min(start + removed, len(model.text))
    model.replaceText(start, removed, inserted)
    after = {one.key: model.text[one.start : one.end] for one in model.spans}
    for key, (one, said) in before.items():
        if end <= one.start or start > one.end:
            assert after[key] == said


@calmly
@given(models(), edits)
def test_undoing_every_change_gives_back_every_link(made, changes):
    model = SpanModel(*made)
    steps = []
    for start, removed, inserted in changes:
        steps.append((model.text, model.spans))
        model.replaceText(start, removed, inserted)
    for text, spans in reversed(steps):
        model.setText(text)
        first = next(one for one in steps if one[0] == text)
        assert model.text == text
        assert [(s.start, s.end, s.segments) for s in model.spans] == [
            (s.start, s.end, s.segments) for s in (spans if first[1] == spans else first[1])
        ]


@calmly
@given(models(), st.text(alphabet="abc .\n", max_size=40), st.integers(0, 40))
def test_any_text_can_be_set_from_any_hint(made, text, near):
    model = SpanModel(*made)
    model.setText(text, near)
    assert model.text == text


def test_words_are_linked_to_a_segment_and_linked_once_more_they_are_free(model):
    model.link(0, 18, ["s3"])
    assert words(model) == ["It shows the liver", "liver", "liver tumor"]
    assert [one.segments for one in model.spans] == [("s3",), ("s1",), ("s2",)]
    assert len({one.key for one in model.spans}) == 3
    model.link(0, 18, ["s3"])
    assert words(model) == ["liver", "liver tumor"]


def test_a_link_takes_up_the_links_to_the_same_segment_within_it(model):
    model.link(0, len(TEXT), ["s1"])
    assert words(model) == [TEXT, "liver tumor"]
    model.replaceText(0, 2, "This")
    assert words(model)[0].startswith("This shows")


@pytest.mark.parametrize(("start", "end", "segments"), [(3, 3, ["s"]), (5, 2, ["s"]), (0, 99, ["s"]), (0, 5, [])])
def test_what_cannot_be_linked_changes_nothing(model, start, end, segments):
    model.link(start, end, segments)
    assert words(model) == ["liver", "liver tumor"]


@pytest.mark.parametrize(
    ("position", "sentence"),
    [
        (0, "A cyst of 4.2 cm."),
        (9, "A cyst of 4.2 cm."),
        (17, "A cyst of 4.2 cm."),
        (18, "No more!"),
        (26, "No more!"),
        (27, "The end"),
        (34, "The end"),
    ],
)
def test_the_sentence_at_the_cursor_does_not_end_within_a_number(position, sentence):
    text = "A cyst of 4.2 cm. No more!\nThe end"
    start, end = sentenceAround(text, position)
    assert text[start:end] == sentence
