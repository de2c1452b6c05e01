# SPDX-License-Identifier: Apache-2.0
"""Reports in saved scenes and as files, read back with other programs."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer
from UniBiomedReportLib import Exporters, Pictures, Png
from UniBiomedReportLib.Logic import UniBiomedReportLogic


@pytest.fixture
def report(host, module):
    """The node of a whole reading."""
    host.click(module.ui.interpretButton)
    module.logic.service.jobs[-1].finishWith()
    host.spin(until=lambda: module.widget._task is None)
    return module.report.node


@pytest.fixture
def realExports(engine):
    """The engine's own exporter behind the stand-in of the service, after JSON as over the wire."""
    pytest.importorskip("unibiomed")
    from unibiomed.errors import UniBiomedError
    from unibiomed.tasks.outputs.exports import export

    def exportDocument(kind, document, callback):
        try:
            data, media = export(kind, json.loads(json.dumps(document)))
        except UniBiomedError as error:
            qt.QTimer.singleShot(0, lambda said=str(error): callback(b"", "", said))
        else:
            qt.QTimer.singleShot(0, lambda: callback(data, media, ""))

    engine.exportDocument = exportDocument


def exportTo(host, module, kind, path):
    module.report.export(kind, str(path))
    host.spin(until=lambda: not module.ui.statusLabel.text.startswith("Writing"))
    return module.ui.statusLabel.text


# The scene


def test_a_saved_scene_brings_text_links_figures_and_segments_back(host, module, report, tmp_path):
    cursor = module.view.browser.textCursor()
    cursor.setPosition(0)
    module.view.browser.setTextCursor(cursor)
    module.view.browser.setFocus()
    host.type(module.view.browser, "Size: ")
    module.view.browser.insertPlainText("Größe ")
    module.report.flush()
    text, spans = module.view.text, [(s["start"], s["end"]) for s in module.view.spans()]
    names = [module.ui.segmentTable.item(row, 0).text() for row in range(module.ui.segmentTable.rowCount)]
    figures = [module.ui.segmentTable.item(row, 2).text() for row in range(module.ui.segmentTable.rowCount)]
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    host.newScene()
    host.spin()
    assert module.view.text == ""
    # Another node first, so that IDs are not the same as when it was saved.
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "Something else")
    slicer.util.loadScene(path)
    host.spin(until=lambda: module.report.node is not None)
    assert module.view.text == text
    assert [(s["start"], s["end"]) for s in module.view.spans()] == spans
    assert [module.ui.segmentTable.item(row, 0).text() for row in range(module.ui.segmentTable.rowCount)] == names
    assert [module.ui.segmentTable.item(row, 2).text() for row in range(module.ui.segmentTable.rowCount)] == figures
    assert "Edited." in module.ui.noticeLabel.text
    assert module.logic.store.volumeNode(module.report.node).GetName() == "CT phantom"


def test_a_conversation_goes_on_after_the_scene_was_loaded(host, module, engine, tmp_path):
    module.ui.questionEdit.setFocus()
    host.type(module.ui.questionEdit, "Is there an abnormality in the liver?\n")
    engine.jobs[-1].finishWith()
    host.spin(until=lambda: module.widget._task is None)
    history = module.logic.conversation(module.report.node).history
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    host.newScene()
    slicer.util.loadScene(path)
    host.spin(until=lambda: module.report.node is not None)
    host.choose(module.ui.volumeSelector, "CT phantom")
    module.ui.questionEdit.setFocus()
    host.type(module.ui.questionEdit, "Where?\n")
    assert engine.jobs[-1].parameters["history"] == history


