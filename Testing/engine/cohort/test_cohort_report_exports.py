# SPDX-License-Identifier: Apache-2.0
"""Corrected reports in every export that holds words, read back as their consumers read them."""

from __future__ import annotations

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from unibiomed.cli.app import run
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.samples import samples
from unibiomed.cohort.review import Review
from unibiomed.evaluation.reviewed.formats import read_export
from unibiomed.tasks.catalogue import published
from unibiomed.training.exported_data import ExportedPictures
from unibiomed.volumes import read_volume
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

SAID = "a small hypodense tumor is seen in the liver"
MINE = "a simple cyst of the liver"


def _linked(text: str, *links: tuple[str, str]) -> dict:
    """A text whose words speak of segments."""
    spans = [
        {"start": text.index(words), "end": text.index(words) + len(words), "segments": [segment]}
        for words, segment in links
    ]
    return {"text": text, "spans": spans}


def _edited(review: Review, case: str, old: str, new: str) -> dict:
    """The report of a case with words replaced once, its links moved along as the page moves them."""
    report = review.open(case).report
    at, grown = report.text.index(old), len(new) - len(old)
    spans = []
    for span in report.spans:
        start, end = (edge + grown if edge > at else edge for edge in (span.start, span.end))
        spans.append({"start": start, "end": end, "segments": list(span.segments)})
    return {"text": report.text.replace(old, new, 1), "spans": spans}


@pytest.fixture
def corrected(grounded_cohort, tmp_path) -> Path:
    """Three torsos: ``a`` with its first finding rewritten, ``b`` accepted as it is, ``c`` without that finding."""
    folder = grounded_cohort(tmp_path / "torsos", ("a", "b", "c"))
    with Catalogue(folder) as catalogue:
        review = Review(catalogue)
        review.correct("a", "reader", text=_edited(review, "a", SAID, MINE))
        review.accept("b", "reader")
        text = "It shows the liver. The second tumour has grown since May."
        review.correct("c", "reader", text=_linked(text, ("second tumour", "Segment_4")))
    return folder


def _export(folder: Path, out: Path, kind: str, *more: str) -> Path:
    assert (
        run(["export", str(folder), "-o", str(out), "-f", kind, "--validation", "0", "--test", "0", "--quiet", *more])
        == 0
    )
    return out


def test_the_sentence_of_a_segment_is_the_reviewers_where_he_changed_it_and_else_the_models(corrected):
    phrase = "liver tumor in abdomen CT"
    with Catalogue(corrected) as catalogue:
        a, b, c = samples(catalogue, validation=0, test=0, keep_identity=True)
    assert [a.sentence(phrase, index) for index in (2, 3, 5, 8)] == ["", f"{MINE}.", f"{MINE}.", f"{SAID}."]
    assert [b.sentence(phrase, index) for index in (2, 3, 5, 8)] == ["", *[f"{SAID}."] * 3]
    assert [c.sentence(phrase, index) for index in (3, 8)] == ["", "The second tumour has grown since May."]
    assert [sample.sentence("liver in abdomen CT") for sample in (a, b)] == ["", ""], (
        "that it is listed says nothing of it"
    )
    assert [sample.is_text_corrected for sample in (a, b, c)] == [True, False, True]


def test_the_published_format_holds_the_reviewers_sentences_and_training_reads_them(corrected, tmp_path):
    out = _export(corrected, tmp_path / "data", "unibiomed", "--keep-identity")
    entries = json.loads((out / "train_parse.json").read_text())
    found = {(Path(entry["image_file"]).name.split("-")[0], entry["report"]) for entry in entries}
    assert found == {
        ("a", f"{MINE}."), ("a", f"{SAID}."), ("b", f"{SAID}."), ("c", "The second tumour has grown since May."),
    }  # fmt: skip
    for entry in entries:
        assert set(entry) == {"abnormality", "report", "anatomy", "image_file", "mask_file"}
        assert (entry["abnormality"], entry["anatomy"]) == ("liver tumor", "abdomen")
        with Image.open(out / entry["image_file"]) as picture, Image.open(out / entry["mask_file"]) as mask:
            assert picture.size == mask.size
    spoken = {said for picture in ExportedPictures(out, "train").pictures for _, said, _ in picture.reports}
    assert spoken == {f"{MINE}.", f"{SAID}.", "The second tumour has grown since May."}


