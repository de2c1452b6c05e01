# SPDX-License-Identifier: Apache-2.0
"""Reports as DICOM SR, page, text and JSON: read back with other programs; bad documents are refused with the place."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unibiomed.errors import InputError
from unibiomed.tasks import answer, interpret, recognise, report, to_json
from unibiomed.tasks.outputs.exports import KINDS, NOTICE, export
from unibiomed.tasks.outputs.structured_report import sentence_around

CT = "1.2.840.10008.5.1.4.1.1.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def result(model, volume):
    return to_json(interpret(model, volume))


@pytest.fixture
def dicom():
    return {
        "patient": {"id": "P1", "name": "Doe^Jane", "sex": "F", "birth_date": "19700131"},
        "study_uid": "1.2.3",
        "study_date": "20240102",
        "series_uid": "1.2.3.4",
        "instances": [{"sop_class_uid": CT, "sop_instance_uid": f"1.2.3.4.{k + 1}"} for k in range(12)],
    }


def read_back(data: bytes) -> hd.sr.Comprehensive3DSR:
    return hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(io.BytesIO(data)))


def groups_of(read) -> dict[str, object]:
    return {group.tracking_identifier: group for group in read.content.get_image_measurement_groups()}


def texts(read) -> str:
    """Every text in the tree, one a line."""
    found = hd.sr.utils.find_content_items(read, value_type=hd.sr.ValueTypeValues.TEXT, recursive=True)
    return "\n".join(str(item.TextValue) for item in found)


def comments(group) -> list[str]:
    return [
        str(item.TextValue)
        for item in group[0].ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == "121106"
    ]


def test_the_structured_report_says_what_was_found_in_codes_and_figures(result):
    data, media = export("dicom-sr", {"result": result})
    assert media == "application/dicom"
    read = read_back(data)
    groups = groups_of(read)
    assert sorted(groups) == ["liver", "liver tumor 1", "liver tumor 2", "spleen"]
    liver, tumor = groups["liver"], groups["liver tumor 1"]
    assert liver.finding_type.value == "10200004"
    assert liver.finding_category.meaning == "Anatomical Structure"
    assert tumor.finding_type.value == "108369006"
    assert [site.value.value for site in tumor.finding_sites] == ["10200004"]
    figures = {item.name.meaning: (item.value, item.unit.value) for item in tumor.get_measurements()}
    assert figures["Volume"] == (0.9, "ml")
    assert figures["Certainty of Finding"] == (pytest.approx(86.63, abs=0.01), "%")
    assert comments(tumor)[0].startswith("Liver tumor: a small hypodense tumor is seen in the liver (0.90 ml")
    assert any("not calibrated" in said for said in comments(tumor))


def test_the_structured_report_is_unverified_and_names_the_algorithm(result):
    read = read_back(export("dicom-sr", {"result": result, "edited": True})[0])
    assert (read.VerificationFlag, read.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    text = texts(read)
    assert "AI generated, not verified by a person, not for clinical use." in text
    assert "A person edited the text after it was generated." in text
    names = [
        str(item.TextValue)
        for item in groups_of(read)["liver"][0].ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Name"
    ]
    assert names == ["UniBiomed"]


def test_without_patient_attributes_the_patient_is_anonymous(result):
    read = read_back(export("dicom-sr", {"result": result})[0])
    assert (read.PatientID, str(read.PatientName), read.PatientIdentityRemoved) == ("ANONYMOUS", "Anonymous^", "YES")
    assert "CurrentRequestedProcedureEvidenceSequence" not in read


def test_the_patient_the_study_and_the_instances_given_are_referenced(result, dicom):
    read = read_back(export("dicom-sr", {"result": result, "dicom": dicom})[0])
    assert (read.PatientID, str(read.PatientName), read.StudyInstanceUID) == ("P1", "Doe^Jane", "1.2.3")
    assert "PatientIdentityRemoved" not in read
    series = read.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == "1.2.3.4"
    assert len(series.ReferencedSOPSequence) == 12
    tumor = groups_of(read)["liver tumor 1"]
    assert [image.referenced_sop_instance_uid for image in tumor.source_images] == [
        f"1.2.3.4.{k + 1}" for k in (3, 4, 5)
    ]


def test_segments_of_a_given_dicom_segmentation_are_referenced_by_number(result, dicom):
    dicom["segmentation"] = {
        "sop_class_uid": SEG,
        "sop_instance_uid": "1.2.3.5.1",
        "series_uid": "1.2.3.5",
        "segments": {"s1": 7, "s3": 9},
    }
    read = read_back(export("dicom-sr", {"result": result, "dicom": dicom})[0])
    groups = read.content.get_volumetric_roi_measurement_groups()
    assert sorted(group.referenced_segment.referenced_segment_numbers[0] for group in groups) == [7, 9]
    assert len(read.content.get_image_measurement_groups()) == 2


def test_a_report_that_found_nothing_is_a_structured_report_of_its_text_alone(model, healthy):
    nothing = to_json(recognise(model, healthy))
    assert nothing["nothing_found"]
    read = read_back(export("dicom-sr", {"result": nothing})[0])
    assert read.content.get_image_measurement_groups() == []
    assert nothing["text"].split(".")[0] in texts(read)


def test_what_the_user_edited_is_what_is_exported(result):
    text = "No tumor of the liver.\n\nA cyst, 2.5 ml, is seen. It is benign."
    start = text.index("cyst")
    edited = {
        "result": result,
        "text": text,
        "spans": [{"start": start, "end": start + 4, "segments": ["s3"]}],
        "edited": True,
        "title": "Second reading",
    }
    read = read_back(export("dicom-sr", edited)[0])
    assert comments(groups_of(read)["liver tumor 1"])[0] == "A cyst, 2.5 ml, is seen."
    for kind in ("text", "json", "html"):
        said = export(kind, edited)[0].decode()
        assert "It is benign." in said
        assert "hypodense tumor is seen in the liver (" not in said


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("with_images", [False, True])
def test_dciodvfy_finds_no_error(result, dicom, with_images, tmp_path):
    path = tmp_path / "report.dcm"
    path.write_bytes(export("dicom-sr", {"result": result, **({"dicom": dicom} if with_images else {})})[0])
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Comprehensive3DSR" in said.stderr + said.stdout
    assert "Error" not in said.stderr + said.stdout


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk is not installed")
def test_dsrdump_reads_the_tree(result, tmp_path):
    path = tmp_path / "report.dcm"
    path.write_bytes(export("dicom-sr", {"result": result, "title": "Größe"})[0])
    said = subprocess.run(["dsrdump", "+Pl", str(path)], capture_output=True, text=True, check=True).stdout
    assert "Imaging Measurement Report" in said
    assert said.count('"Measurement Group"') == 4
    assert "Qualitative Evaluations" in said


def test_the_text_carries_the_notice_the_figures_and_the_model(result):
    said = export("text", {"result": result, "title": "Torso", "unreliable": True})[0].decode()
    assert said.startswith(f"Torso\n{NOTICE}\nUnreliable")
    assert "- Liver tumor 1: 0.90 ml, 10 × 10 × 9 mm, slices 3–5, confidence 0.87" in said
    assert "model fake" in said


def test_the_json_is_a_document_that_can_be_exported_again(result):
    once, media = export("json", {"result": result})
    assert media == "application/json"
    assert export("json", json.loads(once))[0] == once


def png(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_the_page_shows_the_pictures_that_the_document_brings(result):
    picture = np.full((64, 64), 90, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    image = {"slice": 4, "picture": png(picture), "masks": {"s3": png(mask)}}
    page = export("html", {"result": result, "images": [image]})[0].decode()
    assert page.count("data:image/png;base64,") >= 2
    assert 'data-segment="s3"' in page
    assert "slice 4" in page


def test_every_task_with_words_can_be_exported_in_every_kind(model, volume):
    for made in (report(model, volume, slice_index=4), answer(model, volume, anatomy="liver", slice_index=4)):
        for kind in KINDS:
            assert export(kind, {"result": to_json(made)})[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": 3}, "text"),
        ({"spans": [{"start": 0, "end": 10_000}]}, "outside the text"),
        ({"path": "/etc/passwd"}, "path"),
        ({"images": [{"slice": 0, "picture": "no"}], "text": "x"}, "task.s result"),
        ({"dicom": {"study_uid": "1.2.x"}}, "study_uid"),
        ({"dicom": {"patient": {"name": "a\\b"}}}, "patient.name"),
        ({"segments": [{"id": "a", "name": "b", "confidence": 7}]}, "confidence"),
        ({"result": {"type": "report"}}, "not a result"),
        ({"format": "other/1"}, "format"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(change, words):
    kind = "html" if "images" in change else "json"
    with pytest.raises(InputError, match=words):
        export(kind, {"text": "All well.", **change})


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(InputError, match="dicom-sr, html, json, text"):
        export("docx", {"text": "x"})


def test_a_picture_that_is_no_png_or_too_large_is_refused(result):
    for bad in ("!!!", base64.b64encode(b"GIF89a").decode(), png(np.zeros((4, 8), np.uint8))):
        with pytest.raises(InputError, match="slice 4"):
            export("html", {"result": result, "images": [{"slice": 4, "picture": bad}]})


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=80), st.text(min_size=1, max_size=40))
def test_any_words_survive_the_structured_report(text, name):
    document = {"text": text, "segments": [{"id": "a", "name": name, "volume_ml": 1e-7, "confidence": 1.0}]}
    read = read_back(export("dicom-sr", document)[0])
    assert len(read.content.get_image_measurement_groups()) == 1


def test_the_sentence_around_a_phrase_does_not_end_at_a_decimal_point():
    text = "CT image. It shows the liver (42.2 ml) and the spleen.\nLiver tumor: small."
    at = text.index("spleen")
    assert sentence_around(text, at, at + 6) == "It shows the liver (42.2 ml) and the spleen."
