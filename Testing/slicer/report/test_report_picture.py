# SPDX-License-Identifier: Apache-2.0
"""What is seen: segments that stand out in real slice views, and the picture of the module for the documentation.

UNIBIOMED_SCREENSHOTS=docs/images pytest Testing/slicer/report/test_report_picture.py   makes it anew.
"""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer

PANEL = (460, 760)


def pointAt(host, view, words):
    """The mouse on some words of the text."""
    cursor = qt.QTextCursor(view.browser.document)
    cursor.setPosition(view.text.index(words) + 1)
    host.hover(view.browser.viewport(), view.browser.cursorRect(cursor).center())


def test_pointing_at_a_phrase_changes_the_slice_view_and_leaving_restores_every_pixel(host, module, volume):
    import photograph

    if not photograph.isPossible():
        pytest.skip("no EGL on this machine")
    host.click(module.ui.interpretButton)
    module.logic.service.jobs[-1].finishWith()
    host.spin(until=lambda: module.widget._task is None)
    host.sliceNode("Red").SetDimensions(256, 256, 1)
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    logic.FitSliceToAll(256, 256)
    camera = photograph.SliceCamera(logic)
    try:
        before = np.asarray(camera.picture()).astype(int)
        pointAt(host, module.view, "liver (")
        pointed = np.asarray(camera.picture()).astype(int)
        pointAt(host, module.view, "CT image")
        after = np.asarray(camera.picture()).astype(int)
    finally:
        camera.close()
    assert np.array_equal(before, after)

    def colour(picture):
        return (picture.max(axis=2) - picture.min(axis=2)).sum()

    assert colour(before) > 10_000, "segments are seen"
    assert 0 < colour(pointed) < 0.95 * colour(before), "the others are dimmed"


@pytest.mark.slow
def test_the_panel_and_the_views_are_pictured(host, monkeypatch, tmp_path):
    import photograph
    import render
    from PIL import Image
    from UniBiomedSlicerLib.SegmentVoxels import boxOf, largestSlice

    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    wanted = os.environ.get("UNIBIOMED_SCREENSHOTS", "")
    sample = files("unibiomed") / "samples" / "mr_brain_tumour" / "brain1_image.nrrd"
    node = slicer.util.loadVolume(str(sample), properties={"name": "MRBrainTumor"})
    host.showVolume(node)
    widget = host.loadModule("UniBiomedReport")
    ui, report = widget.ui, widget.reportPanel
    if wanted:
        host.click(ui.volumeRadio)
        host.click(ui.interpretButton)
    else:
        host.click(ui.findingsButton)
    host.spin(until=lambda: widget._task is None, timeout=280)
    assert report.node is not None, ui.statusLabel.text
    segmentation, ids = report._segmentationNode(), report.view.model.segments()
    focus = None
    if ids:
        focus = largestSlice(boxOf(segmentation, ids[0], node), 0)[1]
        report.table.select(ids[:1])
        report.view.mark(ids[:1])
        report.segmentChosen.emit(segmentation, ids[0])
    panel = host.screenshot(widget.parent, tmp_path / "panel.png", size=PANEL)
    report._highlighter.emphasise(segmentation, ids[:1])  # as while the mouse is on the phrase
    painter = photograph if photograph.isPossible() else render
    views = painter.threeViews(node, segmentation, focus, (PANEL[1] * 4 // 3, PANEL[1]))
    path = Path(wanted or tmp_path) / "report.png"
    render.window(panel, views).save(path, optimize=True)
    with Image.open(path) as picture:
        assert picture.width > 1300
    service = slicer.modules.UniBiomedEngineService
    service.stop()
    host.spin(until=lambda: service.pid == 0, timeout=20)
