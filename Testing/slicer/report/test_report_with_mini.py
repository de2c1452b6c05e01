# SPDX-License-Identifier: Apache-2.0
"""End to end: the module, the real engine as its child process, UniBiomed-Mini, a CT phantom and a real head MRI."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer

pytestmark = pytest.mark.slow

SHAPE = (12, 128, 128)


@pytest.fixture(scope="module")
def phantom():
    """A CT of the abdomen with a tumour in the liver."""
    from unibiomed.phantoms import generate_volume

    return generate_volume("CT", 5, SHAPE, abnormal=True).volume


@pytest.fixture
def service(host, monkeypatch):
    """The real service with this Python as its engine's interpreter; what it started is gone in the end."""
    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from UniBiomedSlicerLib.EngineService import engineService

    made = engineService()
    yield made
    made.stop()
    host.spin(until=lambda: made.pid == 0, timeout=20)


@contextmanager
def ownWork():
    """`.longest`: seconds of processor time that this thread took between two turns of the event loop, at most; unlike
    a stall it does not grow with what else the machine does."""
    found = SimpleNamespace(longest=0.0, last=time.thread_time())

    def tick():
        now = time.thread_time()
        found.longest, found.last = max(found.longest, now - found.last), now

    timer = qt.QTimer()
    timer.setInterval(1)
    timer.connect("timeout()", tick)
    timer.start()
    yield found
    timer.stop()


def opened(host, node):
    host.showVolume(node)
    widget = host.loadModule("UniBiomedReport")
    widget.ui.volumeSelector.setCurrentNode(node)
    return SimpleNamespace(widget=widget, ui=widget.ui, logic=widget.logic, report=widget.reportPanel,
                           view=widget.reportPanel.view)  # fmt: skip


def ended(host, module, timeout=240):
    host.spin(until=lambda: module.widget._task is None, timeout=timeout)
    return module.report.node


def test_report_question_follow_up_description_and_files_of_a_ct(host, service, phantom, tmp_path):
    node = host.addVolume(np.asarray(phantom.array), phantom.ijk_to_ras, "CTAbdomen")
    module = opened(host, node)
    host.click(module.ui.interpretButton)
    grown = []
    module.widget._task.textGrew.connect(grown.append)
    with host.stallMeter() as meter, ownWork() as work:
        read = ended(host, module)
        host.spin(seconds=0.3)
    print(
        f"interpretation of {SHAPE}: longest stall {1000 * meter.longest:.0f} ms, of which own work at most "
        f"{1000 * work.longest:.0f} ms; {len(grown)} growing texts"
    )
    assert work.longest < 0.1
    assert read is not None, module.ui.statusLabel.text
    assert grown
    document = module.logic.store.document(read)
    assert "liver" in document["text"]
    segmentation = module.logic.store.segmentationNode(read)
    for span in document["spans"]:
        assert document["text"][span["start"] : span["end"]] == span["text"]
        assert all(segmentation.GetSegmentation().GetSegment(one) for one in span["segments"])
    liver = next(span for span in document["spans"] if span["text"].lower() == "liver")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, liver["segments"][0], node)
    said = re.search(r"liver \(([\d,.]+) ml\)", document["text"])
    spacing = np.linalg.norm(np.array(phantom.ijk_to_ras)[:3, :3], axis=0).prod()
    assert mask.sum() * spacing / 1000 == pytest.approx(float(said[1].replace(",", "")), rel=0.02)

    module.ui.questionEdit.setFocus()
    host.type(module.ui.questionEdit, "Is there an abnormality in the liver?\n")
    talk = ended(host, module, 60)
    assert module.view.text.startswith("Q: Is there an abnormality in the liver?\nA: ")
    history = module.logic.conversation(talk).history
    assert history
    host.type(module.ui.questionEdit, "What is the colour of the sky?\n")
    assert ended(host, module, 60) is talk
    assert module.logic.conversation(talk).history.startswith(history[:40])
    assert "[unreliable" in module.view.text
    assert "Unreliable" in module.ui.warningLabel.text

    module.report.choose(read)
    module.ui.segmentationSelector.setCurrentNode(segmentation)
    host.choose(module.ui.segmentSelector, "liver")
    host.click(module.ui.volumeRadio)
    host.click(module.ui.describeButton)
    described = ended(host, module, 60)
    assert described.GetName() == "Description of liver"
    assert module.view.text

    module.report.choose(read)
    path = tmp_path / "report.dcm"
    module.report.export("dicom-sr", str(path))
    host.spin(until=lambda: not module.ui.statusLabel.text.startswith("Writing"), timeout=60)
    assert module.ui.statusLabel.text == "report.dcm was written."
    import highdicom as hd
    import pydicom

    sr = hd.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(io.BytesIO(path.read_bytes())))
    assert "liver" in {group.tracking_identifier for group in sr.content.get_image_measurement_groups()}


def test_a_killed_engine_is_told_and_the_next_report_works(host, service, phantom):
    node = host.addVolume(np.asarray(phantom.array), phantom.ijk_to_ras, "CTAbdomen")
    module = opened(host, node)
    host.click(module.ui.interpretButton)
    host.spin(until=lambda: module.widget._task.job.state == "running", timeout=120)
    os.kill(service.pid, signal.SIGKILL)
    assert ended(host, module, 30) is None
    assert module.ui.statusLabel.text
    assert module.logic.store.reports() == []
    if module.ui.engineFrame.visible and module.ui.engineButton.visible:
        host.click(module.ui.engineButton)
    host.click(module.ui.reportButton)
    assert ended(host, module, 120) is not None
    assert module.view.text


def test_a_real_head_mri_is_read(host, service):
    path = files("unibiomed") / "samples" / "mr_brain_tumour" / "brain1_image.nrrd"
    node = slicer.util.loadVolume(str(path), properties={"name": "MRBrainTumor"})
    module = opened(host, node)
    host.click(module.ui.interpretButton)
    read = ended(host, module, 280)
    assert read is not None, module.ui.statusLabel.text
    text = module.view.text
    assert "brain" in text.lower()
    assert "MRI" in text
    spans = module.view.spans()
    assert spans
    assert all(span["segments"] for span in spans)
    for span in spans:
        assert text[span["start"] : span["end"]] == span["text"]
