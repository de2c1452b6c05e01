# SPDX-License-Identifier: Apache-2.0
"""The cohort page: a real catalogue, reviewed with clicks, and the decisions read back by the engine's code."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import ctk
import nibabel
import numpy as np
import pytest
import qt
import slicer
import vtk
from unibiomed.cohort.annotate import Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.review import Review
from unibiomed.cohort.run import annotate_here, work
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume
from unibiomed.volumes import read_volume
from unibiomed.volumes.reading_nrrd import read_segmentation

SHAPE = (4, 96, 96)


def _annotated(root, count, seed, plan, shape=SHAPE, **phantom):
    """CT phantoms annotated by Mini; returns the catalogue's folder."""
    for number in range(count):
        made = generate_volume("CT", seed + number, shape, site="abdomen", **phantom)
        voxels = np.asarray(made.volume.array).astype(np.int16).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(voxels, made.volume.ijk_to_ras), root / f"case{number}.nii.gz")
    folder = root / "derivatives" / "unibiomed"
    with Catalogue.create(folder, root, plan, find_cases(root)) as opened:
        work(opened, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
    return folder


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Four CT phantoms in which the liver was looked for."""
    plan = Plan(targets=("liver",), modality="CT", site="abdomen")
    return _annotated(tmp_path_factory.mktemp("cohort"), 4, 5_540_000, plan)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Two CT phantoms with tumours, read without being asked for anything."""
    plan = Plan(modality="CT", site="abdomen")
    return _annotated(tmp_path_factory.mktemp("reported"), 2, 5_560_001, plan, (8, 128, 128), abnormal=True)


def _opened(host, folder):
    host.useLibrary()
    from UniBiomedSlicerLib.CohortPanel import CohortPanel

    panel = CohortPanel(lambda: sys.executable)
    panel.openFolder(str(folder))
    told = []
    panel.review.failed.connect(told.append)
    host.spin(until=lambda: panel.review.cases or told, timeout=60)
    assert not told
    return panel


def _takeBack(folder):
    """Every decision and draft."""
    with Catalogue(folder) as opened:
        while opened.undo():
            pass
    shutil.rmtree(folder / "drafts", ignore_errors=True)


@pytest.fixture
def panel(host, catalogue):
    """The page with the catalogue open; every decision is taken back at the end."""
    panel = _opened(host, catalogue)
    yield panel
    panel.cleanup()
    host.waitForChildren()  # which may be writing a draft
    _takeBack(catalogue)


@pytest.fixture
def reportPanel(host, reported):
    """The page with cases that have a report."""
    panel = _opened(host, reported)
    yield panel
    panel.cleanup()
    host.waitForChildren()
    _takeBack(reported)


def _next(host, panel):
    before = panel.review.current
    host.click(panel.ui.nextButton)
    host.spin(until=lambda: panel.review.current != before, timeout=60)
    return panel.review.current


def test_the_button_beside_the_path_asks_for_a_folder(panel):
    assert panel.ui.folderEdit.filters == ctk.ctkPathLineEdit.Dirs


def test_the_queue_shows_each_case_with_its_picture_and_confidence(host, panel):
    assert panel.ui.caseList.count == 4
    item = panel.ui.caseList.item(0)
    assert "confidence" in item.text()
    assert not item.icon().isNull()


def test_a_decision_without_a_name_is_refused_in_words(host, panel, catalogue):
    _next(host, panel)
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: panel.ui.messageLabel.text, timeout=20)
    assert "name" in panel.ui.messageLabel.text
    with Catalogue(catalogue) as opened:
        assert all(record.decision is None for record in opened.records())


