# SPDX-License-Identifier: Apache-2.0
"""Cases of all kinds in the cohort page: each is shown on the grid that its segments were made on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from unibiomed.cohort.annotate import Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.review import Review
from unibiomed.cohort.run import annotate_here, work
from unibiomed.model import load
from unibiomed.volumes import read_volume
from unibiomed.volumes.reading_nrrd import read_segmentation

pytestmark = pytest.mark.slow

ENGINE = Path(__file__).resolve().parents[2] / "engine" / "cohort" / "test_mixed_cohort.py"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """CT and MRI, a frame of a 4-D MRI, an ultrasound clip and a picture of skin, read without being asked."""
    spec = importlib.util.spec_from_file_location("unibiomed_engine_mixed_cohort", ENGINE)
    engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    root, plan = engine.mixed_cohort(tmp_path_factory.mktemp("mixed") / "hospital", pictures=1), engine.mixed_plan()
    folder = root / "derivatives" / "unibiomed"
    with Catalogue.create(folder, root, plan, find_cases(root)) as opened:
        work(opened, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
        assert opened.counts()["done"] == 5
    return folder


def test_every_case_is_shown_on_the_grid_of_its_segments(host, mixed):
    from UniBiomedSlicerLib.CohortPanel import CohortPanel

    panel = CohortPanel(lambda: sys.executable)
    panel.openFolder(str(mixed))
    told = []
    panel.review.failed.connect(told.append)
    host.spin(until=lambda: len(panel.review.cases) == 5 or told, timeout=60)
    with Catalogue(mixed) as opened:
        for record in opened.records():
            case, plan = record.case, opened.plan.of(record.case)
            panel.review.open(case.id)
            host.spin(until=lambda case=case: panel.review.current == case.id or told, timeout=60)
            assert not told
            wanted = read_volume(
                opened.cohort / case.path, modality=plan.modality, series_uid=case.series_uid, frame=plan.frame
            )
            node = panel.review.volumeNode
            shown = slicer.util.arrayFromVolume(node)
            assert shown.shape[:3] == wanted.shape, case.id
            assert np.allclose(np.asarray(wanted.array), shown), case.id
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            assert np.allclose(slicer.util.arrayFromVTKMatrix(matrix), wanted.ijk_to_ras, atol=1e-3), case.id
            kept = read_segmentation(Review(opened).files(case.id).segmentation, wanted.shape, wanted.ijk_to_ras)
            segmentation = panel.review.segmentationNode
            for segment in kept.segments:
                segmentId = segmentation.GetSegmentation().GetSegmentIdBySegmentName(segment.name)
                mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, node)
                assert np.array_equal(mask != 0, segment.mask.to_full(wanted.shape)), (case.id, segment.name)
    panel.cleanup()
