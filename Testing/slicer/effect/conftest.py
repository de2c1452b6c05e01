# SPDX-License-Identifier: Apache-2.0
"""A segment editor on a small CT volume, with the effect and an engine that answers what the test says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from effect_results import IJK_TO_RAS, SHAPE, answer, block, voxels
from fake_engine import FakeEngineService


@pytest.fixture
def engine(host):
    fake = FakeEngineService(autoplay=False)
    slicer.modules.UniBiomedEngineService = fake
    return fake


@pytest.fixture
def bench(host, engine):
    """`.editor` with the effect active on the empty segment "Liver" (`.liver`); "Other" (`.other`) has 2 slices."""
    host.loadModule("UniBiomedSegment")
    host.loadModule("SegmentEditorUniBiomed")
    volume = host.addVolume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), IJK_TO_RAS, name="CT chest")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    liver = node.GetSegmentation().AddEmptySegment("Liver", "Liver")
    other = node.GetSegmentation().AddEmptySegment("Other", "Other")
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        block((0, 2), (0, 20), (0, 24)).astype(np.uint8), node, other, volume
    )
    editor = host.segmentEditor(node, volume)
    editor.setCurrentSegmentID(liver)
    editor.setActiveEffectByName("UniBiomed")
    effect = editor.activeEffect().self()
    ui = effect.panel.ui
    host.choose(ui.modalityBox, "CT")

    def search(mask=None, prompt="liver", **more):
        """Type, press Find, and let the engine answer with `mask` (None: no answer yet)."""
        ui.promptEdit.clear()
        host.type(ui.promptEdit, prompt)
        host.click(ui.runButton)
        job = engine.jobs[-1]
        if mask is not None:
            job.finishWith(answer(mask, **more))
            host.spin(until=lambda: not effect.run.isActive)
        return job

    return SimpleNamespace(host=host, engine=engine, volume=volume, node=node, liver=liver, other=other, editor=editor,
                           effect=effect, ui=ui, search=search, status=lambda: ui.statusLabel.text,
                           mask=lambda segment: voxels(node, segment, volume))  # fmt: skip
