# SPDX-License-Identifier: Apache-2.0
"""The module UniBiomed Report, driven by clicks and keys; the engine's answers are given by the test."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import qt
import slicer
from fake_engine import recordedResult
from UniBiomedSlicerLib.SliceGeometry import axisOfSliceNode
from UniBiomedSlicerLib.VolumeGeometry import worldIjkToRas

TEXT = "liver tumor. a small hypodense tumor is seen in the liver."


def finish(host, module, result=None):
    """The engine's answer to the last thing asked, and the report that comes of it."""
    module.logic.service.jobs[-1].finishWith(result)
    host.spin(until=lambda: module.widget._task is None)
    return module.report.node


def interpretation(host, module):
    host.click(module.ui.interpretButton)
    return finish(host, module)


def pointOf(module, words, at=0):
    """Where some words stand in the text view."""
    cursor = qt.QTextCursor(module.view.browser.document)
    start = module.view.text.index(words) + at
    cursor.setPosition(start)
    left = module.view.browser.cursorRect(cursor)
    cursor.setPosition(start + 1)
    right = module.view.browser.cursorRect(cursor)
    return qt.QPoint((left.x() + right.x()) // 2, left.center().y())


def hover(host, module, words):
    host.hover(module.view.browser.viewport(), pointOf(module, words))


def clickOn(host, module, words):
    point = pointOf(module, words)
    host.hover(module.view.browser.viewport(), point)
    host.click(module.view.browser.viewport(), point)


def segmentNamed(module, name):
    segmentation = module.report._segmentationNode().GetSegmentation()
    return segmentation.GetSegmentIdBySegmentName(name)


def opacities(module):
    display = module.report._segmentationNode().GetDisplayNode()
    segmentation = module.report._segmentationNode().GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return {segmentation.GetSegment(one).GetName(): display.GetSegmentOpacity2DOutline(one) for one in ids}


def marked(module):
    """The words that are marked strongly now, by selection or by the mouse."""
    found = []
    for selection in module.view.browser.extraSelections():
        if selection.format.background().color().alpha() > 60:
            found.append(selection.cursor.selectedText())
    return found


def linked(module):
    """Phrase -> names of its segments, as the scene has it."""
    document = module.logic.store.document(module.report.node)
    segmentation = module.report._segmentationNode().GetSegmentation()
    return [
        (document["text"][s["start"] : s["end"]], [segmentation.GetSegment(one).GetName() for one in s["segments"]])
        for s in document["spans"]
    ]


# Reading


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
    assert module.view.text == TEXT
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert module.ui.segmentTable.rowCount == 3
    assert "not for clinical use" in module.ui.noticeLabel.text
    assert "0.42" in module.ui.confidenceLabel.text


def test_the_slice_is_the_one_that_the_chosen_view_shows(host, module, engine):
    host.choose(module.ui.viewSelector, "Green")
    node = host.sliceNode("Green")
    node.JumpSlice(0, 96 - 2 * 30, 0)
    host.spin(until=lambda: "coronal slice 30" in module.ui.sliceLabel.text)
    host.click(module.ui.findingsButton)
    assert engine.jobs[-1].parameters == {"axis": "coronal", "slices": [30]}


def test_a_whole_volume_is_read_without_a_slice(host, module, engine):
    host.click(module.ui.volumeRadio)
    host.click(module.ui.findingsButton)
    assert (engine.jobs[-1].task, engine.jobs[-1].parameters) == ("recognise", {})
    finish(host, module)
    host.click(module.ui.reportButton)
    assert (engine.jobs[-1].task, engine.jobs[-1].parameters) == ("interpret", {"anatomy": False})
    finish(host, module)
    host.click(module.ui.interpretButton)
    assert (engine.jobs[-1].task, engine.jobs[-1].parameters) == ("interpret", {"anatomy": True})


def test_modality_and_window_go_along_when_they_are_chosen(host, module, engine):
    module.ui.optionsButton.collapsed = False
    host.click(module.ui.reportButton)
    assert engine.jobs[-1].modality == "CT", "said by the volume's name"
    finish(host, module)
    host.choose(module.ui.modalitySelector, "MRI")
    module.ui.windowSelector.lineEdit().setFocus()
    host.type(module.ui.windowSelector.lineEdit(), "300/50")
    host.click(module.ui.reportButton)
    assert engine.jobs[-1].modality == "MRI"
    assert engine.jobs[-1].parameters["window"] == "300/50"


def test_only_one_reading_at_a_time_and_the_progress_is_told(host, module, engine):
    host.click(module.ui.interpretButton)
    assert not module.ui.reportButton.enabled
    engine.jobs[-1].progress("read", 0.5, 120)
    assert module.ui.progressBar.value == 500
    assert "about 2 min left" in module.ui.statusLabel.text
    engine.jobs[-1].sendNotice("The batch was made smaller.")
    assert module.ui.statusLabel.text == "The batch was made smaller."
    finish(host, module)
    assert module.ui.reportButton.enabled
    assert not module.ui.progressFrame.visible


def test_nothing_found_is_said_and_makes_no_segments(host, module, engine):
    result = recordedResult("report")
    result.update(text="no findings. the liver is normal.", spans=[], segments=[], findings=[], nothing_found=True)
    host.click(module.ui.reportButton)
    node = finish(host, module, result)
    assert module.view.text == "no findings. the liver is normal."
    assert module.logic.store.segmentationNode(node) is None
    assert not module.ui.segmentTable.visible
    interpretation(host, module)
    assert "Looked for and not found: kidney tumor." in module.ui.warningLabel.text


# Phrases and segments


def test_pointing_at_a_phrase_makes_its_segment_stand_out_and_leaving_puts_it_back(host, module, volume):
    interpretation(host, module)
    before = opacities(module)
    hover(host, module, "aorta")
    now = opacities(module)
    assert now["aorta"] == before["aorta"]
    assert all(now[name] == pytest.approx(0.2 * before[name]) for name in before if name != "aorta")
    assert marked(module) == ["aorta"]
    hover(host, module, "CT image")
    assert opacities(module) == before
    assert marked(module) == []


def test_clicking_a_phrase_goes_to_its_slice_and_selects_its_segment(host, module, volume):
    interpretation(host, module)
    host.sliceNode("Red").JumpSlice(0, 0, -35 + 5 * 13)
    clickOn(host, module, "spleen")
    spleen = segmentNamed(module, "spleen")
    assert module.table.selection() == [spleen]
    assert marked(module) == ["spleen"]
    axis, index = axisOfSliceNode(host.sliceNode("Red"), volume)
    host.spin(until=lambda: module.ui.sliceLabel.text.startswith(f"{axis} slice {index} "))
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(module.report._segmentationNode(), spleen, volume)
    areas = mask.reshape(mask.shape[0], -1).sum(axis=1)
    assert areas[index] == areas.max()
    assert module.ui.segmentSelector.currentText == "spleen", "ready to be described"


def test_selecting_a_segment_marks_its_phrases(host, module):
    interpretation(host, module)
    row = next(r for r in range(module.ui.segmentTable.rowCount) if module.ui.segmentTable.item(r, 0).text() == "liver")
    cell = module.ui.segmentTable.visualItemRect(module.ui.segmentTable.item(row, 1)).center()
    host.click(module.ui.segmentTable.viewport(), cell)
    assert marked(module) == ["liver"]
    assert opacities(module)["spleen"] < 1


def test_selecting_a_segment_in_the_segment_editor_marks_its_phrases(host, module):
    interpretation(host, module)
    editor = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetAndObserveSegmentationNode(module.report._segmentationNode())
    editor.SetSelectedSegmentID(segmentNamed(module, "aorta"))
    assert marked(module) == ["aorta"]


def test_the_boxes_of_the_table_show_and_hide_segments(host, module):
    interpretation(host, module)
    liver = segmentNamed(module, "liver")
    row = next(r for r in range(module.ui.segmentTable.rowCount) if module.ui.segmentTable.item(r, 0).text() == "liver")
    module.ui.segmentTable.item(row, 0).setCheckState(qt.Qt.Unchecked)
    assert not module.report._segmentationNode().GetDisplayNode().GetSegmentVisibility(liver)


def test_a_renamed_recoloured_or_removed_segment_is_followed(host, module):
    interpretation(host, module)
    segmentation = module.report._segmentationNode().GetSegmentation()
    segment = segmentation.GetSegment(segmentNamed(module, "aorta"))
    segment.SetName("main vessel")
    segment.SetColor(0, 0, 1)
    names = [module.ui.segmentTable.item(row, 0).text() for row in range(module.ui.segmentTable.rowCount)]
    assert "main vessel" in names
    colors = {s.cursor.selectedText(): s.format.underlineColor().name() for s in module.view.browser.extraSelections()}
    assert colors["aorta"] == "#0000ff"
    segmentation.RemoveSegment(segmentNamed(module, "main vessel"))
    hover(host, module, "aorta")
    assert module.ui.segmentTable.rowCount == len(names) - 1


def test_leaving_the_module_puts_the_views_back_and_saves_the_text(host, module):
    interpretation(host, module)
    before = opacities(module)
    clickOn(host, module, "aorta")
    host.type(module.view.browser, "x")
    module.widget.exit()
    assert opacities(module) == before
    assert module.logic.store.document(module.report.node)["text"] == module.view.text


def test_a_selected_segment_stands_out_for_a_moment_only(host, module, monkeypatch):
    interpretation(host, module)
    module.report._flashTimer.setInterval(50)
    clickOn(host, module, "aorta")
    hover(host, module, "CT image")
    assert set(opacities(module).values()) == {1.0}
    module.table.table.selectRow(2)
    assert min(opacities(module).values()) < 1
    host.spin(until=lambda: set(opacities(module).values()) == {1.0})
    assert marked(module) == ["liver"]


# Editing


def put(module, words, at=0):
    """The caret into some words."""
    cursor = module.view.browser.textCursor()
    cursor.setPosition(module.view.text.index(words) + at)
    module.view.browser.setTextCursor(cursor)
    module.view.browser.setFocus()


def test_typing_keeps_every_link_and_is_saved_with_a_mark(host, module):
    interpretation(host, module)
    before = linked(module)
    put(module, "CT image")
    host.type(module.view.browser, "Follow-up. ")
    put(module, "aorta", 5)
    host.type(module.view.browser, " (calcified)")
    put(module, "spleen", 3)
    host.type(module.view.browser, "-")
    host.spin(until=lambda: not module.report._saveTimer.active)
    after = linked(module)
    assert [names for _, names in after] == [names for _, names in before]
    assert after[1][0] == "aorta"
    assert after[4][0] == "spl-een"
    assert module.logic.store.document(module.report.node)["text"].startswith("Follow-up. CT image")
    assert "Edited." in module.ui.noticeLabel.text
    hover(host, module, "aorta")
    assert marked(module) == ["aorta"]


def test_undo_brings_a_deleted_phrase_back_with_its_link(host, module):
    interpretation(host, module)
    before = linked(module)
    cursor = module.view.browser.textCursor()
    start = module.view.text.index("the aorta")
    cursor.setPosition(start)
    cursor.setPosition(start + 20, qt.QTextCursor.KeepAnchor)
    module.view.browser.setTextCursor(cursor)
    module.view.browser.setFocus()
    host.type(module.view.browser, "z")
    assert "aorta" not in [words for words, _ in module_links(module)]
    module.view.browser.undo()
    module.report.flush()
    assert linked(module) == before
    hover(host, module, "aorta")
    assert marked(module) == ["aorta"]
    module.view.browser.undo()
    assert module.view.text, "loading the text is not something to undo"


def module_links(module):
    return [(module.view.text[s["start"] : s["end"]], s["segments"]) for s in module.view.spans()]


def test_text_beyond_the_basic_plane_keeps_phrases_in_place(host, module):
    interpretation(host, module)
    put(module, "CT image")
    module.view.browser.insertPlainText("\U0001f600 ok ")
    put_at = module.view.text.index("aorta")
    assert module.view.model.at(put_at) is not None
    hover_point_words = [s.cursor.selectedText() for s in module.view.browser.extraSelections()]
    assert "aorta" in hover_point_words


def test_a_report_changed_by_a_script_is_shown(host, module):
    node = interpretation(host, module)
    module.logic.store.setText(node, "Changed.", [])
    assert module.view.text == "Changed."


# Questions


def ask(host, module, question):
    module.ui.questionEdit.setFocus()
    host.type(module.ui.questionEdit, question + "\n")
    return module.logic.service.jobs[-1]


def answerOf(text, history, offTemplate=False, segments=True, slice_=7):
    """A report made into an answer."""
    made = copy.deepcopy(recordedResult("report"))
    made.update(type="answer", text=text, off_template=offTemplate, history=history, question="?", slice=slice_)
    made.pop("findings")
    made["spans"] = [{"start": 0, "end": 11, "text": text[:11], "segments": ["s1"]}] if segments else []
    made["segments"] = made["segments"][:1] if segments else []
    return made


def laid(module, document):
    from fake_engine import layOver

    made = layOver(document, module.ui.volumeSelector.currentNode())
    return {**made, "slice": document["slice"]}


def test_a_trained_question_is_recognised_in_plain_words(host, module, engine):
    job = ask(host, module, "Is there an abnormality in the liver?")
    assert job.task == "answer"
    assert job.parameters == {"anatomy": "liver", "axis": "axial", "slice_index": 7}
    finish(host, module)
    assert module.view.text.startswith("Q: Is there an abnormality in the liver?\nA: no findings.")
    assert not module.ui.warningLabel.visible or "Unreliable" not in module.ui.warningLabel.text


def test_questions_that_the_model_knows_are_offered_while_typing(host, module):
    model = module.ui.questionEdit.completer().model()
    offered = [model.data(model.index(row, 0)) for row in range(model.rowCount())]
    assert "Is there an abnormality in the liver?" in offered
    assert not any("brain" in words for words in offered), "this is a CT"


def test_an_answer_off_the_training_is_marked_as_unreliable(host, module, engine):
    job = ask(host, module, "How old is the patient?")
    assert job.parameters["question"] == "How old is the patient?"
    finish(host, module, laid(module, answerOf("liver tumor, 50 years.", "h1", offTemplate=True)))
    assert "[unreliable" in module.view.text
    assert module.ui.warningLabel.visible
    assert "Unreliable" in module.ui.warningLabel.text


def test_a_follow_up_sends_the_history_and_is_put_behind_what_stands_there(host, module, engine):
    ask(host, module, "Is there an abnormality in the liver?")
    node = finish(host, module, laid(module, answerOf("liver tumor.", "h1", slice_=7)))
    assert module.ui.questionEdit.text == ""
    put(module, "liver tumor.", 12)
    host.type(module.view.browser, " As before.")
    host.sliceNode("Red").JumpSlice(0, 0, 0)
    assert module.ui.followUpBox.checked
    assert "axial slice 7" in module.ui.followUpBox.text
    job = ask(host, module, "Where is it?")
    assert job.parameters == {"question": "Where is it?", "history": "h1", "axis": "axial", "slice_index": 7}
    assert finish(host, module, laid(module, answerOf("liver tumor again.", "h2"))) is node
    text = (
        "Q: Is there an abnormality in the liver?\nA: liver tumor. As before.\n\nQ: Where is it?\nA: liver tumor again."
    )
    assert module.view.text == text
    assert [words for words, _ in linked(module)] == ["liver tumor", "liver tumor"]
    ids = [span["segments"][0] for span in module.logic.store.document(node)["spans"]]
    assert ids[0] != ids[1], "each answer has its own segment"
    assert module.logic.conversation(node).history == "h2"
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_without_follow_up_a_question_begins_a_new_conversation(host, module, engine):
    ask(host, module, "Is there an abnormality in the liver?")
    first = finish(host, module, laid(module, answerOf("liver tumor.", "h1")))
    host.click(module.ui.followUpBox)
    assert "history" not in ask(host, module, "Is there an abnormality in the spleen?").parameters
    second = finish(host, module, laid(module, answerOf("liver tumor.", "h9")))
    assert second is not first
    assert len(module.logic.store.reports()) == 2


def test_a_follow_up_whose_conversation_was_deleted_meanwhile_is_a_new_one(host, module, engine):
    ask(host, module, "Is there an abnormality in the liver?")
    first = finish(host, module, laid(module, answerOf("liver tumor.", "h1")))
    ask(host, module, "Where?")
    module.logic.store.remove(first)
    node = finish(host, module, laid(module, answerOf("liver tumor here.", "h2")))
    assert module.logic.store.document(node)["text"] == "Q: Where?\nA: liver tumor here."


# Descriptions


def test_the_selected_segment_is_described_and_the_words_are_linked_to_it(host, module, engine, volume):
    from UniBiomedSlicerLib import BoxMask

    interpretation(host, module)
    segmentation = module.report._segmentationNode()
    clickOn(host, module, "aorta")
    aorta = segmentNamed(module, "aorta")
    host.click(module.ui.describeButton)
    job = engine.jobs[-1]
    assert job.task == "describe"
    offset, box = BoxMask.decode(job.parameters["region"])
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, aorta, volume)
    assert box.sum() == mask.sum()
    assert mask[tuple(slice(o, o + n) for o, n in zip(offset, box.shape, strict=True))].sum() == mask.sum()
    node = finish(host, module)
    assert node.GetName() == "Description of aorta"
    assert linked(module) == [("aorta in abdomen CT", ["aorta"])]
    assert "0.74" in module.ui.confidenceLabel.text