# Files


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.text, self.pictures, self.links, self.addresses = [], 0, set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.pictures += tag == "img"
        self.links.update((values.get("data-segments") or "").split())
        self.addresses += [values[name] for name in ("src", "href") if values.get(name)]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_has_pictures_and_needs_no_network(host, module, report, tmp_path):
    path = tmp_path / "report.html"
    assert exportTo(host, module, "html", path) == "report.html was written."
    page = Page(path.read_text(encoding="utf-8"))
    said = "".join(page.text)
    assert "AI generated, not for clinical use." in said
    assert re.sub(r"\s", "", module.view.text) in re.sub(r"\s", "", said)
    assert page.pictures >= 2
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert len(page.links) == module.ui.segmentTable.rowCount
    assert list(tmp_path.iterdir()) == [path], "nothing else is left behind"


def test_words_of_a_report_cannot_become_markup(host, module, report, tmp_path):
    module.logic.rename(report, "<b>x</b>")
    module.logic.store.setText(report, "<script>alert(1)</script> & more", [])
    exportTo(host, module, "html", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;b&gt;x" in text


def test_the_pdf_has_pages_with_the_notice_on_each(host, module, report, tmp_path):
    module.logic.store.setText(report, "\n\n".join(["A long report. " * 20] * 60), [])
    path = tmp_path / "report.pdf"
    assert exportTo(host, module, "pdf", path) == "report.pdf was written."
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page[^s]", data))
    assert pages >= 3
    pypdf = pytest.importorskip("pypdf")
    said = [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(data)).pages]
    assert len(said) == pages
    assert all("not for clinical use. Page" in page for page in said)
    assert " ".join(said).count("A long report.") > 500
    assert b"/Image" in data


def test_plain_text_and_json_hold_everything(host, module, report, tmp_path):
    exportTo(host, module, "text", tmp_path / "report.txt")
    said = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert module.view.text in said
    assert "- liver: " in said
    exportTo(host, module, "json", tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert document["text"] == module.view.text
    assert {item["name"] for item in document["segments"]} >= {"liver", "aorta", "spleen"}
    assert document["provenance"]["model"]


def test_the_structured_report_is_the_text_as_it_stands(host, module, report, realExports, tmp_path):
    hd, pydicom = pytest.importorskip("highdicom"), pytest.importorskip("pydicom")
    cursor = module.view.browser.textCursor()
    cursor.setPosition(module.view.text.index("aorta") + 5)
    module.view.browser.setTextCursor(cursor)
    module.view.browser.setFocus()
    host.type(module.view.browser, " (calcified)")
    path = tmp_path / "report.dcm"
    assert exportTo(host, module, "dicom-sr", path) == "report.dcm was written."
    read = hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(io.BytesIO(path.read_bytes())))
    groups = {group.tracking_identifier: group for group in read.content.get_image_measurement_groups()}
    assert set(groups) >= {"liver", "aorta", "liver tumor 1"}
    figures = {item.name.meaning: item.value for item in groups["aorta"].get_measurements()}
    known = module.logic.figures(report)
    aorta = next(item for item in known.values() if item["target"] == "aorta")
    assert figures["Volume"] == pytest.approx(aorta["volume_ml"], abs=1e-3)
    assert figures["Certainty of Finding"] == pytest.approx(100 * aorta["confidence"], abs=0.01)
    texts = [str(i.TextValue) for i in hd.sr.utils.find_content_items(
        read, value_type=hd.sr.ValueTypeValues.TEXT, recursive=True)]  # fmt: skip
    assert any("aorta (calcified)" in said for said in texts)
    assert "A person edited the text after it was generated." in texts
    assert read.VerificationFlag == "UNVERIFIED"


