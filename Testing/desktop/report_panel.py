# SPDX-License-Identifier: Apache-2.0
"""Runs inside desktop Slicer, without an engine: what of UniBiomed Report depends on PythonQt and Slicer's widgets.

    Slicer --no-splash --additional-module-paths … --python-script Testing/desktop/report_panel.py

Slicer's exit code is that of the check; every step is printed. The stand-in runs the same steps in its tests.
"""

import os
import tempfile
import traceback

import numpy as np
import qt
import slicer

TIMEOUT_MS = 60_000
TEXT = "CT image. It shows the liver (1.2 ml) and a tumor."


def report(logic):
    """A volume, two segments and a report that speaks of them."""
    from UniBiomedSlicerLib import BoxMask
    from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter

    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Phantom")
    slicer.util.updateVolumeFromArray(volume, np.arange(6 * 32 * 32, dtype=np.int16).reshape(6, 32, 32))
    volume.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    masks = {"s1": ((1, 4, 4), (3, 12, 12)), "s2": ((4, 20, 20), (1, 5, 5))}
    segments = [
        {
            "id": key, "phrase": f"{name} in abdomen CT", "target": name, "kind": "anatomy", "confidence": 0.5,
            "mask": BoxMask.encode(offset, np.ones(shape, bool)),
            "slices": list(range(offset[0], offset[0] + shape[0])), "voxels": int(np.prod(shape)), "volume_ml": 1.2,
        }
        for (key, (offset, shape)), name in zip(masks.items(), ("liver", "tumor"), strict=True)
    ]  # fmt: skip
    result = {
        "type": "report", "text": TEXT, "segments": segments,
        "spans": [
            {"start": TEXT.index(name), "end": TEXT.index(name) + 5, "text": name, "segments": [key]}
            for key, name in (("s1", "liver"), ("s2", "tumor"))
        ],
        "provenance": {
            "shape": [6, 32, 32], "axis": "axial", "modality": "CT",
            "ijk_to_ras": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        },
    }  # fmt: skip
    from UniBiomedReportLib.Figures import figuresOf, withoutVoxels

    writer = SegmentationWriter(volume, targets=[])
    ids = writer.write(result)
    return logic.store.add(withoutVoxels(result), volume, writer.segmentationNode, ids, figures=figuresOf(result, ids))


def steps(widget, folder):
    """Name and outcome of each step; yields between them so that the event loop runs."""
    panel, logic, ui = widget.reportPanel, widget.logic, widget.ui
    node = report(logic)
    yield "the report is listed and shown", lambda: panel.node is node and panel.view.text == TEXT
    browser, view = ui.reportText, panel.view
    yield "phrases are coloured", lambda: len(browser.extraSelections()) == 2
    yield "the table has its rows", lambda: ui.segmentTable.rowCount == 2
    cursor = browser.textCursor()
    cursor.setPosition(0)
    cursor.insertText("Seen: ")
    yield "an edit moves the links", lambda: [s["text"] for s in view.spans()] == ["liver", "tumor"]
    yield "an edit is saved", lambda: logic.store.document(node)["text"] == "Seen: " + TEXT
    browser.undo()
    yield "undo is followed", lambda: view.text == TEXT
    address = qt.QUrl(f"span:{view.model.spans[0].key}")
    view._onHighlighted(address)
    display = panel._segmentationNode().GetDisplayNode()
    liver, tumor = view.model.spans[0].segments[0], view.model.spans[1].segments[0]
    yield (
        "pointing dims the others",
        lambda: display.GetSegmentOpacity2DFill(tumor) < display.GetSegmentOpacity2DFill(liver),
    )
    view._onHighlighted(qt.QUrl())
    yield (
        "leaving restores them",
        lambda: display.GetSegmentOpacity2DFill(tumor) == display.GetSegmentOpacity2DFill(liver),
    )
    view._onClicked(address)
    yield "a click selects the segment", lambda: panel.table.selection() == [liver]
    yield "a click chooses it for Describe", lambda: ui.segmentSelector.currentText == "liver"
    for kind, suffix in (("html", ".html"), ("pdf", ".pdf"), ("text", ".txt"), ("json", ".json")):
        path = os.path.join(folder, "report" + suffix)  # noqa: PTH118
        panel.export(kind, path)
        yield f"{kind} is written", lambda path=path: os.path.exists(path) and os.path.getsize(path) > 100  # noqa: PTH110, PTH202
    panel.rename("Renamed")
    yield "it is renamed", lambda: node.GetName() == "Renamed" and ui.reportSelector.currentText == "Renamed"
    scene = os.path.join(folder, "scene.mrb")  # noqa: PTH118
    slicer.util.saveScene(scene)
    slicer.mrmlScene.Clear(0)
    yield "a closed scene leaves nothing", lambda: view.text == "" and ui.reportSelector.count == 0
    slicer.util.loadScene(scene)
    yield "a loaded scene brings it back", lambda: view.text == TEXT and len(browser.extraSelections()) == 2


class Check:
    """Runs the steps one after the other, each until it holds, and ends Slicer."""

    def __init__(self):
        slicer.util.selectModule("UniBiomedReport")
        widget = slicer.modules.unibiomedreport.widgetRepresentation().self()
        self.folder = tempfile.TemporaryDirectory()
        self.steps = steps(widget, self.folder.name)
        self.current = None
        self.waited = 0
        self.timer = qt.QTimer()
        self.timer.setInterval(50)
        self.timer.connect("timeout()", self.onTimeout)
        self.timer.start()

    def onTimeout(self):
        try:
            if self.current is None:
                self.current = next(self.steps)
            name, holds = self.current
            if holds():
                print("ok  ", name)
                self.current, self.waited = None, 0
                return
            self.waited += self.timer.interval
            if self.waited > TIMEOUT_MS:
                print("FAIL", name)
                self.leave(slicer.util.EXIT_FAILURE)
        except StopIteration:
            self.leave(slicer.util.EXIT_SUCCESS)
        except Exception:  # noqa: BLE001 - whatever it is, Slicer must end with a failure
            traceback.print_exc()
            self.leave(slicer.util.EXIT_FAILURE)

    def leave(self, code):
        self.timer.stop()
        self.folder.cleanup()
        slicer.util.exit(code)


def main():
    try:
        slicer.modules.UniBiomedReportCheck = Check()
    except Exception:  # noqa: BLE001 - as above
        traceback.print_exc()
        slicer.util.exit(slicer.util.EXIT_FAILURE)


if __name__ == "__main__":
    main()