def test_the_parquet_files_hold_the_corrected_texts(corrected, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = _export(corrected, tmp_path / "hf", "parquet", "--keep-identity")
    rows = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
    texts = {row["case"]: row["text"] for row in rows}
    assert MINE in texts["a"]
    assert SAID in texts["b"]
    assert texts["c"] == "It shows the liver. The second tumour has grown since May."


def test_the_card_counts_the_corrected_texts(corrected, tmp_path):
    card = (_export(corrected, tmp_path / "out", "unibiomed") / "DATA_CARD.md").read_text()
    assert "| reports | 3 cases with a text, 2 of them corrected by a person |" in card
    assert "not searched for names" in card


def test_a_text_for_a_plan_without_reports_is_exported_too(grounded_cohort, tmp_path):
    folder = grounded_cohort(tmp_path / "torsos", ("a",))
    result = folder / "automatic" / "a" / "result.json"
    document = json.loads(result.read_text())
    for field in ("text", "spans", "findings", "slices", "caption", "nothing_found", "modality", "site"):
        del document[field]
    result.write_text(json.dumps({**document, "type": "segmentation"}))
    with Catalogue(folder) as catalogue:
        text = "A tumour of the liver, to be watched."
        Review(catalogue).correct("a", "reader", text=_linked(text, ("tumour", "Segment_3")))
    out = _export(folder, tmp_path / "data", "unibiomed")
    assert {entry["report"] for entry in json.loads((out / "train_parse.json").read_text())} == {text}


@pytest.fixture
def series(grounded_cohort, tmp_path) -> Path:
    """A torso from DICOM whose reviewer removed the spleen and rewrote what was said of the first tumour."""
    folder = grounded_cohort(tmp_path / "torsos", ("a",), dicom=True)
    with Catalogue(folder) as catalogue:
        review = Review(catalogue)
        (record,) = catalogue.records()
        files = review.files(record.case.id)
        volume = read_volume(files.image, modality="CT", series_uid=record.case.series_uid)
        read = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
        kept = tuple(segment for segment in read.segments if segment.name != "spleen")
        path = tmp_path / "mine.seg.nrrd"
        write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, kept), reference=volume)
        text = "The liver is enlarged. A cyst of 2.5 cm lies in it."
        review.correct(record.case.id, "reader", path, _linked(text, ("liver", "Segment_1"), ("A cyst", "Segment_2")))
    return folder


def test_the_structured_report_holds_the_corrected_text_and_points_at_the_segments_that_stand(series, tmp_path):
    out = _export(series, tmp_path / "dicom", "dicom", "--keep-identity")
    (path,) = out.rglob("report.dcm")
    report = hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(path))
    found = hd.sr.utils.find_content_items(report, value_type=hd.sr.ValueTypeValues.TEXT, recursive=True)
    words = [str(item.TextValue) for item in found]
    assert "The liver is enlarged. A cyst of 2.5 cm lies in it." in words
    assert "A person edited the text after it was generated." in words
    assert not any("hypodense" in text or "spleen" in text for text in words)
    seg = hd.seg.segread(next(out.rglob("segmentation.dcm")))
    labels = {number: str(seg.get_segment_description(number).segment_label) for number in seg.segment_numbers}
    groups = {group.tracking_identifier: group for group in report.content.get_volumetric_roi_measurement_groups()}
    assert sorted(groups) == sorted(labels.values()) == ["liver", "liver tumor 1", "liver tumor 2"]
    assert {name: labels[_number(group)] for name, group in groups.items()} == {name: name for name in groups}
    comments = [str(item.TextValue) for item in groups["liver tumor 1"][0].ContentSequence if item.ValueType == "TEXT"]
    assert "A cyst of 2.5 cm lies in it." in comments


def test_a_segment_named_in_any_letters_keeps_its_name_in_every_export(grounded_cohort, tmp_path):
    folder = grounded_cohort(tmp_path / "torsos", ("a",), dicom=True)
    name = "Läsion 肝"
    with Catalogue(folder) as catalogue:
        review = Review(catalogue)
        files = review.files("a")
        volume = read_volume(files.image, modality="CT")
        first = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras).segments[0]
        mine = Segment(name, name, first.mask)
        path = tmp_path / "mine.seg.nrrd"
        write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, (mine,)), reference=volume)
        review.correct("a", "reader", path, _linked("Die Läsion 肝 ist größer.", (name, "Segment_1")))
    out = _export(folder, tmp_path / "dicom", "dicom", "--keep-identity")
    assert str(hd.seg.segread(next(out.rglob("segmentation.dcm"))).get_segment_description(1).segment_label) == name
    report = hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(next(out.rglob("report.dcm"))))
    assert report.content.get_volumetric_roi_measurement_groups()[0].tracking_identifier == name
    for kind in ("nnunet", "decathlon", "unibiomed"):
        (case,) = read_export(_export(folder, tmp_path / kind, kind), "train", published()).cases
        assert list(case.open().areas(case.phrases)) == ["läsion 肝 in abdomen CT"], kind


def _number(group) -> int:
    """The segment of the SEG that a measurement group refers to."""
    (segment,) = (item for item in group[0].ContentSequence
                  if item.ValueType == "IMAGE" and item.ConceptNameCodeSequence[0].CodeValue == "121191")  # fmt: skip
    number = segment.ReferencedSOPSequence[0].ReferencedSegmentNumber
    return int(np.atleast_1d(number)[0])
