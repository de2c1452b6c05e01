# SPDX-License-Identifier: Apache-2.0
"""End to end: the module, the real engine as its child process, UniBiomed-Mini, and a CT phantom."""

from __future__ import annotations

import os
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

pytestmark = pytest.mark.slow

SHAPE = (10, 96, 96)
TARGETS = ["liver", "spleen", "liver tumor"]


@pytest.fixture(scope="module")
def phantom():
    """A CT of the abdomen with a tumour in the liver, and what the engine's own task says of it, in this process."""
    import torch
    import unibiomed
    from unibiomed.phantoms import generate_volume
    from unibiomed.tasks import segment

    torch.set_num_threads(1)
    made = generate_volume("CT", 5, SHAPE, abnormal=True)
    expected = segment(unibiomed.load("mini", device="cpu"), made.volume, TARGETS, modality="CT")
    return SimpleNamespace(volume=made.volume, expected=expected)


@pytest.fixture
def engine(host, monkeypatch):
    """The real service with this Python as its engine's interpreter."""
    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from UniBiomedSlicerLib.EngineService import engineService

    service = engineService()
    yield service
    service.stop()
    host.spin(until=lambda: service.pid == 0, timeout=20)


@pytest.fixture
def panel(host, engine, phantom):
    """The module with the phantom's volume in the scene, its geometry and all."""
    node = host.addVolume(np.asarray(phantom.volume.array), phantom.volume.ijk_to_ras, "CTAbdomen")
    host.showVolume(node)
    widget = host.loadModule("UniBiomedSegment")
    host.choose(widget.ui.modalityComboBox, "CT")
    return SimpleNamespace(widget=widget, ui=widget.ui, node=node, logic=widget.logic)


def ends(host, panel, timeout=240):
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply", timeout=timeout)
    host.spin(seconds=0.3)


def voxelsOf(segmentationNode, name, shape):
    """The segment as bool [k, j, i] of the volume."""
    segmentation = segmentationNode.GetSegmentation()
    image = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentation.GetSegmentIdBySegmentName(name), image)
    box = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) != 0
    start = image.GetExtent()[4::-2]
    full = np.zeros(shape, bool)
    full[tuple(slice(low, low + size) for low, size in zip(start, box.shape, strict=True))] = box
    return full


def test_apply_gives_exactly_the_voxels_that_the_engine_gives_without_slicer(host, panel, phantom, tmp_path):
    host.type(panel.ui.promptLineEdit, ", ".join(TARGETS))
    panel.widget.panel.prompt._completer.popup().hide()
    host.click(panel.ui.applyButton)
    ends(host, panel)
    assert panel.ui.messageLabel.text == ""

    rows = {row.name: row for row in panel.widget.panel.results.table.rows()}
    expected = {item.target: item for item in phantom.expected.segments}
    assert set(rows) == set(expected)
    node = panel.widget._parameterNode.outputSegmentation
    for name, item in expected.items():
        truth = item.mask.to_full(SHAPE)
        found = voxelsOf(node, name, SHAPE)
        assert np.array_equal(found, truth), name
        assert rows[name].volumeMl == pytest.approx(item.volume_ml, rel=1e-5)
        assert rows[name].confidence == pytest.approx(item.confidence, abs=1e-3)
    missing = {item.target for item in phantom.expected.not_found}
    assert all(f"Found nothing for <b>{target}</b>" in panel.ui.notFoundLabel.text for target in missing)

    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    before = {name: (row.volumeMl, row.slices, row.confidence) for name, row in rows.items()}
    host.newScene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.widget.enter()
    host.spin(seconds=0.3)
    again = {row.name: (row.volumeMl, row.slices, row.confidence) for row in panel.widget.panel.results.table.rows()}
    assert again == before
    loaded = panel.widget._parameterNode.outputSegmentation
    for name, item in expected.items():
        assert np.array_equal(voxelsOf(loaded, name, SHAPE), item.mask.to_full(SHAPE)), name


def test_coronal_slices_of_an_oblique_volume_under_a_transform_give_the_engines_voxels(host, panel, phantom):
    import unibiomed
    from unibiomed.tasks import segment
    from unibiomed.volumes import Volume

    turn = vtk.vtkTransform()
    turn.RotateX(12)
    turn.RotateZ(-20)
    turn.Translate(30, -10, 5)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turned")
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    panel.node.SetAndObserveTransformNodeID(transform.GetID())
    world = slicer.util.arrayFromVTKMatrix(turn.GetMatrix()) @ np.asarray(phantom.volume.ijk_to_ras)
    turned = Volume.from_array(np.asarray(phantom.volume.array), world, modality="CT")
    chosen = range(44, 50)
    expected = segment(
        unibiomed.load("mini", device="cpu"), turned, ["liver"], modality="CT", axis="coronal", slices=chosen
    )

    box = panel.ui.viewComboBox
    host.choose(panel.ui.scopeComboBox, "Range of slices")
    host.choose(box, next(box.itemText(n) for n in range(box.count) if "coronal" in box.itemText(n)))
    panel.ui.rangeWidget.setValues(chosen[0], chosen[-1])
    panel.ui.promptLineEdit.setText("liver")
    host.click(panel.ui.applyButton)
    ends(host, panel)
    assert panel.ui.messageLabel.text == ""
    node = panel.widget._parameterNode.outputSegmentation
    assert len(expected.segments) == 1, "the phantom has no liver there: take other slices"
    assert np.array_equal(voxelsOf(node, "liver", SHAPE), expected.segments[0].mask.to_full(SHAPE))
    assert node.GetParentTransformNode() is transform


def test_cancel_and_a_killed_engine_leave_the_scene_intact_and_the_next_run_works(host, panel, engine):
    panel.ui.promptLineEdit.setText("liver")
    host.click(panel.ui.applyButton)
    host.spin(until=lambda: panel.logic.runs[0].job.state == "running", timeout=120)
    host.click(panel.ui.applyButton)
    ends(host, panel, 30)
    assert "nothing was changed" in panel.ui.messageLabel.text

    host.click(panel.ui.applyButton)
    host.spin(until=lambda: panel.logic.runs[0].job.state == "running", timeout=120)
    os.kill(engine.pid, signal.SIGKILL)
    ends(host, panel, 30)
    assert panel.ui.messageLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert panel.node.GetScene() is not None

    panel.ui.scopeComboBox.setCurrentIndex(0)
    if panel.ui.engineButton.isVisibleTo(panel.widget.parent):
        host.click(panel.ui.engineButton)
    host.click(panel.ui.applyButton)
    ends(host, panel)
    assert panel.widget.panel.results.table.rows() or "Found nothing" in panel.ui.notFoundLabel.text
