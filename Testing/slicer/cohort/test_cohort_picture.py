# SPDX-License-Identifier: Apache-2.0
"""The picture of the cohort page for the documentation, of phantoms that Mini has read.

UNIBIOMED_SCREENSHOTS=docs/images pytest Testing/slicer/cohort/test_cohort_picture.py   makes it anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import qt
from PIL import Image
from unibiomed.cohort.annotate import Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.run import annotate_here, work
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume

PANEL = (480, 900)
SHAPE = (16, 160, 160)


@pytest.fixture
def study(tmp_path) -> Path:
    """Four CT phantoms of the abdomen, read without being asked for anything; returns the catalogue's folder."""
    root = tmp_path / "study"
    root.mkdir()
    for number, seed in enumerate((5_560_001, 5_560_000, 5_560_003, 5_560_005)):
        made = generate_volume("CT", seed, SHAPE, site="abdomen", abnormal=number != 1)
        voxels = np.asarray(made.volume.array).astype(np.int16).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(voxels, made.volume.ijk_to_ras), root / f"sub-{number + 1:02d}_ct.nii.gz")
    folder = root / "derivatives" / "unibiomed"
    plan = Plan(modality="CT", site="abdomen")
    with Catalogue.create(folder, root, plan, find_cases(root)) as opened:
        work(opened, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_and_the_views_are_pictured(host, study, tmp_path):
    import photograph
    import render
    from UniBiomedSlicerLib.CohortPanel import CohortPanel
    from UniBiomedSlicerLib.SegmentVoxels import boxOf, largestSlice

    panel = CohortPanel(lambda: sys.executable)
    host.type(panel.ui.reviewerEdit, "A. Reader")
    panel.openFolder(str(study))
    host.spin(until=lambda: panel.review.cases, timeout=60)
    panel.review.open("sub-01_ct")
    host.spin(until=lambda: panel.review.current, timeout=60)
    panel.ui.reportText.moveCursor(qt.QTextCursor.End)
    host.type(panel.ui.reportText, "\nCompared with May: unchanged.")
    host.spin(until=lambda: panel.review.draft is not None, timeout=60)
    review = panel.review
    segmentation = review.segmentationNode.GetSegmentation()
    ids = [one for span in panel.text.view.spans() for one in span["segments"]]
    found = next((one for one in ids if "tumor" in segmentation.GetSegment(one).GetName()), ids[-1])
    panel.ui.segmentCombo.setCurrentIndex(panel.ui.segmentCombo.findData(found))
    panel.text.view.mark([found])
    panel.ui.folderEdit.currentPath = "scans/derivatives/unibiomed"
    panel.training.widget.parent().setVisible(False)
    picture = host.screenshot(panel.widget, tmp_path / "panel.png", size=PANEL)
    focus = largestSlice(boxOf(review.segmentationNode, found, review.volumeNode), 0)[1]
    painter = photograph if photograph.isPossible() else render
    views = painter.threeViews(review.volumeNode, review.segmentationNode, focus, (PANEL[1] * 10 // 9, PANEL[1]))
    path = Path(os.environ.get("UNIBIOMED_SCREENSHOTS", tmp_path)) / "cohort.png"
    render.window(picture, views).save(path, optimize=True)
    with Image.open(path) as made:
        assert made.width > 1400
    panel.cleanup()
