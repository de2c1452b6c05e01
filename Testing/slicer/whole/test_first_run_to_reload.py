# SPDX-License-Identifier: Apache-2.0
"""A new user's way through all modules, with the real engine and Mini: first run, segments, report, scene."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest
import slicer

pytestmark = pytest.mark.slow

SHAPE = (8, 96, 96)
TIMEOUT = 240


@pytest.fixture
def service(host, monkeypatch):
    """The real service; this Python is the engine's interpreter. What it started is gone in the end."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    host.useLibrary()
    from UniBiomedSlicerLib.EngineService import engineService

    made = engineService()
    yield made
    made.stop()
    host.spin(until=lambda: made.pid == 0, timeout=20)


def phantom(host, name="CTAbdomen"):
    """A CT phantom with a tumour in the liver, in the scene."""
    from unibiomed.phantoms import generate_volume

    made = generate_volume("CT", 5, SHAPE, abnormal=True)
    node = host.addVolume(np.asarray(made.volume.array), made.volume.ijk_to_ras, name)
    host.showVolume(node)
    return node


def segment(host, node, targets):
    """Type the targets into UniBiomed Segment and press Apply."""
    widget = host.loadModule("UniBiomedSegment")
    widget.ui.volumeSelector.setCurrentNode(node)
    host.choose(widget.ui.modalityComboBox, "CT")
    host.type(widget.ui.promptLineEdit, targets)
    widget.panel.prompt._completer.popup().hide()
    host.click(widget.ui.applyButton)
    return widget


def read(host, node):
    """Press Interpret in UniBiomed Report."""
    widget = host.loadModule("UniBiomedReport")
    widget.ui.volumeSelector.setCurrentNode(node)
    host.click(widget.ui.interpretButton)
    return widget


def test_first_run_segment_report_save_and_reload(host, service, tmp_path):
    setup = host.loadModule("UniBiomedSlicer")
    page = setup.setupPanel
    assert page.isReady()
    host.click(page.ui.tryPhantomButton)
    host.spin(until=lambda: not page.ui.nextWidget.isHidden(), timeout=TIMEOUT)
    sample = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert len(sample) == 1
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode")

    node = phantom(host)
    panel = segment(host, node, "liver, spleen")
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply", timeout=TIMEOUT)
    host.spin(seconds=0.3)
    rows = {row.name: row.volumeMl for row in panel.panel.results.table.rows()}
    assert "liver" in rows

    report = read(host, node)
    host.spin(until=lambda: report._task is None, timeout=TIMEOUT)
    assert report.reportPanel.node is not None, report.ui.statusLabel.text
    text, spans = report.reportPanel.view.text, len(report.reportPanel.view.spans())
    assert "liver" in text
    assert spans

    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.newScene()
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    report.enter()
    panel.enter()
    host.spin(seconds=0.5)
    assert {row.name: row.volumeMl for row in panel.panel.results.table.rows()} == rows
    assert report.reportPanel.view.text == text
    assert len(report.reportPanel.view.spans()) == spans


def test_two_modules_at_once_each_get_their_own_result(host, service):
    node = phantom(host)
    panel = segment(host, node, "liver")
    report = read(host, node)
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply" and report._task is None, timeout=TIMEOUT)
    host.spin(seconds=0.3)
    assert [row.name for row in panel.panel.results.table.rows()] == ["liver"]
    assert report.reportPanel.node is not None, report.ui.statusLabel.text
    assert "liver" in report.reportPanel.view.text


def test_the_engine_killed_under_two_modules_is_told_in_both_and_both_work_again(host, service):
    node = phantom(host)
    segments = len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
    panel = segment(host, node, "liver, spleen, aorta")
    report = read(host, node)
    host.spin(until=lambda: service.pid and service.state == "ready", timeout=TIMEOUT)
    os.kill(service.pid, signal.SIGKILL)
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply" and report._task is None, timeout=60)
    assert panel.ui.messageLabel.text
    assert report.ui.statusLabel.text
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == segments
    assert slicer.mrmlScene.IsNodePresent(node)
    if service.state == "crashed":
        service.restart()
    host.spin(until=lambda: panel.ui.applyButton.enabled, timeout=60)
    host.click(panel.ui.applyButton)
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply", timeout=TIMEOUT)
    host.spin(seconds=0.3)
    assert "liver" in [row.name for row in panel.panel.results.table.rows()]
