# SPDX-License-Identifier: Apache-2.0
"""The text of a case: the model's with its links, the reviewer's kept and checked, both after segments changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from unibiomed.cohort.conversation import answer
from unibiomed.cohort.texts import ReportText, checked_text, parse_text, read_text
from unibiomed.errors import InputError
from unibiomed.tasks.outputs.document import Document, DocumentSpan
from unibiomed.volumes import read_volume
from unibiomed.volumes.compact_nrrd import copy_compact
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segment_heads import read_heads
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.writing import write_segmentation

LIVER = "The liver is enlarged."


def _ask(review, **request) -> dict:
    return answer(review, json.dumps(request))


def _linked(text: str, words: str, segment: str) -> dict:
    start = text.index(words)
    return {"start": start, "end": start + len(words), "segments": [segment]}


def _only(review, case: str, path: Path, *names: str) -> Path:
    """The segmentation of a case with some of its segments left."""
    files = review.files(case)
    volume = read_volume(files.image, modality="CT")
    read = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
    kept = tuple(segment for segment in read.segments if segment.name in names)
    write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, kept), reference=volume)
    return path


def test_a_case_opens_with_what_the_model_wrote_and_which_sentence_speaks_of_which_segment(grounded):
    told = _ask(grounded, do="open", case="a")["report"]
    assert told["author"] == "model"
    assert "a small hypodense tumor is seen in the liver" in told["text"]
    for span in told["spans"]:
        assert told["text"][span["start"] : span["end"]] == span["text"]
    heads = {head.id: head.name for head in read_heads(grounded.files("a").segmentation)}
    assert {heads[one] for span in told["spans"] for one in span["segments"]} == {
        "liver", "spleen", "liver tumor 1", "liver tumor 2",
    }  # fmt: skip
    names = [finding["names"] for finding in told["findings"]]
    assert names == [["liver", "spleen"], ["liver tumor 1"], ["liver tumor 2"]]
    assert told["findings"][1]["phrases"] == ["liver tumor in abdomen CT"]
    assert told["findings"][1]["sentence"].startswith("Liver tumor: a small hypodense tumor")


def test_a_plan_that_asks_for_segments_only_opens_with_an_empty_text_that_can_be_written(grounded):
    result = grounded.files("a").result
    document = json.loads(result.read_text())
    for field in ("text", "spans", "findings", "slices", "caption", "nothing_found", "modality", "site"):
        del document[field]
    result.write_text(json.dumps({**document, "type": "segmentation"}))
    assert _ask(grounded, do="open", case="a")["report"] == {
        "text": "", "spans": [], "author": "model", "findings": [],
    }  # fmt: skip
    text = {"text": LIVER, "spans": [_linked(LIVER, "liver", "Segment_1")]}
    assert _ask(grounded, do="correct", case="a", reviewer="R", text=text)["ok"]
    told = _ask(grounded, do="open", case="a")["report"]
    assert (told["text"], told["author"]) == (LIVER, "reviewer")
    assert told["findings"] == [
        {"sentence": LIVER, "segments": ["Segment_1"], "names": ["liver"], "phrases": ["liver in abdomen CT"]}
    ]


def test_a_corrected_text_is_a_document_of_the_form_in_which_reports_leave_the_report_module(grounded):
    text = {"text": LIVER, "spans": [_linked(LIVER, "liver is enlarged", "Segment_1")]}
    grounded.correct("a", "R", text=text)
    written = json.loads(grounded.files("a").text.read_text())
    document = Document.model_validate(written)
    assert document.spans[0].text == "liver is enlarged"
    assert [(item.id, item.name, item.phrase) for item in document.segments] == [
        ("Segment_1", "liver", "liver in abdomen CT")
    ]
    assert document.edited


def test_correcting_the_text_alone_keeps_the_segments_byte_by_byte_and_the_other_way_round(grounded, tmp_path):
    before = grounded.files("a").segmentation.read_bytes()
    grounded.correct("a", "R", text={"text": LIVER})
    assert grounded.files("a").segmentation.read_bytes() == before
    grounded.correct("a", "R", segmentation=_only(grounded, "a", tmp_path / "less.seg.nrrd", "liver"))
    assert read_text(grounded.files("a").text).text == LIVER
    assert [head.name for head in read_heads(grounded.files("a").segmentation)] == ["liver"]


def test_links_to_a_segment_that_the_reviewer_removed_go_and_the_others_stay(grounded, tmp_path):
    grounded.correct("a", "R", segmentation=_only(grounded, "a", tmp_path / "less.seg.nrrd", "liver", "liver tumor 2"))
    told = _ask(grounded, do="open", case="a")["report"]
    assert told["author"] == "model"
    heads = {head.id: head.name for head in read_heads(grounded.files("a").segmentation)}
    linked = [[heads[one] for one in span["segments"]] for span in told["spans"]]
    assert linked == [["liver"], ["liver tumor 2"], ["liver tumor 2"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a line", "JSON object with text and spans"),
        ({"spans": []}, "JSON object with text and spans"),
        ({"text": 5}, "JSON object with text and spans"),
        ({"text": "x", "findings": []}, "no field 'findings'"),
        ({"text": "x", "format": "unibiomed.document/9"}, "format"),
        ({"text": "x", "spans": [{"start": 0, "end": 5, "segments": []}]}, "0 to 5 lies outside the text"),
        ({"text": "x", "spans": [{"start": -1, "end": 1, "segments": []}]}, "spans.0.start"),
        ({"text": "x", "spans": [{"start": 0, "end": 1, "segments": ["Segment_9"]}]}, "segment 'Segment_9'"),
        ({"text": "x", "spans": [{"start": 0, "end": 1, "segments": "Segment_1"}]}, "spans.0.segments"),
        ({"text": "x" * 100_001}, "text: String should have at most"),
    ],
)
@pytest.mark.parametrize("verb", ["correct", "draft"])
def test_a_text_of_another_form_is_refused_in_a_sentence_and_nothing_is_written(grounded, verb, text, said):
    answered = _ask(grounded, do=verb, case="a", reviewer="R", text=text)
    assert not answered["ok"]
    assert said in answered["message"]
    assert "\n" not in answered["message"]
    assert not (grounded.catalogue.folder / "reviewed").exists()
    assert not (grounded.catalogue.folder / "drafts").exists()


def test_a_file_that_is_no_segmentation_is_refused_before_anything_is_written(grounded, tmp_path):
    (tmp_path / "bad.seg.nrrd").write_bytes(b"not one")
    answered = _ask(grounded, do="correct", case="a", reviewer="R", segmentation=str(tmp_path / "bad.seg.nrrd"))
    assert "cannot be read as a .seg.nrrd" in answered["message"]
    assert not (grounded.catalogue.folder / "reviewed").exists()


def test_a_broken_text_on_disk_is_told_with_its_place(grounded):
    grounded.correct("a", "R", text={"text": LIVER})
    grounded.files("a").text.write_text("{")
    with pytest.raises(InputError, match=r"report\.json cannot be read as a report"):
        read_text(grounded.files("a").text)


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("The liver is enlarged. No more.", "liver", "The liver is enlarged."),
        ("Liver: a cyst of 4.2 cm (3.0 ml, slice 2, confidence 0.80).", "a cyst of 4.2 cm", "a cyst of 4.2 cm"),
        ("Liver tumor (0.30 ml, slice 8, confidence 0.87).", "Liver tumor", ""),
        ("Liver tumor, benign (0.30 ml, slice 8, confidence 0.87).", "Liver tumor", "Liver tumor, benign."),
        ("Fine.\nA mass, see there\nEnd.", "mass", "A mass, see there"),
    ],
)
def test_what_is_said_of_a_segment_is_its_phrase_or_the_sentence_around_its_name(text, words, said):
    start = text.index(words)
    report = ReportText(text, (DocumentSpan(start=start, end=start + len(words), segments=("s",)),))
    assert report.said_of("s", ("liver", "liver tumor")) == said
    assert report.said_of("other") == ""


def test_a_span_takes_its_words_from_the_text_and_an_empty_one_is_dropped():
    text = parse_text(
        {"text": "abc", "spans": [{"start": 0, "end": 2, "text": "old", "segments": ["s"]},
                                  {"start": 1, "end": 1, "segments": ["s"]}]}, "x",
    )  # fmt: skip
    assert [span.text for span in text.spans] == ["ab"]
    with pytest.raises(InputError, match="speak of the segment 's'"):
        checked_text({"text": "abc", "spans": [{"start": 0, "end": 2, "segments": ["s"]}]}, ())


def test_a_raw_segmentation_is_copied_compressed_and_holds_the_same_voxels(grounded, tmp_path):
    import nrrd

    source = grounded.files("a").segmentation
    voxels, header = nrrd.read(str(source))
    raw, packed = tmp_path / "raw.seg.nrrd", tmp_path / "packed.seg.nrrd"
    nrrd.write(str(raw), voxels, {**header, "encoding": "raw"})
    copy_compact(raw, packed)
    assert packed.stat().st_size < raw.stat().st_size / 4
    again, packed_header = nrrd.read(str(packed))
    assert np.array_equal(again, voxels)
    assert packed_header["encoding"] == "gzip"
    assert read_heads(packed) == read_heads(source)
    shutil.copyfile(packed, raw)
    copy_compact(raw, tmp_path / "same.seg.nrrd")
    assert (tmp_path / "same.seg.nrrd").read_bytes() == raw.read_bytes()