def test_accept_reject_and_undo_are_on_disk_when_the_queue_moves(host, panel, catalogue):
    host.type(panel.ui.reviewerEdit, "A. Reader")
    first = _next(host, panel)
    assert panel.review.segmentationNode is not None
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    second = _next(host, panel)
    host.click(panel.ui.rejectButton)
    host.spin(until=lambda: len(panel.review.cases) == 2, timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(first).decision.verdict == "accepted"
        assert opened.record(second).decision.verdict == "rejected"
        assert opened.record(second).decision.reviewer == "A. Reader"
    host.click(panel.ui.undoButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(second).decision is None


def test_undo_leaves_the_decisions_of_others_alone(host, panel, catalogue):
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    other = panel.review.cases[0]["id"]
    with Catalogue(catalogue) as opened:
        Review(opened).accept(other, "B. Reader")
    host.click(panel.ui.undoButton)
    host.spin(until=lambda: case in [waiting["id"] for waiting in panel.review.cases], timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision is None
        assert opened.record(other).decision.reviewer == "B. Reader"
    host.click(panel.ui.undoButton)
    host.spin(until=lambda: panel.ui.messageLabel.text, timeout=60)
    assert panel.ui.messageLabel.text == "You have no decision to take back."


def test_changed_segments_are_kept_as_a_correction_voxel_by_voxel(host, panel, catalogue):
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    node, volumeNode = panel.review.segmentationNode, panel.review.volumeNode
    if node.GetSegmentation().GetNumberOfSegments() == 0:
        node.GetSegmentation().AddEmptySegment("", "liver")
    segment = node.GetSegmentation().GetNthSegmentID(0)
    wanted = np.zeros(SHAPE, dtype=np.uint8)
    wanted[1:3, 20:50, 30:60] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(wanted, node, segment, volumeNode)
    assert panel.review.isCorrected()
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision.verdict == "corrected"
        files = Review(opened).files(case)
    volume = read_volume(files.image, modality="CT")
    back = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
    found = back.segments[0].mask.to_full(volume.shape)
    assert np.array_equal(found, wanted.astype(bool))


def test_a_folder_without_a_catalogue_is_told_in_one_sentence(host, panel, tmp_path):
    _next(host, panel)
    panel.openFolder(str(tmp_path))
    host.spin(until=lambda: panel.ui.messageLabel.text, timeout=60)
    assert "holds no catalogue" in panel.ui.messageLabel.text
    assert panel.ui.caseList.count == 0, "nothing of the cohort before is shown as if it were of this one"
    assert not panel.ui.acceptButton.isEnabled()
    assert panel.ui.reportText.toPlainText() == ""
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_note_stays_with_its_case_until_that_is_decided(host, panel, catalogue):
    case = _next(host, panel)
    host.type(panel.ui.noteEdit, "A blurred one.")
    host.click(panel.ui.acceptButton)
    assert "name" in panel.ui.messageLabel.text
    assert panel.ui.noteEdit.text == "A blurred one."
    _next(host, panel)
    assert panel.ui.noteEdit.text == ""
    panel.review.open(case)
    host.spin(until=lambda: panel.review.current == case, timeout=60)
    assert panel.ui.noteEdit.text == "A blurred one."
    host.type(panel.ui.reviewerEdit, "A. Reader")
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    assert panel.ui.noteEdit.text == ""
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision.note == "A blurred one."


def test_the_list_keeps_what_is_chosen_while_drafts_are_saved_and_return_opens_it(host, panel):
    from PySide6 import QtCore, QtTest

    _next(host, panel)
    panel.ui.caseList.setCurrentRow(2)
    chosen = panel.ui.caseList.currentItem().data(qt.Qt.UserRole)
    _draw(panel, _box())
    host.spin(until=lambda: panel.review.draft is not None, timeout=30)
    assert panel.ui.caseList.currentRow == 2
    panel.review.cases = [case for case in panel.review.cases[::-1] if case["id"] != panel.review.current]
    panel.review.changed.emit()
    assert panel.ui.caseList.count == 3
    assert panel.ui.caseList.currentItem().data(qt.Qt.UserRole) == chosen
    QtTest.QTest.keyClick(panel.ui.caseList, QtCore.Qt.Key_Return)
    host.spin(until=lambda: panel.review.current == chosen, timeout=60)


def _draw(panel, mask):
    """Give the first segment of the case some voxels; makes one where there is none."""
    node = panel.review.segmentationNode
    if node.GetSegmentation().GetNumberOfSegments() == 0:
        node.GetSegmentation().AddEmptySegment("", "liver")
    segment = node.GetSegmentation().GetNthSegmentID(0)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, panel.review.volumeNode)
    return segment


def _drawn(panel):
    segment = panel.review.segmentationNode.GetSegmentation().GetNthSegmentID(0)
    return slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentationNode, segment, panel.review.volumeNode)


def _box():
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1:3, 20:50, 30:60] = 1
    return mask


