# SPDX-License-Identifier: Apache-2.0
"""The panel through a run: Apply, progress, masks as they come, Cancel, failure, and the engine's own state."""

from __future__ import annotations

import random
import time

import pytest
import slicer
from fake_engine import recordedResult


def test_without_a_volume_apply_is_off_and_says_what_to_do(host, fake):
    ui = host.loadModule("UniBiomedSegment").ui
    assert not ui.applyButton.enabled
    assert "volume" in ui.applyButton.toolTip


def test_a_volume_that_is_loaded_later_can_be_chosen(host, fake, panel, volume):
    assert panel.parameters.inputVolume is volume
    other = host.addVolume(slicer.util.arrayFromVolume(volume), name="Other")
    host.choose(panel.ui.volumeSelector, "Other")
    assert panel.parameters.inputVolume is other


def test_a_run_shows_progress_and_ends_with_rows(host, panel, segmentations):
    job = panel.applied("liver, spleen, liver tumor, kidney tumor")
    assert panel.ui.applyButton.text == "Cancel"
    assert panel.isShown(panel.ui.progressBar)
    job.progress("segment", 0.25, 42)
    assert "25 %" in panel.ui.progressBar.format
    assert "about 40 s left" in panel.ui.progressBar.format
    job.finishWith()
    panel.settle()
    assert panel.ui.applyButton.text == "Apply"
    assert not panel.isShown(panel.ui.progressBar)
    assert panel.names() == ["liver", "spleen", "liver tumor"]
    assert len(segmentations()) == 1
    assert panel.parameters.outputSegmentation is segmentations()[0]
    assert "Found nothing for <b>kidney tumor</b>" in panel.ui.notFoundLabel.text


def test_masks_appear_while_the_job_runs_and_go_into_the_result_at_the_end(host, panel, segmentations):
    job = panel.applied("liver, spleen")
    steps = job.steps()
    for step in steps[:-1]:
        step()
    run = panel.logic.runs[0]
    host.spin(until=lambda: run.previewNode() is not None and run.previewNode().GetSegmentation().GetNumberOfSegments())
    preview = run.previewNode()
    assert preview.GetHideFromEditors()
    assert not preview.GetSaveWithScene()
    assert segmentations() == []
    assert slicer.util.arrayFromSegmentBinaryLabelmap(preview, preview.GetSegmentation().GetNthSegmentID(0)).any()
    steps[-1]()
    panel.settle()
    assert run.previewNode() is None
    assert preview.GetScene() is None
    assert panel.names() == ["liver", "spleen", "liver tumor"]


def test_each_segment_of_the_preview_changes_five_times_a_second_at_most(host, panel):
    job = panel.applied("liver, spleen, liver tumor")
    run = panel.logic.runs[0]
    masks = job.steps()[2:-1]
    masks[0]()
    host.spin(until=lambda: run.previewNode() is not None)
    changes = []
    segmentation = run.previewNode().GetSegmentation()
    segmentation.AddObserver(slicer.vtkSegmentation.RepresentationModified, lambda caller, event: changes.append(1))
    started = time.monotonic()
    for step in masks[1:] * 3:
        step()
        host.spin(seconds=0.005)
    host.spin(seconds=0.5)
    assert len(changes) >= 3
    assert len(changes) <= 3 * (5 * (time.monotonic() - started) + 1)


