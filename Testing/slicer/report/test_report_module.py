# SPDX-License-Identifier: Apache-2.0
"""The module UniBiomed Report, driven by clicks and keys."""

from __future__ import annotations

import slicer


def finish(host, module, result=None):
    """The engine's answer to the last thing asked, and the report that comes of it."""
    job = module.logic.service.jobs[-1]
    job.finishWith(result)
    host.spin(until=lambda: module.widget._task is None)
    return module.report.node


def test_a_report_of_the_current_slice_grows_and_lands_in_the_scene(host, module, engine):
    host.click(module.ui.reportButton)
    job = engine.jobs[-1]
    assert job.task == "report"
    assert job.parameters == {"axis": "axial", "slice_index": 7}
    job.growText("liver tumor. a small")
    assert module.view.browser.toPlainText() == "liver tumor. a small"
    job.growText("liver tumor. a small hypodense tumor")
    assert module.view.browser.toPlainText() == "liver tumor. a small hypodense tumor"
    assert "being written" in module.ui.reportSelector.currentText
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    node = finish(host, module)
    assert node.GetName() == "Report of CT phantom, axial slice 7"
    assert module.view.text == "liver tumor. a small hypodense tumor is seen in the liver."
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert module.ui.segmentTable.rowCount == 3
    assert "not for clinical use" in module.ui.noticeLabel.text
    assert "0.42" in module.ui.confidenceLabel.text