def _keys(panel, letter):
    """Alt and a letter, as the user presses them."""
    from PySide6 import QtCore, QtTest

    QtTest.QTest.keyClick(panel.widget.window(), getattr(QtCore.Qt, f"Key_{letter}"), QtCore.Qt.AltModifier)


def _write(host, panel, text):
    """Put a text in place of the report with the keyboard alone."""
    from PySide6 import QtCore, QtTest

    QtTest.QTest.keyClick(panel.ui.reportText, QtCore.Qt.Key_A, QtCore.Qt.ControlModifier)
    host.type(panel.ui.reportText, text)


def _drafts(folder, case):
    with Catalogue(folder) as opened:
        return Review(opened).drafts.open_ones(case)


def test_next_keeps_what_was_not_decided_as_a_draft_that_comes_back_with_the_case(host, panel, catalogue):
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    _draw(panel, _box())
    _write(host, panel, "A liver like a brick.")
    other = _next(host, panel)
    assert other != case
    assert not host.messages, "nobody is asked anything"
    assert not panel.review.isCorrected()
    assert _next(host, panel) not in (case, other), "the case that was left comes when the others are done"
    panel.review.open(case)
    host.spin(until=lambda: panel.review.current == case, timeout=60)
    assert np.array_equal(_drawn(panel) != 0, _box() != 0)
    assert panel.ui.reportText.toPlainText() == "A liver like a brick."
    assert "saved as a draft" in panel.ui.currentLabel.text
    assert panel.review.isCorrected()
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision is None
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision.verdict == "corrected"
        assert Review(opened).open(case).report.text == "A liver like a brick."
    assert not _drafts(catalogue, case)


def test_a_pause_is_enough_for_the_work_to_be_on_the_disk(host, panel, catalogue):
    case = _next(host, panel)
    _draw(panel, _box())
    host.spin(until=lambda: panel.review.draft is not None, timeout=30)
    assert [draft.reviewer for draft in _drafts(catalogue, case)] == [""]
    assert panel.ui.currentLabel.text.startswith(f"Open: {case}. Your changes are saved as a draft")
    listed = [panel.ui.caseList.item(row).text() for row in range(panel.ui.caseList.count)]
    assert [text.startswith(case) for text in listed] == [text.endswith(", draft") for text in listed]
    panel.review.startOver()
    host.spin(until=lambda: panel.review.draft is None, timeout=30)
    assert not _drafts(catalogue, case)


def test_a_case_whose_draft_cannot_be_saved_stays_open_and_the_reason_is_told(host, panel, catalogue):
    case = _next(host, panel)
    shutil.rmtree(catalogue / "drafts", ignore_errors=True)
    (catalogue / "drafts").write_text("a file where a folder is needed")
    try:
        _draw(panel, _box())
        told = []
        panel.review.failed.connect(told.append)
        host.click(panel.ui.nextButton)
        host.spin(until=lambda: len(told) == 2, timeout=30)
        assert told[0].startswith("The draft was not saved: ")
        assert "stays open" in told[1]
        assert panel.review.current == case
        assert np.array_equal(_drawn(panel) != 0, _box() != 0)
    finally:
        (catalogue / "drafts").unlink()
    host.click(panel.ui.nextButton)
    host.spin(until=lambda: panel.review.current != case, timeout=60)
    assert len(_drafts(catalogue, case)) == 1
    with Catalogue(catalogue) as opened:
        Review(opened).drafts.discard(case, "")


def test_undo_takes_the_correction_back_keeps_the_work_and_start_over_shows_the_earlier_text(host, panel, catalogue):
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    earlier = panel.ui.reportText.toPlainText()
    _write(host, panel, "Too hasty.")
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    host.click(panel.ui.undoButton)
    host.spin(until=lambda: len(panel.review.cases) == 4 and panel.review.draft is not None, timeout=60)
    with Catalogue(catalogue) as opened:
        assert Review(opened).open(case).report.text == earlier
    assert panel.review.current == case
    assert panel.ui.reportText.toPlainText() == "Too hasty."
    host.answer("Cancel")
    host.click(panel.ui.startOverButton)
    host.spin(until=lambda: panel._question is None)
    assert case in host.messages[-1].text
    assert panel.ui.reportText.toPlainText() == "Too hasty."
    host.answer("Drop them")
    host.click(panel.ui.startOverButton)
    host.spin(until=lambda: panel.review.draft is None and panel.review.current == case, timeout=60)
    assert panel.ui.reportText.toPlainText() == earlier
    assert not panel.review.isCorrected()
    assert not _drafts(catalogue, case)


