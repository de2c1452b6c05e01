# SPDX-License-Identifier: Apache-2.0
"""The result table: figures, the eye, the jump, and the same after the scene is loaded again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from fake_engine import recordedResult
from PySide6 import QtCore
from UniBiomedSegmentLib import Results
from UniBiomedSlicerLib import SegmentTags as tags


@pytest.fixture
def done(host, panel, segmentations):
    """A finished run with three segments and one target that was not found."""
    panel.applied("liver, spleen, liver tumor, kidney tumor").finishWith()
    panel.settle()
    return segmentations()[0]


def cell(panel, row, column):
    return panel.ui.resultTable.item(row, column)


def test_a_row_has_the_volume_the_slices_and_the_confidence_of_the_result(host, panel, done):
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(done, done.GetSegmentation().GetNthSegmentID(0))
    millilitres = np.count_nonzero(voxels) * 2 * 2 * 5 / 1000
    row = panel.rows()[0]
    assert row.volumeMl == pytest.approx(millilitres, rel=1e-5)
    assert float(cell(panel, 0, 1).text()) == pytest.approx(millilitres, rel=0.01)
    assert cell(panel, 0, 3).text() == f"{round(100 * recordedResult('segment')['segments'][0]['confidence'])} %"
    low, high = (int(part) for part in cell(panel, 0, 2).text().split("-"))
    assert 0 <= low <= row.keySlice <= high < 24


def test_the_tick_hides_and_shows_the_segment(host, panel, done):
    segmentId = panel.rows()[1].segmentId
    cell(panel, 1, 0).setCheckState(QtCore.Qt.CheckState.Unchecked)
    assert not done.GetDisplayNode().GetSegmentVisibility(segmentId)
    host.spin(seconds=0.2)
    assert not panel.rows()[1].visible
    done.GetDisplayNode().SetSegmentVisibility(segmentId, True)
    host.spin(seconds=0.2)
    assert cell(panel, 1, 0).checkState() == QtCore.Qt.CheckState.Checked


def test_a_click_on_a_row_goes_to_the_slice_where_the_segment_is_largest(host, panel, done, volume):
    table = panel.ui.resultTable
    row = panel.rows()[1]
    host.click(table.viewport(), table.visualItemRect(cell(panel, 1, 1)).center())
    offset = host.sliceNode("Red").GetSliceToRAS().GetElement(2, 3)
    assert offset == pytest.approx(-60 + 5.0 * row.keySlice)
    ras = [host.sliceNode("Green").GetSliceToRAS().GetElement(1, 3), 48 - 2.0 * row.center[1]]
    assert ras[0] == pytest.approx(ras[1], abs=1.01)


def test_the_table_follows_what_happens_to_the_segments(host, panel, done):
    segmentation = done.GetSegmentation()
    segmentation.GetNthSegment(0).SetName("my liver")
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(1))
    segmentation.AddEmptySegment("drawn by hand")
    host.spin(seconds=0.3)
    assert panel.names() == ["my liver", "liver tumor"]


def test_a_second_run_adds_to_the_segmentation_and_settles_what_was_not_found(host, panel, done):
    assert [entry["target"] for entry in Results.notFoundOf(done)] == ["kidney tumor"]
    later = recordedResult("segment")
    later["provenance"]["shape"] = [24, 48, 40]
    source = later["segments"][0]
    later["segments"] = [{**source, "phrase": "kidney tumor in abdomen CT", "target": "kidney tumor"}]
    later["segments"][0]["mask"] = oneVoxel()
    later["not_found"] = [{"phrase": "aorta in abdomen CT", "target": "aorta", "kind": "anatomy", "slices_read": 1,
                           "reason": "Not seen."}]  # fmt: skip
    panel.applied("kidney tumor, aorta").finishWith(later)
    panel.settle()
    assert panel.names() == ["liver", "spleen", "liver tumor", "kidney tumor"]
    assert [entry["target"] for entry in Results.notFoundOf(done)] == ["aorta"]


def oneVoxel():
    from UniBiomedSlicerLib.BoxMask import encode

    return encode((3, 4, 5), np.ones((1, 1, 1), bool))


def test_replace_gives_the_earlier_segments_the_new_voxels(host, panel, done):
    panel.ui.replaceCheckBox.checked = True
    job = panel.applied("liver, spleen, liver tumor")
    result = job.expectedResult()
    result["segments"][0]["mask"] = oneVoxel()
    job.finishWith(result)
    panel.settle()
    assert panel.names() == ["liver", "spleen", "liver tumor"]
    liver = done.GetSegmentation().GetSegmentIdBySegmentName("liver")
    assert np.count_nonzero(slicer.util.arrayFromSegmentBinaryLabelmap(done, liver)) == 1


@pytest.mark.parametrize("kind", ["scene.mrb", "folder/folder.mrml"])
def test_the_table_and_the_settings_are_back_after_the_scene_is_loaded_again(host, panel, done, tmp_path, kind):
    panel.ui.promptLineEdit.setText("liver, spleen")
    rows, below = panel.rows(), panel.ui.notFoundLabel.text
    cell(panel, 1, 0).setCheckState(QtCore.Qt.CheckState.Unchecked)
    host.spin(seconds=0.2)
    assert slicer.util.saveScene(str(tmp_path / Path(kind).parts[0]))
    host.newScene()
    host.spin()
    assert panel.rows() == []
    slicer.util.loadScene(str(tmp_path / kind))
    panel.widget.enter()
    host.spin(seconds=0.2)
    again = panel.rows()
    assert [(row.name, row.slices, row.axis, row.keySlice, row.center) for row in again] == [
        (row.name, row.slices, row.axis, row.keySlice, row.center) for row in rows
    ]
    assert [row.volumeMl for row in again] == [row.volumeMl for row in rows]
    assert [row.confidence for row in again] == [row.confidence for row in rows]
    assert [row.visible for row in again] == [True, False, True]
    assert panel.ui.notFoundLabel.text == below
    assert panel.ui.promptLineEdit.text == "liver, spleen"


def test_edit_opens_the_segment_editor_with_the_segmentation(host, panel, done, volume, monkeypatch):
    from types import SimpleNamespace

    calls = []
    editor = SimpleNamespace(
        setSegmentationNode=lambda node: calls.append(node), setSourceVolumeNode=lambda node: calls.append(node)
    )
    widget = SimpleNamespace(self=lambda: SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer.util, "selectModule", calls.append)
    monkeypatch.setattr(
        slicer.modules, "segmenteditor", SimpleNamespace(widgetRepresentation=lambda: widget), raising=False
    )
    host.click(panel.ui.editButton)
    assert calls == ["SegmentEditor", done, volume]


def test_an_attribute_that_is_not_ours_does_no_harm(host, panel, done):
    done.SetAttribute(Results.NOT_FOUND, "{broken")
    done.GetSegmentation().GetNthSegment(0).SetTag(tags.VOLUME_ML, "many")
    host.spin(seconds=0.3)
    assert Results.notFoundOf(done) == []
    assert panel.rows()[0].volumeMl is None


def test_not_for_clinical_use_is_always_in_sight(panel):
    assert panel.isShown(panel.ui.disclaimerLabel)
    assert "not for clinical use" in panel.ui.disclaimerLabel.text
