# SPDX-License-Identifier: Apache-2.0
"""The picture of the module for the documentation, with the real engine and a CT phantom.

UNIBIOMED_SCREENSHOTS=docs/images pytest Testing/slicer/segment/test_segment_picture.py   makes it anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

TARGETS = "liver, spleen, left kidney, right kidney, liver tumor, kidney tumor"


def test_the_panel_and_the_views_are_pictured(host, monkeypatch, tmp_path):
    import photograph
    import render
    import slicer
    from PIL import Image
    from unibiomed.phantoms import generate_volume

    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    wanted = os.environ.get("UNIBIOMED_SCREENSHOTS", "")
    shape = (24, 192, 192) if wanted else (4, 96, 96)
    phantom = generate_volume("CT", 5, shape, abnormal=True)
    node = host.addVolume(np.asarray(phantom.volume.array), phantom.volume.ijk_to_ras, "CT phantom")
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(400, 40)
    host.showVolume(node)
    widget = host.loadModule("UniBiomedSegment")
    ui = widget.ui
    ui.promptLineEdit.setText(TARGETS)
    ui.promptLineEdit.setCursorPosition(0)
    host.spin()
    host.click(ui.applyButton)
    host.spin(until=lambda: ui.applyButton.text == "Apply", timeout=280)
    host.spin(seconds=0.3)
    assert ui.messageLabel.text == ""
    panel = host.screenshot(widget.parent, tmp_path / "panel.png", size=(430, 640))
    if photograph.isPossible():
        views = photograph.threeViews(node, widget._parameterNode.outputSegmentation, size=(960, 640))
    else:
        views = render.threeViews(node, widget._parameterNode.outputSegmentation, size=(960, 640))
    path = Path(wanted or tmp_path) / "segment.png"
    render.window(panel, views).save(path)
    with Image.open(path) as picture:
        assert picture.width > 1300
    service = slicer.modules.UniBiomedEngineService
    service.stop()
    host.spin(until=lambda: service.pid == 0, timeout=20)
