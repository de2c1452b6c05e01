# SPDX-License-Identifier: Apache-2.0
"""What the panels of module UniBiomed share: their .ui files, progress lines, questions that do not block."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

_STEPS = 1000


def loadPanel(name: str) -> tuple[Any, Any]:
    """The widget of ``Resources/UI/<name>.ui`` and its children by name."""
    widget = slicer.util.loadUI(str(Path(__file__).resolve().parents[1] / "Resources" / "UI" / f"{name}.ui"))
    return widget, slicer.util.childWidgetVariables(widget)


def showProgress(bar: Any, label: Any, text: str, fraction: float | None) -> None:
    """Show how far something is; without a fraction the bar moves to and fro."""
    bar.setVisible(True)
    bar.setMaximum(0 if fraction is None else _STEPS)
    bar.setValue(0 if fraction is None else round(_STEPS * fraction))
    if label is not None:
        showText(label, text)


def hideProgress(bar: Any) -> None:
    """Nothing is going on any more."""
    bar.setVisible(False)
    bar.setMaximum(_STEPS)
    bar.setValue(0)


def showText(label: Any, text: str) -> None:
    """A label that takes no place while it has nothing to say. The text is shown as it is, not as HTML."""
    label.setTextFormat(qt.Qt.PlainText)
    label.setText(text)
    label.setVisible(bool(text))


def fillTable(table: Any, headers: list[str], rows: list[list[str]], boldRow: int = -1) -> None:
    """Put text into a QTableWidget; the first column takes the place that is left."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    table.setRowCount(len(rows))
    table.verticalHeader().setVisible(False)
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            if number == boldRow:
                font = item.font()
                font.setBold(True)
                item.setFont(font)
            table.setItem(number, column, item)
    header = table.horizontalHeader()
    for column in range(len(headers)):
        mode = qt.QHeaderView.Stretch if column == 0 else qt.QHeaderView.ResizeToContents
        header.setSectionResizeMode(column, mode)


class Question:
    """A message box that is opened and answered later; nothing waits for it. Keep it until it is answered."""

    def __init__(
        self, title: str, text: str, informative: str, agree: str, answered: Callable[[bool], None], details: str = ""
    ) -> None:
        self._answered: Callable[[bool], None] | None = answered
        self.box = qt.QMessageBox(slicer.util.mainWindow())
        self.box.setIcon(qt.QMessageBox.Question)
        self.box.setWindowTitle(title)
        self.box.setText(text)
        self.box.setInformativeText(informative)
        if details:
            self.box.setDetailedText(details)
        self._agree = self.box.addButton(agree, qt.QMessageBox.AcceptRole)
        self.box.addButton(_("Cancel"), qt.QMessageBox.RejectRole)
        self.box.connect("finished(int)", self._onFinished)
        self.box.open()

    def cleanup(self) -> None:
        """Close it unanswered."""
        self._answered = None
        self.box.close()

    def _onFinished(self, code: int = 0) -> None:
        answered, self._answered = self._answered, None
        agreed = self.box.clickedButton() == self._agree
        self.box.deleteLater()
        if answered is not None:
            answered(agreed)