@pytest.mark.parametrize("seed", range(6))
def test_cancelling_at_any_moment_leaves_the_scene_as_it_was(host, panel, segmentations, seed):
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")}
    job = panel.applied("liver, spleen")
    steps = job.steps()
    for step in steps[: random.Random(seed).randrange(len(steps))]:
        step()
        if random.Random(seed).random() < 0.5:
            host.spin()
    host.click(panel.ui.applyButton)
    assert panel.ui.applyButton.text == "Cancelling..."
    host.spin(until=lambda: panel.ui.applyButton.text == "Apply")
    assert job.state == "cancelled"
    assert "nothing was changed" in panel.message()
    assert {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")} == before
    assert segmentations() == []
    assert panel.applied("liver") is not job


def test_a_result_that_comes_although_it_was_cancelled_is_not_written(host, panel, segmentations):
    job = panel.applied("liver")
    job.onCancel(lambda: None)
    host.click(panel.ui.applyButton)
    job.finishWith()
    panel.settle()
    assert segmentations() == []
    assert panel.ui.applyButton.text == "Apply"


def test_a_failed_job_says_why_and_changes_nothing(host, panel, segmentations):
    job = panel.applied("liver")
    job.failWith("The voxels of this volume are all the same; choose another volume.", "volume")
    panel.settle()
    assert panel.message() == "The voxels of this volume are all the same; choose another volume."
    assert segmentations() == []
    assert panel.ui.applyButton.enabled


def test_a_crash_in_the_middle_is_told_and_restart_is_one_click(host, panel, fake, segmentations):
    job = panel.applied("liver, spleen")
    for step in job.steps()[:8]:
        step()
    host.spin(seconds=0.3)
    fake.crash("The engine ended unexpectedly (killed).")
    panel.settle()
    assert "ended unexpectedly" in panel.message()
    assert "ended unexpectedly" in panel.ui.engineLabel.text
    assert segmentations() == []
    assert panel.parameters.inputVolume is not None
    assert panel.ui.engineButton.text == "Restart"
    host.click(panel.ui.engineButton)
    host.spin(until=lambda: fake.state == "ready")
    assert not panel.isShown(panel.ui.engineButton)
    panel.applied("liver").finishWith()
    panel.settle()
    assert len(segmentations()) == 1


@pytest.mark.parametrize(
    ("state", "button", "call"),
    [("stopped", "Start", "start"), ("crashed", "Restart", "restart"), ("unreachable", "Try again", "restart")],
)
def test_the_engine_bar_offers_what_helps(host, panel, fake, state, button, call):
    fake.setState(state, "How it is.")
    assert panel.ui.engineLabel.text == "How it is."
    assert panel.ui.engineButton.text == button
    host.click(panel.ui.engineButton)
    assert call in fake.calls


def test_a_ready_engine_is_told_in_one_line(panel, fake):
    fake.setState("ready", "Ready: UniBiomed-Mini, cpu (no GPU was found) in float32 (for good reasons).")
    assert panel.ui.engineLabel.text == "Ready: UniBiomed-Mini on CPU"
    assert "float32" in panel.ui.engineLabel.toolTip
    fake.isRemote = True
    fake.setState("ready", "Ready: UniBiomed, at box.example.org.")
    assert panel.ui.engineLabel.text == "Ready: UniBiomed, at box.example.org."


@pytest.mark.parametrize("state", ["starting", "loading", "stopping"])
def test_while_the_engine_changes_its_state_there_is_nothing_to_press(panel, fake, state):
    fake.setState(state, "A moment.")
    assert panel.ui.engineLabel.text == "A moment."
    assert not panel.isShown(panel.ui.engineButton)


def test_when_the_engine_is_not_set_up_a_button_opens_the_module_that_does_it(host, panel, fake, monkeypatch):
    opened = []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    fake.setState("notInstalled", "The engine is not set up yet.")
    panel.ui.promptLineEdit.setText("liver")
    assert not panel.ui.applyButton.enabled
    assert panel.ui.engineButton.text == "Set up..."
    host.click(panel.ui.engineButton)
    assert opened == ["UniBiomedSlicer"]


def test_a_stopped_engine_does_not_keep_one_from_applying(host, panel, fake):
    fake.setState("stopped", "The engine is not running.")
    assert panel.applied("liver").task == "segment"


def test_a_notice_is_shown_while_it_runs_and_stays_with_the_result(host, panel):
    job = panel.applied("liver")
    job.sendNotice("The graphics memory was not enough; the processor does it now.")
    assert "graphics memory" in panel.message()
    job.finishWith()
    panel.settle()
    assert "graphics memory" in panel.message()


def test_what_is_set_reaches_the_engine(host, panel, volume):
    ui = panel.ui
    host.choose(ui.windowComboBox, "ct-lung")
    host.choose(ui.modalityComboBox, "CT")
    host.choose(ui.methodComboBox, "Propagate from the current slice")
    host.choose(ui.viewComboBox, next(text for text in entries(ui.viewComboBox) if "Green" in text))
    ui.cleanCheckBox.checked = True
    job = panel.applied("liver")
    assert job.modality == "CT"
    assert job.parameters["modality"] == "CT"
    assert job.parameters["window"] == "ct-lung"
    assert job.parameters["method"] == "propagate"
    assert job.parameters["axis"] == "coronal"
    assert 0 <= job.parameters["key_slice"] < 48
    assert job.parameters["clean"] is True
    assert "slices" not in job.parameters


def test_the_modality_that_is_shown_as_automatic_is_the_one_that_is_sent(host, panel):
    assert panel.ui.modalityComboBox.currentText == "Automatic (CT)"
    assert panel.applied("liver").modality == "CT"


def test_a_volume_of_unknown_kind_is_left_to_what_the_targets_imply(host, panel, volume):
    volume.SetName("Volume 7")
    panel.widget.panel.refresh()
    assert panel.ui.modalityComboBox.currentText == "Automatic"
    assert panel.applied("liver").modality is None


def test_a_window_can_be_typed_and_a_wrong_one_is_told(host, panel):
    box = panel.ui.windowComboBox
    panel.ui.promptLineEdit.setText("liver")
    typed(host, box, "nonsense")
    assert not panel.ui.applyButton.enabled
    assert "nonsense" in panel.ui.applyButton.toolTip
    typed(host, box, "350/ 50")
    assert panel.applied("liver").parameters["window"] == "350/ 50"


def test_only_what_was_not_found_is_said_when_there_is_no_segmentation_to_keep_it(host, panel, segmentations):
    nothing = recordedResult("segment")
    nothing["segments"] = []
    job = panel.applied("kidney tumor")
    nothing["provenance"]["shape"] = list(reversed(job.volumeNode().GetImageData().GetDimensions()))
    job.finishWith(nothing)
    panel.settle()
    assert segmentations() == []
    assert "Found nothing for <b>kidney tumor</b>" in panel.ui.notFoundLabel.text
    assert "Not seen in any of" in panel.ui.notFoundLabel.text
    panel.parameters.inputVolume = host.addVolume(slicer.util.arrayFromVolume(job.volumeNode()), name="CTOther")
    assert "Found nothing" not in panel.ui.notFoundLabel.text


def test_leaving_the_module_lets_the_run_go_on(host, panel, segmentations):
    job = panel.applied("liver")
    panel.widget.exit()
    job.finishWith()
    panel.settle()
    assert len(segmentations()) == 1
    assert panel.names() == ["liver", "spleen", "liver tumor"]
    panel.widget.enter()
    host.spin()
    assert panel.names() == ["liver", "spleen", "liver tumor"]


def test_closing_the_scene_in_the_middle_stops_the_run_and_the_panel_starts_anew(host, panel, fake):
    job = panel.applied("liver, spleen")
    for step in job.steps()[:6]:
        step()
    host.spin(seconds=0.3)
    host.newScene()
    host.spin()
    assert job.hasEnded or job.state == "cancelled"
    assert panel.logic.runs == []
    assert panel.ui.applyButton.text == "Apply"
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert panel.names() == []


def test_a_module_that_is_reloaded_leaves_nothing_connected(host, panel, fake, volume):
    panel.widget.cleanup()
    fake.setState("crashed", "Gone.")
    fake.capabilitiesChanged.emit()
    host.sliceNode("Red").Modified()
    host.spin(seconds=0.2)
    host.newScene()
    host.spin()


def entries(box):
    return [box.itemText(index) for index in range(box.count)]


def typed(host, box, text):
    box.lineEdit().selectAll()
    host.type(box.lineEdit(), text + "\n")
