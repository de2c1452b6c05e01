# SPDX-License-Identifier: Apache-2.0
"""Typing in the prompt line: completion, several targets, unknown ones, Return and Esc."""

from __future__ import annotations

import pytest
import qt
from PySide6 import QtCore, QtTest


@pytest.fixture
def line(panel):
    return panel.ui.promptLineEdit


def popupOf(panel):
    return panel.widget.panel.prompt._completer.popup()


def pressed(widget, key):
    QtTest.QTest.keyClick(widget, key)


def offers(panel):
    model = popupOf(panel).model()
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_known_targets_are_offered_while_one_types(host, panel, line):
    host.type(line, "kid")
    assert popupOf(panel).isVisible()
    assert offers(panel) == ["kidney tumor", "left kidney", "right kidney"]


def test_return_in_the_list_completes_and_does_not_apply(host, panel, line, fake):
    host.type(line, "spl")
    pressed(popupOf(panel), QtCore.Qt.Key_Return)
    assert line.text == "spleen"
    assert not popupOf(panel).isVisible()
    assert fake.jobs == []
    pressed(line, QtCore.Qt.Key_Return)
    assert fake.jobs[-1].parameters["targets"] == ["spleen"]


def test_completion_works_on_the_target_at_the_cursor(host, panel, line):
    line.setText("liver, , aorta")
    line.setCursorPosition(len("liver, "))
    host.type(line, "left k")
    pressed(popupOf(panel), QtCore.Qt.Key_Return)
    assert line.text == "liver, left kidney, aorta"
    assert line.cursorPosition == len("liver, left kidney")


def test_a_full_name_is_applied_with_one_return_although_longer_names_are_offered(host, panel, line, fake):
    host.type(line, "liver")
    assert popupOf(panel).isVisible()
    assert "liver tumor" in offers(panel)
    pressed(popupOf(panel), QtCore.Qt.Key_Return)
    assert fake.jobs[-1].parameters["targets"] == ["liver"]


def test_escape_closes_the_list_first_and_cancels_the_run_then(host, panel, line, fake):
    job = panel.applied("liver")
    line.setFocus()
    host.type(line, ", k")
    pressed(popupOf(panel), QtCore.Qt.Key_Escape)
    assert not popupOf(panel).isVisible()
    assert panel.logic.activeRuns()[0].state == "running"
    panel.widget.parent.window().activateWindow()
    line.setFocus()
    host.spin()
    pressed(line, QtCore.Qt.Key_Escape)
    host.spin(until=lambda: job.hasEnded)
    assert job.state == "cancelled"


def test_an_unknown_target_is_told_at_once_and_a_click_on_a_near_match_repairs_it(host, panel, line):
    line.setText("spleen, livr")
    assert "livr" in panel.ui.feedbackLabel.text
    assert not panel.ui.applyButton.enabled
    assert "livr" in panel.ui.applyButton.toolTip
    panel.ui.feedbackLabel.linkActivated.emit("1/0")
    host.spin()
    assert line.text == "spleen, liver"
    assert panel.ui.applyButton.enabled
    assert "liver in abdomen CT" in panel.ui.feedbackLabel.text


def test_what_was_typed_is_shown_as_text_and_not_as_markup(panel, line):
    line.setText("<b>x</b>")
    assert "<b>x" not in panel.ui.feedbackLabel.text


def test_return_says_why_nothing_is_started(host, panel, line, fake):
    line.setText("livr")
    pressed(line, QtCore.Qt.Key_Return)
    assert fake.jobs == []
    assert "livr" in panel.message()
    line.setText("liver")
    assert "livr" not in panel.message()


def test_a_pasted_list_of_lines_is_several_targets(host, panel, line, fake):
    qt.QApplication.clipboard().setText("liver\nspleen\naorta")
    line.paste()
    pressed(line, QtCore.Qt.Key_Return)
    assert fake.jobs[-1].parameters["targets"] == ["liver", "spleen", "aorta"]


def test_the_modality_chosen_decides_what_is_known(host, panel, line):
    line.setText("tumor")
    host.choose(panel.ui.modalityComboBox, "MRI")
    assert panel.ui.applyButton.enabled
    host.choose(panel.ui.modalityComboBox, "CT")
    assert not panel.ui.applyButton.enabled
    assert "brain MRI" in panel.ui.feedbackLabel.text


def test_the_menu_adds_a_known_target(host, panel, line):
    line.setText("liver")
    menu = panel.ui.targetsButton.menu()
    place = next(action.menu() for action in menu.actions() if "brain" in action.text)
    next(action for action in place.actions() if action.text == "brain").trigger()
    assert line.text == "liver, brain"


def test_another_model_brings_other_targets(host, panel, line, fake):
    line.setText("pancreas")
    assert not panel.ui.applyButton.enabled
    fake.targets = [{"phrase": "pancreas in abdomen CT", "name": "pancreas", "site": "abdomen", "modality": "CT",
                     "kind": "anatomy", "rgb": [1, 2, 3]}]  # fmt: skip
    fake.capabilitiesChanged.emit()
    assert panel.ui.applyButton.enabled
