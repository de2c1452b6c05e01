# SPDX-License-Identifier: Apache-2.0
"""Questions, conversations, figures and the page's text: the parts that need neither a scene nor a window."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from UniBiomedReportLib import Figures, HtmlReport, Questions
from UniBiomedReportLib.Conversation import Conversation

TARGETS = [
    {"name": "liver", "site": "abdomen", "modality": "CT", "kind": "anatomy"},
    {"name": "left kidney", "site": "abdomen", "modality": "CT", "kind": "anatomy"},
    {"name": "liver tumor", "site": "abdomen", "modality": "CT", "kind": "abnormality"},
    {"name": "brain", "site": "head", "modality": "MRI", "kind": "anatomy"},
]
calmly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("Is there an abnormality in the liver?", "liver"),
        ("is there any abnormality in liver", "liver"),
        ("Are there signs of abnormality in the left  kidney?", "left kidney"),
        ("Any abnormalities of the BRAIN?", "brain"),
        ("Do you see a lesion in the abdomen?", "abdomen"),
    ],
)
def test_the_trained_question_is_known_in_many_words(asked, part):
    assert Questions.parameters(asked, TARGETS) == {"anatomy": part}


@pytest.mark.parametrize(
    "asked", ["Is there an abnormality in the elbow?", "What is this?", "Is the liver large?", "liver"]
)
def test_any_other_question_is_sent_as_it_is(asked):
    assert Questions.parameters(f"  {asked} ", TARGETS) == {"question": asked}


def test_what_is_offered_fits_the_modality_and_is_recognised_again():
    offered = Questions.suggestions(TARGETS, "MRI-T1")
    assert offered == ["Is there an abnormality in the brain?", "Is there an abnormality in the head?"]
    for question in Questions.suggestions(TARGETS):
        assert "anatomy" in Questions.parameters(question, TARGETS)


def answer(text, spans=(), off=False):
    return {"text": text, "off_template": off, "history": f"<{text}>", "slice": 3, "spans": list(spans),
            "provenance": {"axis": "coronal"}}  # fmt: skip


def test_a_conversation_keeps_turns_place_and_history():
    talk = Conversation()
    text, spans = talk.add("Where?", answer("liver tumor.", [{"start": 0, "end": 11, "segments": ["s1"]}]), {"s1": "a"})
    assert text == "Q: Where?\nA: liver tumor."
    assert text[spans[0]["start"] : spans[0]["end"]] == "liver tumor"
    text, spans = talk.add("Why?", answer("because.", off=True), {}, text + "  \n", spans)
    assert text.endswith("\n\nQ: Why?\nA: because. [unreliable: not a question that the model was trained on]")
    assert text == talk.generated
    assert (talk.axis, talk.slice, talk.history, talk.hasUnreliable) == ("coronal", 3, "<because.>", True)
    assert Conversation.fromJson(talk.toJson()) == talk


def test_a_damaged_conversation_becomes_an_empty_one():
    assert Conversation.fromJson({"turns": [3, {"question": "a"}]}).turns[0].text == ""


@calmly
@given(
    st.text(alphabet="ab <&\n\U0001f600", max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6),
)
def test_no_letter_is_lost_or_doubled_on_the_page_whatever_the_spans(text, pairs):
    spans = [{"start": min(p), "end": max(p), "segments": ["x"]} for p in pairs if min(p) < max(p)]
    document = {"text": text, "spans": spans}
    assert "\n\n".join("".join(words for words, _ in part) for part in HtmlReport._cut(document)) == text
    said = "".join(HtmlReport._paragraphs(document, {"x": "s1"}, {"x": (1, 2, 3)}))
    assert "<&" not in said.replace("&lt;&amp;", "")
    plain = unescape("".join(part.split(">", 1)[-1] for part in said.replace("<br>", "\n").split("<")))
    assert plain.replace("\n", "") == text.replace("\n", "")


def test_figures_are_written_as_people_write_them():
    assert [Figures.volumeText(ml) for ml in (None, 0.004, 0.03, 4.24, 1480.2)] == [
        "", "< 0.01 ml", "0.03 ml", "4.2 ml", "1,480 ml",
    ]  # fmt: skip
    assert Figures.rangesText([9, 3, 4, 5]) == "3–5, 9"
    assert Figures.confidenceText([0.5, None, 0.25]) == "0.25–0.50"
    assert Figures.confidenceText([None]) == ""


def test_a_result_without_voxels_keeps_everything_else():
    result = {"text": "x", "segments": [{"id": "s1", "mask": {}, "presence": [1], "confidence": 0.5}]}
    assert Figures.withoutVoxels(result) == {"text": "x", "segments": [{"id": "s1", "confidence": 0.5}]}
    assert "mask" in result["segments"][0]
