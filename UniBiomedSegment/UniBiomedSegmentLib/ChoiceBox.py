# SPDX-License-Identifier: Apache-2.0
"""A drop-down list whose entries come from the engine or the scene, kept in a text parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt


class ChoiceBox:
    """``comboBox`` shows (value, label) pairs; ``onChosen(value)`` follows a choice of the user only.

    parameterNodeWrapper binds drop-down lists to fixed choices; these change with the loaded model. A value that is not
    in the list is kept and shown as it is, so that a saved scene stays true. In an editable list typed text is a value.
    """

    def __init__(self, comboBox: Any, onChosen: Callable[[str], None]) -> None:
        self._box = comboBox
        self._onChosen: Callable[[str], None] | None = onChosen
        self._entries: list[tuple[str, str]] = []
        self._value = ""
        if comboBox.editable:
            comboBox.setInsertPolicy(qt.QComboBox.NoInsert)
            comboBox.lineEdit().connect("editingFinished()", self._onTyped)
        comboBox.connect("activated(int)", self._onActivated)

    def setEntries(self, entries: Sequence[tuple[str, str]]) -> None:
        """Show other entries; the value stays."""
        if list(entries) != self._entries:
            self._entries = list(entries)
            self._fill()

    def setValue(self, value: str) -> None:
        """Show ``value``; nobody is told."""
        if value != self._value:
            self._value = value
            self._fill()

    def cleanup(self) -> None:
        """Let go of the widget."""
        if self._onChosen is None:
            return
        self._onChosen = None
        self._box.disconnect("activated(int)", self._onActivated)
        if self._box.editable:
            self._box.lineEdit().disconnect("editingFinished()", self._onTyped)

    def _fill(self) -> None:
        entries = list(self._entries)
        if self._value not in [value for value, _label in entries]:
            entries.append((self._value, self._value))
        blocked = self._box.blockSignals(True)
        self._box.clear()
        for value, label in entries:
            self._box.addItem(label, value)
        self._box.setCurrentIndex([value for value, _label in entries].index(self._value))
        self._box.blockSignals(blocked)

    def _onActivated(self, index: int) -> None:
        self._choose(self._box.itemData(index))

    def _onTyped(self) -> None:
        text = self._box.currentText.strip()
        byLabel = {label: value for value, label in self._entries}
        if text:
            self._choose(byLabel.get(text, text))
        else:
            self._fill()

    def _choose(self, value: str) -> None:
        if value != self._value and self._onChosen is not None:
            self._value = value
            self._onChosen(value)