def test_a_segment_off_the_current_slice_is_described_on_its_own(host, module, engine, volume):
    interpretation(host, module)
    clickOn(host, module, "spleen")
    host.sliceNode("Red").JumpSlice(0, 0, -35)
    host.spin(until=lambda: module.ui.sliceLabel.text.startswith("axial slice 0 "))
    host.click(module.ui.describeButton)
    assert "slice_index" not in engine.jobs[-1].parameters


def test_an_empty_segment_is_refused_in_words(host, module, engine, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("a", "thing")
    host.choose(module.ui.segmentationSelector, "Mine")
    host.click(module.ui.describeButton)
    assert "is empty" in module.ui.statusLabel.text
    assert engine.jobs == []


# Several reports


def test_reports_are_chosen_renamed_and_deleted(host, module):
    first = interpretation(host, module)
    second = interpretation(host, module)
    assert (first.GetName(), second.GetName()) == (
        "Interpretation of CT phantom",
        "Interpretation of CT phantom (2)",
    )
    host.answer(lambda dialog: dialog.setTextValue("Second opinion") or 1)
    host.click(module.ui.renameButton)
    assert second.GetName() == "Second opinion"
    assert module.ui.reportSelector.currentText == "Second opinion"
    host.choose(module.ui.reportSelector, "Interpretation of CT phantom")
    assert module.report.node is first
    host.answer("Yes")
    host.click(module.ui.deleteButton)
    host.spin(until=lambda: module.report.node is second)
    assert len(module.logic.store.reports()) == 1
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2, "segments stay"


def test_a_report_that_is_not_confirmed_for_deletion_stays(host, module):
    node = interpretation(host, module)
    host.answer("No")
    host.click(module.ui.deleteButton)
    assert module.report.node is node


def test_a_new_report_does_not_push_aside_the_one_that_is_read(host, module, engine):
    first = interpretation(host, module)
    host.click(module.ui.reportButton)
    engine.jobs[-1].growText("liver")
    host.choose(module.ui.reportSelector, "Interpretation of CT phantom")
    engine.jobs[-1].growText("liver tumor")
    assert module.view.text != "liver tumor"
    finish(host, module)
    assert module.report.node is first
    assert module.ui.reportSelector.count == 2


def test_copy_takes_text_notice_and_figures(host, module):
    interpretation(host, module)
    host.click(module.ui.copyButton)
    copied = slicer.app.clipboard().text()
    assert copied.startswith("Interpretation of CT phantom\nAI generated, not for clinical use.")
    assert module.view.text in copied
    assert "- liver: " in copied


# What can go wrong


def test_cancelling_leaves_nothing_in_the_scene(host, module, engine):
    host.click(module.ui.interpretButton)
    engine.jobs[-1].growText("CT image")
    host.click(module.ui.cancelButton)
    host.spin(until=lambda: module.widget._task is None)
    assert module.ui.statusLabel.text == "Cancelled."
    assert module.logic.store.reports() == []
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert module.view.text == ""


def test_a_crash_is_told_and_restart_is_one_click(host, module, engine):
    first = interpretation(host, module)
    host.click(module.ui.reportButton)
    engine.jobs[-1].growText("liver")
    engine.crash()
    assert "ended unexpectedly" in module.ui.engineLabel.text
    assert "ended unexpectedly" in module.ui.statusLabel.text
    assert module.report.node is first
    assert module.ui.engineButton.text == "Restart"
    host.click(module.ui.engineButton)
    host.spin(until=lambda: engine.state == "ready")
    assert not module.ui.engineFrame.visible
    assert module.ui.reportButton.enabled


def test_a_missing_engine_leads_to_its_set_up(host, module, engine, monkeypatch):
    asked = []
    monkeypatch.setattr(slicer.util, "selectModule", asked.append)
    engine.setState("notInstalled", "The engine is not installed yet.")
    assert module.ui.engineLabel.text == "The engine is not installed yet."
    assert not module.ui.reportButton.enabled
    host.click(module.ui.engineButton)
    assert asked == ["UniBiomedSlicer"]


def test_a_failure_is_one_sentence(host, module, engine):
    host.click(module.ui.reportButton)
    engine.jobs[-1].failWith("This slice cannot be read.", "input")
    host.spin(until=lambda: module.widget._task is None)
    assert module.ui.statusLabel.text == "This slice cannot be read."
    assert module.view.text == ""


def test_the_result_for_a_volume_that_was_deleted_is_offered(host, module, engine, volume):
    host.click(module.ui.reportButton)
    result = engine.jobs[-1].expectedResult()
    slicer.mrmlScene.RemoveNode(volume)
    engine.jobs[-1].finishWith(result)
    host.spin()
    assert module.ui.offerFrame.visible
    assert "was deleted" in module.ui.offerLabel.text
    assert module.logic.store.reports() == []
    host.click(module.ui.keepButton)
    host.spin(until=lambda: module.report.node is not None)
    assert module.view.text == TEXT
    assert not module.ui.offerFrame.visible
    assert "no longer in the scene" in module.ui.warningLabel.text
    hover(host, module, "liver")


def test_the_result_for_a_volume_that_was_changed_can_be_discarded(host, module, engine, volume):
    host.click(module.ui.reportButton)
    slicer.util.updateVolumeFromArray(volume, np.roll(slicer.util.arrayFromVolume(volume), 3, axis=0).copy())
    engine.jobs[-1].finishWith()
    host.spin()
    assert "changed" in module.ui.offerLabel.text
    host.click(module.ui.discardButton)
    assert module.logic.store.reports() == []
    assert not module.ui.offerFrame.visible


def test_closing_the_scene_ends_a_reading_and_clears_the_panel(host, module, engine):
    interpretation(host, module)
    host.click(module.ui.reportButton)
    engine.jobs[-1].growText("liver")
    host.newScene()
    host.spin(until=lambda: module.widget._task is None)
    host.spin()
    assert engine.jobs[-1].state == "cancelled"
    assert module.view.text == ""
    assert module.ui.reportSelector.count == 0
    assert module.ui.segmentTable.rowCount == 0


def test_reloading_the_module_finds_the_reports_again(host, module, engine):
    node = interpretation(host, module)
    module.widget.exit()
    module.widget.enter()
    assert module.report.node is node


def test_a_volume_without_a_rectangular_grid_is_refused_in_words(host, module, engine, volume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    import vtk

    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50)):
        points.InsertNextPoint(*point)
    moved = vtk.vtkPoints()
    for point in ((0, 0, 5), (50, 4, 0), (0, 50, 0), (3, 0, 50)):
        moved.InsertNextPoint(*point)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    transform.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    host.click(module.ui.reportButton)
    assert "non-linear" in module.ui.statusLabel.text
    assert engine.jobs == []