def test_a_review_goes_by_the_keyboard_alone(host, panel, catalogue):
    """Next, into the report, a sentence, its link, accept; undo."""
    panel.widget.show()
    panel.widget.activateWindow()
    host.type(panel.ui.reviewerEdit, "A. Reader")
    host.spin()
    _keys(panel, "N")
    host.spin(until=lambda: panel.review.current, timeout=60)
    case = panel.review.current
    segment = _draw(panel, _box())
    panel.text.refresh()
    _keys(panel, "P")
    assert panel.ui.reportText.hasFocus()
    host.type(panel.ui.reportText, "The liver is a box.")
    _keys(panel, "L")
    host.type(panel.ui.reportText, "\t")
    assert not panel.ui.reportText.hasFocus()
    assert panel.ui.reportText.toPlainText() == "The liver is a box."
    _keys(panel, "A")
    host.spin(until=lambda: len(panel.review.cases) == 3, timeout=60)
    told = {"text": "The liver is a box.", "span": (0, 19, (segment,))}
    with Catalogue(catalogue) as opened:
        report = Review(opened).open(case).report
    assert report.text == told["text"]
    assert [(span.start, span.end, span.segments) for span in report.spans] == [told["span"]]
    _keys(panel, "U")
    host.spin(until=lambda: len(panel.review.cases) == 4, timeout=60)
    with Catalogue(catalogue) as opened:
        assert opened.record(case).decision is None
    host.spin(until=lambda: panel.review.draft is not None, timeout=60)
    panel.review.startOver()
    host.spin(until=lambda: panel.review.draft is None, timeout=30)


def test_closing_the_scene_leaves_the_draft_on_disk_and_no_case_open(host, panel, catalogue):
    case = _next(host, panel)
    _draw(panel, _box())
    slicer.mrmlScene.Clear(0)
    assert panel.review.current == ""
    assert not panel.ui.acceptButton.isEnabled()
    assert panel.ui.reportText.toPlainText() == ""
    host.spin(until=lambda: _drafts(catalogue, case), timeout=30)
    panel.review.open(case)
    host.spin(until=lambda: panel.review.current == case, timeout=60)
    assert np.array_equal(_drawn(panel) != 0, _box() != 0)
    panel.review.startOver()
    host.spin(until=lambda: panel.review.draft is None, timeout=30)


def _words(panel):
    """The linked words of the report, with the names of what they speak of."""
    segmentation = panel.review.segmentationNode.GetSegmentation()
    return [
        (span["text"], [segmentation.GetSegment(one).GetName() for one in span["segments"]])
        for span in panel.text.view.spans()
    ]


def _click(host, panel, words):
    """A click on some words of the report."""
    cursor = qt.QTextCursor(panel.ui.reportText.document)
    cursor.setPosition(panel.text.view.text.index(words) + 1)
    host.click(panel.ui.reportText.viewport(), panel.ui.reportText.cursorRect(cursor).center())


def test_next_loads_the_models_report_with_every_phrase_tied_to_its_segment(host, reportPanel, reported):
    panel = reportPanel
    panel.widget.show()
    case = _next(host, panel)
    result = json.loads((reported / "automatic" / case / "result.json").read_text())
    assert panel.ui.reportText.toPlainText() == result["text"]
    names = [name for _, linked in _words(panel) for name in linked]
    assert "liver" in names
    assert any("tumor" in name for name in names)
    for words, linked in _words(panel):
        assert any(words.lower() in (name, name.rstrip(" 12")) for name in linked) or len(words.split()) > 2
    assert len(panel.ui.reportText.extraSelections()) == len(_words(panel)), "each is coloured"
    assert not panel.ui.noticeLabel.isHidden()
    assert panel.ui.noticeLabel.text == "AI generated, not for clinical use."
    assert panel.ui.authorLabel.text == "By the model."
    assert not panel.review.isCorrected()


