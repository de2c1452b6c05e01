# SPDX-License-Identifier: Apache-2.0
"""Runs inside desktop Slicer, without an engine: what of the cohort page depends on PythonQt and Slicer's widgets.

    Slicer --no-splash --additional-module-paths … --python-script Testing/desktop/cohort_page.py

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


class Answers:
    """Answers what the engine would, and keeps what it was asked: ``asked`` holds (verb, fields)."""

    def __init__(self, image, segmentation):
        self.asked = []
        self.drafts = []
        spans = [
            {"start": TEXT.index(name), "end": TEXT.index(name) + 5, "text": name, "segments": [segment]}
            for name, segment in (("liver", "Segment_1"), ("tumor", "Segment_2"))
        ]
        report = {"text": TEXT, "spans": spans}
        self.answers = {
            "status": {"reviewed": 0, "counts": {"done": 1, "failed": 0}},
            "queue": {"waiting": 1, "cases": [
                {"id": "case", "segments": 2, "confidence": 0.5, "disagreement": None, "drafts": []}]},
            "open": {
                "case": {"id": "case", "verdict": None},
                "report": {**report, "author": "model", "findings": []}, "standing": report,
                "files": {"image": image, "first": None, "segmentation": segmentation},
                "draft": None, "others": [], "problem": "",
            },
            "draft": {"draft": {"reviewer": "R", "at": 0.0, "segmentation": True, "text": True}},
            "correct": {"decision": {"case": "case", "verdict": "corrected", "reviewer": "R"}},
        }  # fmt: skip

    def ask(self, verb, answered, **fields):
        path = fields.get("segmentation")
        self.asked.append((verb, fields, os.path.getsize(path) if path else 0))  # noqa: PTH202
        answered({"ok": True, **self.answers[verb]})

    def verbs(self):
        return [verb for verb, _, _ in self.asked]

    def fields(self, verb):
        return next(fields for asked, fields, _ in reversed(self.asked) if asked == verb)

    def size(self, verb):
        return next(size for asked, _, size in reversed(self.asked) if asked == verb)

    def cleanup(self, kept=None):
        self.kept = kept


def files(folder):
    """A volume and its segmentation as files, and nothing of them in the scene."""
    from UniBiomedSlicerLib.SegmentationFile import writeSegmentation

    image, segmentation = os.path.join(folder, "case.nrrd"), os.path.join(folder, "case.seg.nrrd")  # noqa: PTH118
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Phantom")
    slicer.util.updateVolumeFromArray(volume, np.arange(6 * 32 * 32, dtype=np.int16).reshape(6, 32, 32))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for number, (name, first) in enumerate((("liver", 2), ("tumor", 4)), start=1):
        mask = np.zeros((6, 32, 32), np.uint8)
        mask[first, 4 * number : 4 * number + 8, 6:12] = 1
        segment = node.GetSegmentation().AddEmptySegment(f"Segment_{number}", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    assert slicer.util.saveNode(volume, image)
    assert writeSegmentation(node, segmentation)
    slicer.mrmlScene.Clear(0)
    return image, segmentation


def steps(panel, folder):
    """Name and outcome of each step; yields between them so that the event loop runs."""
    from UniBiomedSlicerLib.CohortReview import CohortReview

    answers = Answers(*files(folder))
    ui, view = panel.ui, panel.text.view
    review = panel.review = CohortReview(folder, "/there/is/no/python")
    review._conversation.cleanup()
    review._conversation = answers
    review.changed.connect(panel._show)
    review.opened.connect(panel._onOpened)
    ui.reviewerEdit.setText("R")
    review.refresh()
    yield "the queue is listed", lambda: ui.caseList.count == 1 and ui.nextButton.enabled
    ui.nextButton.click()
    yield "a case is loaded with its report", lambda: review.current == "case" and view.text == TEXT
    browser, node = ui.reportText, review.segmentationNode
    yield "its phrases are coloured", lambda: len(browser.extraSelections()) == 2
    yield "its segments are listed", lambda: ui.segmentCombo.count == 2 and ui.segmentCombo.currentText == "liver"
    yield "the node is not tied to the file", lambda: node.GetStorageNode() is None
    yield "nothing is changed", lambda: not review.isCorrected() and "draft" not in answers.verbs()
    cursor = browser.textCursor()
    cursor.setPosition(0)
    cursor.insertText("Seen: ")
    yield "an edit moves the links", lambda: [span["text"] for span in view.spans()] == ["liver", "tumor"]
    yield "it is saved as a draft", lambda: answers.verbs()[-1] == "draft"
    yield "the page says so", lambda: "saved as a draft" in ui.currentLabel.text
    yield "the text is sent", lambda: answers.fields("draft")["text"]["text"] == "Seen: " + TEXT
    cursor = browser.textCursor()
    cursor.setPosition(len("Seen: " + TEXT))
    browser.setTextCursor(cursor)
    ui.linkButton.click()
    yield (
        "a sentence is linked",
        lambda: next(span["text"] for span in view.spans()) == "It shows the liver (1.2 ml) and a tumor.",
    )
    view._onClicked(qt.QUrl(f"span:{view.model.of(['Segment_2'])[0].key}"))
    yield "a click chooses the segment", lambda: ui.segmentCombo.currentText == "tumor"
    before = answers.verbs().count("draft")
    mask = np.ones((6, 32, 32), np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "Segment_1", review.volumeNode)
    yield "drawing is seen", review._areSegmentsChanged
    yield "and saved as a draft", lambda: answers.verbs().count("draft") > before
    yield (
        "with its voxels",
        lambda: next(size for verb, _, size in reversed(answers.asked) if verb == "draft") > 6 * 32 * 32,
    )
    ui.acceptButton.click()
    yield "accept is a correction", lambda: set(answers.fields("correct")) >= {"text", "segmentation", "reviewer"}
    yield "then nothing is changed any more", lambda: not review.isCorrected()
    slicer.mrmlScene.Clear(0)
    yield "a closed scene leaves no case open", lambda: review.current == "" and view.text == ""


class Check:
    """Runs the steps one after the other, each until it holds, and ends Slicer."""

    def __init__(self):
        slicer.util.selectModule("UniBiomedSlicer")
        widget = slicer.modules.unibiomedslicer.widgetRepresentation().self()
        self.folder = tempfile.TemporaryDirectory()
        self.steps = steps(widget.cohortPanel, self.folder.name)
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
        slicer.modules.UniBiomedCohortCheck = Check()
    except Exception:  # noqa: BLE001 - as above
        traceback.print_exc()
        slicer.util.exit(slicer.util.EXIT_FAILURE)


if __name__ == "__main__":
    main()
