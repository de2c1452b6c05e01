# SPDX-License-Identifier: Apache-2.0
"""The module UniBiomed Segment with an engine that the test drives."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from slicerhost import host as stand_in

# Desktop Slicer has every module's folder on the path once it has started.
for folder in stand_in.start().moduleFolders:
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))

SHAPE = (24, 48, 40)
IJK_TO_RAS = [[-2.0, 0, 0, 40], [0, -2.0, 0, 48], [0, 0, 5.0, -60], [0, 0, 0, 1]]


@pytest.fixture
def fake(host):
    """An engine that is ready; its jobs wait for the test."""
    import slicer
    from fake_engine import FakeEngineService

    service = FakeEngineService(autoplay=False)
    slicer.modules.UniBiomedEngineService = service
    return service


@pytest.fixture
def volume(host):
    """A CT that fills all of its range; axial slices are the coarse ones."""
    return addCt(host)


@pytest.fixture
def panel(host, fake, volume):
    """The module, opened, with the volume chosen."""
    return opened(host, fake)


@pytest.fixture
def openPanel(host, fake):
    """A function that opens the module when the test has put its own volumes there."""
    return lambda: opened(host, fake)


def addCt(host: Any, name: str = "CTAbdomen", shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Any:
    voxels = np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)
    return host.addVolume(voxels, IJK_TO_RAS, name)


def opened(host: Any, fake: Any) -> SimpleNamespace:
    """Hands and eyes on the panel: ``apply``, ``say``, ``rows`` ..."""
    widget = host.loadModule("UniBiomedSegment")
    ui = widget.ui

    def applied(prompt: str) -> Any:
        ui.promptLineEdit.setText(prompt)
        host.spin()
        host.click(ui.applyButton)
        return fake.jobs[-1]

    return SimpleNamespace(
        widget=widget,
        ui=ui,
        logic=widget.logic,
        parameters=widget._parameterNode,
        applied=applied,
        rows=lambda: widget.panel.results.table.rows(),
        names=lambda: [row.name for row in widget.panel.results.table.rows()],
        message=lambda: ui.messageLabel.text if ui.messageFrame.isVisibleTo(widget.parent) else "",
        isShown=lambda part: part.isVisibleTo(widget.parent),
        settle=lambda: host.spin(seconds=0.3),
    )


@pytest.fixture
def segmentations():
    """A function: the segmentations in the scene that a user sees."""
    import slicer

    def found() -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in nodes if not node.GetHideFromEditors()]

    return found
