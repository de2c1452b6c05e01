# SPDX-License-Identifier: Apache-2.0
"""The cohort page: a real catalogue, reviewed with clicks, and the decisions read back by the engine's code."""

from __future__ import annotations

import sys

import ctk
import nibabel
import numpy as np
import pytest
import slicer
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


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Four CT phantoms annotated by Mini."""
    root = tmp_path_factory.mktemp("cohort")
    for number in range(4):
        phantom = generate_volume("CT", 5_540_000 + number, SHAPE, site="abdomen")
        voxels = np.asarray(phantom.volume.array).astype(np.int16).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(voxels, phantom.volume.ijk_to_ras), root / f"case{number}.nii.gz")
    folder = root / "derivatives" / "unibiomed"
    plan = Plan(targets=("liver",), modality="CT", site="abdomen")
    with Catalogue.create(folder, root, plan, find_cases(root)) as opened:
        work(opened, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
    return folder


@pytest.fixture
def panel(host, catalogue):
    """The page with the catalogue open; every decision is taken back at the end."""
    host.useLibrary()
    from UniBiomedSlicerLib.CohortPanel import CohortPanel

    panel = CohortPanel(lambda: sys.executable)
    panel.openFolder(str(catalogue))
    host.spin(until=lambda: panel.review.cases, timeout=60)
    yield panel
    panel.cleanup()
    with Catalogue(catalogue) as opened:
        while opened.undo():
            pass


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
    panel.openFolder(str(tmp_path))
    host.spin(until=lambda: panel.ui.messageLabel.text, timeout=60)
    assert "holds no catalogue" in panel.ui.messageLabel.text


def test_changes_that_were_not_accepted_are_dropped_only_after_a_question(host, panel):
    case = _next(host, panel)
    node, volumeNode = panel.review.segmentationNode, panel.review.volumeNode
    if node.GetSegmentation().GetNumberOfSegments() == 0:
        node.GetSegmentation().AddEmptySegment("", "liver")
    segment = node.GetSegmentation().GetNthSegmentID(0)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(SHAPE, dtype=np.uint8), node, segment, volumeNode)
    host.answer("Cancel")
    host.click(panel.ui.nextButton)
    host.spin(seconds=1.0)
    assert panel.review.current == case
    assert panel.review.isCorrected()
    assert case in host.messages[-1].text
    panel.review.open("case0" if case != "case0" else "case1")
    assert "not accepted" in panel.ui.messageLabel.text
    host.answer("Drop them")
    assert _next(host, panel) != case


def test_a_training_is_named_after_the_cohort_wherever_its_catalogue_lies(host):
    host.useLibrary()
    from UniBiomedSlicerLib.CohortTraining import CohortTraining
    from UniBiomedSlicerLib.Settings import settings

    def name(folder):
        return CohortTraining(folder, sys.executable, settings())._name(1)

    assert name("/data/my scans/derivatives/unibiomed") == "mini-my-scans-1"
    assert name("/catalogue") == "mini-catalogue-1"
