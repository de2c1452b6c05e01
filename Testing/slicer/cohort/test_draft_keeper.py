# SPDX-License-Identifier: Apache-2.0
"""Saving in the background: after a pause, never in a stroke, and a segmentation that does not notice it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer
from unibiomed.volumes.reading_nrrd import read_segmentation

SHAPE = (6, 20, 24)
AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])


@pytest.fixture
def keeper(host, monkeypatch):
    """A keeper of a list's content, whose clock a test sets.

    ``saves`` says what was saved, in order, each in ``saveTakes`` seconds; ``wait(seconds)`` lets time go by and the
    keeper look.
    """
    from UniBiomedSlicerLib import DraftKeeper as module

    clock, work, saves, looks = SimpleNamespace(now=1000.0), [], [], []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "LOOK_MS", 2)

    def look():
        looks.append(None)
        return tuple(work)

    def save():
        saves.append(tuple(work))
        clock.now += made.saveTakes

    def wait(seconds=0.0):
        clock.now += seconds
        before = len(looks)
        host.spin(until=lambda: len(looks) > before)

    made = module.DraftKeeper(look, save)
    made.work, made.saves, made.wait, made.saveTakes = work, saves, wait, 0.0
    made.start()
    yield made
    made.cleanup()


def test_work_is_saved_once_after_a_pause(keeper):
    keeper.work.append("one")
    keeper.work.append("two")
    keeper.wait()
    keeper.wait(1.4)
    assert keeper.saves == []
    keeper.wait(0.2)
    keeper.wait(60.0)
    assert keeper.saves == [("one", "two")]


def test_nothing_is_saved_where_nothing_has_changed(keeper):
    keeper.wait(60.0)
    assert not keeper.isBehind()
    keeper.flush()
    assert keeper.saves == []


def test_nothing_is_saved_while_changes_come(keeper):
    for number in range(8):
        keeper.work.append(number)
        keeper.wait(1.0)
        assert keeper.saves == []
    keeper.wait(2.0)
    assert keeper.saves == [tuple(range(8))]


def test_saving_takes_a_twentieth_of_the_time_at_most(keeper):
    keeper.saveTakes = 0.5
    keeper.work.append("one")
    keeper.wait()
    keeper.wait(2.0)
    keeper.work.append("two")
    keeper.wait()
    keeper.wait(9.0)
    assert keeper.saves == [("one",)]
    keeper.wait(2.0)
    assert keeper.saves == [("one",), ("one", "two")]


def test_nothing_is_saved_while_a_mouse_button_is_down(keeper):
    from PySide6 import QtCore, QtTest

    view = qt.QWidget()
    view.resize(50, 50)
    view.show()
    handle = view.windowHandle()
    QtTest.QTest.mousePress(handle, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, QtCore.QPoint(20, 20))
    keeper.work.append("a stroke")
    keeper.wait()
    keeper.wait(60.0)
    assert keeper.saves == []
    QtTest.QTest.mouseRelease(handle, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, QtCore.QPoint(20, 20))
    keeper.wait()
    assert keeper.saves == [("a stroke",)]
    view.close()


def test_what_was_kept_in_another_way_is_not_saved_and_what_was_not_kept_is_saved_again(keeper):
    keeper.work.append("decided")
    keeper.settle()
    keeper.wait(60.0)
    assert keeper.saves == []
    keeper.doubt()
    keeper.wait()
    assert keeper.saves == [("decided",)]
    keeper.doubt(60.0)
    keeper.wait(59.0)
    assert len(keeper.saves) == 1
    keeper.wait(2.0)
    assert len(keeper.saves) == 2


def test_a_keeper_that_was_stopped_saves_nothing(keeper):
    keeper.work.append("one")
    assert keeper.isBehind()
    keeper.stop()
    assert not keeper.isBehind()
    keeper.flush()
    assert keeper.saves == []


@pytest.fixture
def drawn(host):
    """A volume and a segmentation of two segments that overlap, with a 3D surface."""
    volume = host.addVolume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), AFFINE)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    masks = {"liver": np.zeros(SHAPE, np.uint8), "spleen": np.zeros(SHAPE, np.uint8)}
    masks["liver"][1:4, 5:12, 6:15] = 1
    masks["spleen"][2:5, 8:16, 10:20] = 1
    for name, mask in masks.items():
        segment = node.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    return node, volume, masks


def _read(path: Path) -> dict[str, np.ndarray]:
    read = read_segmentation(path, SHAPE, AFFINE)
    return {item.name: item.mask.to_full(SHAPE) for item in read.segments}


def test_a_segmentation_is_written_voxel_by_voxel_and_its_node_does_not_notice(drawn, tmp_path):
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    node, volume, masks = drawn
    segmentation = node.GetSegmentation()
    told = []
    for event in (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SourceRepresentationModified):
        segmentation.AddObserver(event, lambda caller, name: told.append(name))
    before = [segmentation.GetNthSegment(n).GetRepresentation("Binary labelmap").GetMTime() for n in range(2)]
    path = tmp_path / "drawn.seg.nrrd"
    assert writeSegmentation(node, str(path))
    assert told == []
    assert [segmentation.GetNthSegment(n).GetRepresentation("Binary labelmap").GetMTime() for n in range(2)] == before
    assert node.GetStorageNode() is None
    found = _read(path)
    assert set(found) == set(masks)
    for name, mask in masks.items():
        assert np.array_equal(found[name], mask.astype(bool))
    again = slicer.util.loadSegmentation(str(path))
    for name, mask in masks.items():
        segment = again.GetSegmentation().GetSegmentIdBySegmentName(name)
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(again, segment, volume) != 0, mask != 0)


def test_a_segment_of_one_voxel_is_not_written_as_a_grid_of_one_voxel(drawn, tmp_path):
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    node, volume, _masks = drawn
    dot = np.zeros(SHAPE, np.uint8)
    dot[2, 3, 4] = 1
    for number in range(2):
        segment = node.GetSegmentation().GetNthSegmentID(number)
        slicer.util.updateSegmentBinaryLabelmapFromArray(dot, node, segment, volume)
    path = tmp_path / "dot.seg.nrrd"
    assert writeSegmentation(node, str(path))
    sizes = next(line for line in path.read_bytes().split(b"\n") if line.startswith(b"sizes:"))
    assert sizes.split()[-3:] == [b"24", b"20", b"6"]
    assert np.array_equal(_read(path)["spleen"], dot != 0)


def test_a_segmentation_of_which_every_segment_was_removed_is_written_as_one_without_any(drawn, tmp_path):
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    node = drawn[0]
    node.GetSegmentation().RemoveAllSegments()
    path = tmp_path / "none.seg.nrrd"
    assert writeSegmentation(node, str(path))
    assert _read(path) == {}


def test_a_path_that_cannot_be_written_is_told(drawn, tmp_path):
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    assert not writeSegmentation(drawn[0], str(tmp_path / "no" / "folder.seg.nrrd"))