def test_saving_the_scene_writes_nothing_into_the_catalogue(host, reportPanel, reported, tmp_path):
    panel = reportPanel
    case = _next(host, panel)
    before = {path: path.read_bytes() for path in reported.rglob("*.nrrd")}
    _draw(panel, np.ones((8, 128, 128), dtype=np.uint8))
    assert panel.review.segmentationNode.GetName() == case
    assert slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    for node in slicer.util.getNodesByClass("vtkMRMLStorageNode"):
        if node.IsA("vtkMRMLSegmentationStorageNode"):
            assert not str(node.GetFileName() or "").startswith(str(reported))
    assert {path: path.read_bytes() for path in before} == before


def test_a_click_on_a_phrase_goes_to_its_segment_in_the_slice_views(host, reportPanel):
    panel = reportPanel
    panel.widget.resize(500, 900)
    panel.widget.show()
    _next(host, panel)
    sliceNode = host.sliceNode("Red")
    segmentation = panel.review.segmentationNode.GetSegmentation()
    words, (name,) = next((words, names) for words, names in _words(panel) if "tumor" in names[0])
    segment = segmentation.GetSegmentIdBySegmentName(name)
    _click(host, panel, words)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentationNode, segment, panel.review.volumeNode)
    largest = int((array != 0).sum(axis=(1, 2)).argmax())
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    toRas = vtk.vtkMatrix4x4()
    panel.review.volumeNode.GetIJKToRASMatrix(toRas)
    k = np.linalg.solve(slicer.util.arrayFromVTKMatrix(toRas), matrix[:, 3])[2]
    assert round(k) == largest
    display = panel.review.segmentationNode.GetDisplayNode()
    other = segmentation.GetSegmentIdBySegmentName("liver")
    assert display.GetSegmentOpacity2DFill(other) < display.GetSegmentOpacity2DFill(segment)
    assert panel.ui.segmentCombo.currentText == name


def test_an_edit_of_the_text_alone_is_a_correction_that_keeps_links_and_segments(host, reportPanel, reported):
    panel = reportPanel
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    before = _words(panel)
    panel.ui.reportText.moveCursor(qt.QTextCursor.Start)
    host.type(panel.ui.reportText, "Seen in May. ")
    assert panel.review.isCorrected()
    assert _words(panel) == before
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 1, timeout=60)
    with Catalogue(reported) as opened:
        review = Review(opened)
        assert opened.record(case).decision.verdict == "corrected"
        report = review.open(case).report
        automatic = reported / "automatic" / case / "segmentation.seg.nrrd"
        assert review.files(case).segmentation.read_bytes() == automatic.read_bytes()
    assert report.text.startswith("Seen in May. CT image")
    assert panel.ui.authorLabel.text.startswith("Edited by a person")
    assert [span.text for span in report.spans] == [words for words, _ in before]
    _next(host, panel)
    panel.review.open(case)
    host.spin(until=lambda: panel.review.current == case, timeout=60)
    assert panel.ui.reportText.toPlainText() == report.text
    assert panel.ui.currentLabel.text == f"Open: {case}. Corrected by A. Reader."
    assert _words(panel) == before
    assert panel.ui.authorLabel.text.startswith("Edited by a person")
    assert not panel.review.isCorrected()


def test_an_edit_that_is_typed_back_is_no_correction(host, reportPanel, reported):
    panel = reportPanel
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    panel.ui.reportText.moveCursor(qt.QTextCursor.Start)
    host.type(panel.ui.reportText, "x")
    host.spin(until=lambda: panel.review.draft is not None, timeout=30)
    panel.ui.reportText.undo()
    assert not panel.review.isCorrected()
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 1, timeout=60)
    with Catalogue(reported) as opened:
        assert opened.record(case).decision.verdict == "accepted"


def test_a_removed_segment_takes_its_links_along_and_the_text_is_still_the_models(host, reportPanel, reported):
    panel = reportPanel
    host.type(panel.ui.reviewerEdit, "A. Reader")
    case = _next(host, panel)
    segmentation = panel.review.segmentationNode.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("liver"))
    host.click(panel.ui.acceptButton)
    host.spin(until=lambda: len(panel.review.cases) == 1, timeout=60)
    with Catalogue(reported) as opened:
        found = Review(opened).open(case)
    assert "liver" not in [head.name for head in found.heads]
    assert found.report.author == "model"
    known = {head.id for head in found.heads}
    assert all(set(span.segments) <= known for span in found.report.spans)


