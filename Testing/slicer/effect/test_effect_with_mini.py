# SPDX-License-Identifier: Apache-2.0
"""The effect with the real engine and the bundled model, as the user works with it."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import render
import slicer
from unibiomed.phantoms import generate_volume

START_SECONDS = 120
WORK_SECONDS = 240


@pytest.fixture
def phantom():
    return generate_volume("CT", 3, (12, 128, 128))


@pytest.mark.slow
def test_a_liver_is_found_shown_applied_undone_and_applied_again(host, phantom, monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "UNIBIOMED_INTERPRETER", sys.executable)
    host.loadModule("UniBiomedSegment")
    host.loadModule("SegmentEditorUniBiomed")
    volume = host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras, name="CT phantom")
    host.showVolume(volume)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    liver = node.GetSegmentation().AddEmptySegment("Liver", "Liver")
    editor = host.segmentEditor(node, volume)
    editor.setCurrentSegmentID(liver)
    editor.setActiveEffectByName("UniBiomed")
    effect = editor.activeEffect().self()
    ui = effect.panel.ui
    host.choose(ui.modalityBox, "CT")
    host.type(ui.promptEdit, "liver")
    with host.stallMeter() as meter:
        host.click(ui.runButton)
        host.spin(until=lambda: not effect.run.isActive, timeout=START_SECONDS + WORK_SECONDS)
    assert effect.run.state == "ready", effect.run.message
    # VTK's first touch of a display and two shared cores are in here; the reported figure is that of the benchmark.
    assert meter.longest < 0.5
    preview = effect.run.previewNode()
    views = render.threeViews(volume, preview, render.middleOf(preview, volume))
    pictures = Path(os.environ.get("UNIBIOMED_IMAGES", str(tmp_path)))
    panel = host.screenshot(editor, tmp_path / "panel.png", (460, 820))
    render.window(panel, views).save(pictures / "effect.png")
    host.click(ui.applyButton)
    truth = phantom.masks["liver"]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, liver, volume) != 0
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert dice > 0.7
    assert "voxels were added" in ui.statusLabel.text
    editor.undo()
    assert not slicer.util.arrayFromSegmentBinaryLabelmap(node, liver, volume).any()
    editor.redo()
    assert (slicer.util.arrayFromSegmentBinaryLabelmap(node, liver, volume) != 0).sum() == mask.sum()