def test_every_kind_is_offered_and_written_through_the_menu(host, module, report, realExports, tmp_path):
    offered = [action.text for action in module.report.exports.actions]
    assert len(offered) == 5
    for number, action in enumerate(module.report.exports.actions):
        host.answer(str(tmp_path / f"r{number}"))
        action.trigger()
        host.spin(until=lambda: not module.ui.statusLabel.text.startswith("Writing"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["r0.html", "r1.pdf", "r2.txt", "r3.json", "r4.dcm"]


def test_a_file_that_cannot_be_written_is_told_and_changes_nothing(host, module, report, tmp_path):
    said = exportTo(host, module, "html", tmp_path / "missing" / "report.html")
    assert "cannot be written: No such file or directory." in said
    standing = tmp_path / "report.html"
    standing.write_text("before")
    document = {"title": "t", "text": "x", "spans": [], "segments": [], "notes": [], "provenance": {}, "edited": False}
    steps = Exporters.exportSteps("pdf", str(standing), document, None, None)
    next(steps)
    steps.close()
    assert standing.read_text() == "before"
    assert list(tmp_path.iterdir()) == [standing]


def test_the_engine_s_refusal_is_told(host, module, report, engine, tmp_path):
    engine.exportDocument = lambda kind, document, callback: callback(b"", "", "The engine is not installed.")
    assert exportTo(host, module, "dicom-sr", tmp_path / "report.dcm") == "The engine is not installed."
    assert list(tmp_path.iterdir()) == []


def test_writing_a_page_does_not_block(host, module, report, tmp_path):
    with host.stallMeter() as meter:
        exportTo(host, module, "html", tmp_path / "report.html")
    print(f"longest stall while writing a page: {1000 * meter.longest:.0f} ms")
    assert meter.longest < 0.5


# Pictures


def test_a_png_reads_back_as_it_was():
    image = qt.QImage()
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert image.loadFromData(qt.QByteArray(Png.encodePng(picture)))
    color = qt.QColor(image.pixel(6, 4))
    assert (color.red(), color.green(), color.blue()) == tuple(picture[4, 6])
    with pytest.raises(ValueError, match="uint8"):
        Png.encodePng(picture.astype(float))


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([-2.0, -2.0, 5.0, 1.0]),
        np.diag([2.0, 2.0, 5.0, 1.0]),
        np.array([[0, 0, 5.0, 0], [-2.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1.0]]),
        np.array([[0, -1.0, 0, 3], [2.0, 0, 0, 4], [0, 0, -3.0, 5], [0, 0, 0, 1.0]]),
    ],
    ids=["LPS", "RAS", "sagittal slices", "turned"],
)
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_pictures_are_turned_as_radiologists_see_them(host, engine, affine, axis):
    """Bright where the patient's right, front and head are."""
    shape = (12, 14, 16)
    index = np.stack(np.indices(shape)[::-1], axis=-1).reshape(-1, 3)
    ras = index @ affine[:3, :3].T + affine[:3, 3]
    middle = (ras.min(axis=0) + ras.max(axis=0)) / 2
    towards = {"axial": (-1, 1, 0), "coronal": (-1, 0, 1), "sagittal": (0, 1, 1)}[axis]
    # Bright: left of the picture = the patient's right (or front), top = front (or head).
    wanted = {"axial": (1, 1, 0), "coronal": (1, 0, 1), "sagittal": (0, 1, 1)}[axis]
    del towards
    bright = np.all([(ras[:, n] - middle[n]) * wanted[n] >= 0 for n in range(3)], axis=0)
    array = np.where(bright, 200, 20).reshape(shape).astype(np.int16)
    node = host.addVolume(array, affine)
    window = {"name": "w", "kind": "width/level", "width": 256, "level": 128}
    steps = Pictures.pictureSteps(node, None, [], {}, {"axis": axis, "window": window}, [5])
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        (picture,) = ended.value
    image = picture.image[..., 0]
    height, width = image.shape
    assert image[height // 8, width // 8] > 150
    assert image[-height // 8, width // 8] < 60
    assert image[height // 8, -width // 8] < 60
    assert max(height, width) == Pictures.SIDE


def test_a_colour_picture_of_one_slice_is_shown_as_it_is(host, engine):
    array = np.zeros((1, 20, 30, 3), np.uint8)
    array[0, :10, :15] = (250, 10, 10)
    node = host.addVolume(array, np.diag([-1.0, -1.0, 1.0, 1.0]), className="vtkMRMLVectorVolumeNode")
    steps = Pictures.pictureSteps(node, None, [], {}, {"axis": "axial", "window": {"name": "none", "kind": "none"}})
    pictures = None
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        pictures = ended.value
    image = pictures[0].image
    assert image.shape == (320, 480, 3)
    assert tuple(image[10, 10]) == (250, 10, 10)
    assert image[-10, -10].max() == 0


def test_the_structured_report_of_a_dicom_series_refers_to_it(host, module, report, realExports, volume, tmp_path):
    hd, pydicom = pytest.importorskip("highdicom"), pytest.importorskip("pydicom")
    uids = [f"1.2.3.4.{k}" for k in range(14)]
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    values = {
        "0008,0016": "1.2.840.10008.5.1.4.1.1.2", "0010,0010": "Doe^Jane", "0010,0020": "P1", "0010,0030": "not a date",
        "0010,0040": "F", "0008,0020": "20240102", "0020,000D": "1.2.3", "0020,000E": "1.2.3.4", "0020,0052": "1.2.9",
    }  # fmt: skip
    database = SimpleNamespace(isOpen=True, instanceValue=lambda uid, tag: values.get(tag, ""))
    slicer.dicomDatabase = database
    try:
        assert exportTo(host, module, "dicom-sr", tmp_path / "report.dcm") == "report.dcm was written."
    finally:
        del slicer.dicomDatabase
    read = hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(tmp_path / "report.dcm"))
    assert (str(read.PatientName), read.PatientID, read.PatientBirthDate) == ("Doe^Jane", "P1", "")
    assert read.StudyInstanceUID == "1.2.3"
    sources = read.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert [item.ReferencedSOPInstanceUID for item in sources] == uids
    aorta = next(g for g in read.content.get_image_measurement_groups() if g.tracking_identifier == "aorta")
    known = next(item for item in module.logic.figures(report).values() if item["target"] == "aorta")
    assert [image.referenced_sop_instance_uid for image in aorta.source_images] == [uids[k] for k in known["slices"]]


# Without the window


def test_the_example_in_the_logic_s_description_works(host, engine, volume, tmp_path, monkeypatch, capsys):
    engine.autoplay = True
    source = UniBiomedReportLogic.__module__
    import importlib

    example = re.search(
        r"    import slicer\n(?:    .*\n|\n)+?(?=\nNothing waits)", importlib.import_module(source).__doc__
    )
    path = tmp_path / "report.html"
    code = example[0].replace('"CTACardio"', '"CT phantom"').replace('"/tmp/report.html"', repr(str(path)))
    namespace: dict = {}
    exec(compile("\n".join(line[4:] for line in code.splitlines()), "example", "exec"), namespace)
    host.spin(until=lambda: path.exists() and path.stat().st_size > 1000, timeout=20)
    assert "It shows the" in capsys.readouterr().out
    assert namespace["task"].state == "stored"


def test_the_logic_refuses_an_unknown_kind_of_file_in_words(host, engine, volume, tmp_path):
    logic = UniBiomedReportLogic()
    node = logic.store.add({"type": "report", "text": "x", "spans": []}, volume)
    said = []
    logic.export(node, str(tmp_path / "report.docx"), done=said.append)
    assert "end its name in .html, .pdf, .txt, .json, .dcm" in said[0]
    logic.export(node, str(tmp_path / "report.TXT"), done=said.append)
    host.spin(until=lambda: len(said) == 2)
    assert said[1] == ""
    assert Path(tmp_path / "report.TXT").read_text(encoding="utf-8").endswith("UniBiomed for 3D Slicer.\n")


def test_a_hundred_reports_come_and_go_without_piling_up(host, module, engine):
    engine.autoplay = True
    engine.interval = 0
    for _round in range(5):
        host.click(module.ui.reportButton)
        host.spin(until=lambda: module.widget._task is None)
    assert len(module.logic.store.reports()) == 5
    for node in module.logic.store.reports():
        module.logic.store.remove(node)
    host.spin()
    assert module.ui.reportSelector.count == 0
    assert module.logic.store._cache == {}