SLICER = """
import os, sys
from pathlib import Path
import numpy as np
os.environ["QT_QPA_PLATFORM"] = "offscreen"
sys.path[:0] = [sys.argv[1]]
from slicerhost import host as standIn
host = standIn.start()
host.useLibrary()
import slicer
from UniBiomedSlicerLib.CohortPanel import CohortPanel

panel = CohortPanel(lambda: sys.executable)
panel.ui.reviewerEdit.setText("A. Reader")
panel.openFolder(sys.argv[2])
host.spin(until=lambda: panel.review.cases, timeout=60)
host.click(panel.ui.nextButton)
host.spin(until=lambda: panel.review.current, timeout=60)
node, volume = panel.review.segmentationNode, panel.review.volumeNode
segmentation = node.GetSegmentation()
if segmentation.GetNumberOfSegments() == 0:
    segmentation.AddEmptySegment("", "liver")
mask = np.zeros((4, 96, 96), np.uint8)
mask[1:3, 20:50, 30:60] = 1
slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segmentation.GetNthSegmentID(0), volume)
host.type(panel.ui.reportText, "Before the crash.")
host.spin(until=lambda: panel.review.draft is not None and panel.review.draft["text"], timeout=60)
print(panel.review.current, flush=True)
host.spin(seconds=600)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_work_is_there_again_after_slicer_was_killed(host, panel, catalogue):
    folder = Path(__file__).resolve().parents[2] / "host"
    killed = subprocess.Popen(
        [sys.executable, "-c", SLICER, str(folder), str(catalogue)], stdout=subprocess.PIPE, text=True
    )
    case = killed.stdout.readline().strip()
    killed.send_signal(signal.SIGKILL)
    killed.wait(20)
    killed.stdout.close()
    assert case.startswith("case")
    host.type(panel.ui.reviewerEdit, "A. Reader")
    assert _next(host, panel) == case
    assert np.array_equal(_drawn(panel) != 0, _box() != 0)
    assert panel.ui.reportText.toPlainText() == "Before the crash."
    assert "saved as a draft" in panel.ui.currentLabel.text
    panel.review.startOver()
    host.spin(until=lambda: panel.review.draft is None, timeout=30)


def test_the_page_tells_of_the_draft_and_the_decision_of_another_reviewer(host, panel, catalogue):
    with Catalogue(catalogue) as opened:
        review = Review(opened)
        review.accept("case2", "B. Reader")
        review.draft("case2", "C. Reader", text={"text": "Not so sure."})
    panel.review.open("case2")
    host.spin(until=lambda: panel.review.current == "case2", timeout=60)
    told = panel.ui.currentLabel.text
    assert told.startswith("Open: case2. Accepted by B. Reader. C. Reader has a draft of it (")
    assert panel.ui.reportText.toPlainText() == ""


def test_of_two_dicom_series_in_one_folder_the_cases_own_is_loaded(host, tmp_path):
    from UniBiomedSlicerLib.CohortNodes import loadVolume

    path = Path(__file__).resolve().parents[2] / "engine" / "cohort" / "conftest.py"
    spec = importlib.util.spec_from_file_location("unibiomed_engine_cohort", path)
    engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    voxels = np.arange(6 * 10 * 12).reshape(6, 10, 12)
    for prefix, array in (("x", voxels), ("y", voxels[::-1])):
        engine.write_series(tmp_path / "study", array, prefix)
        loaded = loadVolume(tmp_path / "study", str(tmp_path / "study" / f"{prefix}0.dcm"))
        assert np.array_equal(slicer.util.arrayFromVolume(loaded), array)


def test_a_training_is_named_after_the_cohort_wherever_its_catalogue_lies(host):
    host.useLibrary()
    from UniBiomedSlicerLib.CohortTraining import CohortTraining
    from UniBiomedSlicerLib.Settings import settings

    def name(folder):
        return CohortTraining(folder, sys.executable, settings())._name(1)

    assert name("/data/my scans/derivatives/unibiomed") == "mini-my-scans-1"
    assert name("/catalogue") == "mini-catalogue-1"