def test_clicking_a_phrase_leads_the_view_through_its_segment_in_a_turned_volume(host, module, engine, volume):
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turned")
    turn = vtk.vtkTransform()
    turn.RotateX(20)
    turn.Translate(30, -12, 40)
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())
    interpretation(host, module)
    clickOn(host, module, "spleen")
    spleen = segmentNamed(module, "spleen")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(module.report._segmentationNode(), spleen, volume)
    largest = mask.reshape(mask.shape[0], -1).sum(axis=1).argmax()
    sliceToRas = slicer.util.arrayFromVTKMatrix(host.sliceNode("Red").GetSliceToRAS())
    voxels = np.argwhere(mask[largest])
    kji = np.column_stack([np.full(len(voxels), largest), voxels])
    points = np.column_stack([kji[:, ::-1], np.ones(len(kji))]) @ worldIjkToRas(volume).T
    distances = np.abs((points[:, :3] - sliceToRas[:3, 3]) @ sliceToRas[:3, 2])
    assert distances.min() < 0.1, "the view's plane cuts the segment's largest slice"


def test_a_report_whose_segmentation_was_deleted_keeps_its_words(host, module):
    node = interpretation(host, module)
    text = module.view.text
    slicer.mrmlScene.RemoveNode(module.report._segmentationNode())
    host.spin(until=lambda: module.ui.segmentTable.rowCount == 0)
    assert module.report.node is node
    assert module.view.text == text
    assert module.view.browser.extraSelections() == []
    hover(host, module, "aorta")


def test_what_was_typed_is_not_lost_when_a_node_goes(host, module, volume):
    interpretation(host, module)
    put(module, "CT image")
    host.type(module.view.browser, "Checked. ")
    slicer.mrmlScene.RemoveNode(volume)
    host.spin(until=lambda: "no longer in the scene" in module.ui.warningLabel.text)
    assert module.view.text.startswith("Checked. CT image")
    assert module.logic.store.document(module.report.node)["text"].startswith("Checked. CT image")


def test_a_module_that_is_unloaded_hears_nothing_of_its_reading(host, module, engine):
    host.click(module.ui.interpretButton)
    job = engine.jobs[-1]
    module.widget.cleanup()
    job.growText("liver")
    job.finishWith()
    host.spin()
    assert slicer.util.getNodesByClass("vtkMRMLTextNode") == []


def test_a_damaged_report_is_told_and_left_out(host, module):
    node = interpretation(host, module)
    node.SetText("{")
    host.spin(until=lambda: "not a readable report" in module.ui.statusLabel.text)
    assert module.ui.reportSelector.count == 0
    assert module.view.text == ""
