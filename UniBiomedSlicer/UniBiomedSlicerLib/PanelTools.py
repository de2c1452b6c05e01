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
    """A question that is opened and answered later; nothing waits for it. Keep it until it is answered.

    A plain QDialog, since the ``open()`` of QMessageBox and QInputDialog has an overload that can hide this one.
    ``answered(bool)`` is called once; with ``value`` there is a line to edit, whose text is ``value`` afterwards.
    """

    def __init__(
        self, text: str, informative: str, agree: str, answered: Callable[[bool], None], value: str | None = None
    ) -> None:
        self.value = value
        self._answered: Callable[[bool], None] | None = answered
        self.dialog = qt.QDialog(slicer.util.mainWindow())
        self.dialog.setWindowTitle(_("UniBiomed"))
        self.dialog.setMinimumWidth(460)
        layout = qt.QVBoxLayout(self.dialog)
        headline = qt.QLabel(text)
        font = headline.font
        font.setBold(True)
        headline.setFont(font)
        explanation = qt.QLabel(informative)
        for label in (headline, explanation):
            label.setTextFormat(qt.Qt.PlainText)
            label.setWordWrap(True)
            label.setVisible(bool(label.text))
            layout.addWidget(label)
        self._edit = qt.QLineEdit(value or "")
        self._edit.setVisible(value is not None)
        layout.addWidget(self._edit)
        self._buttons = qt.QDialogButtonBox()
        agreeButton = self._buttons.addButton(agree, qt.QDialogButtonBox.AcceptRole)
        cancelButton = self._buttons.addButton(_("Cancel"), qt.QDialogButtonBox.RejectRole)
        # Return agrees to a name that was typed, never to a consent, a licence or a removal.
        agreeButton.setAutoDefault(value is not None)
        (agreeButton if value is not None else cancelButton).setDefault(True)
        self._buttons.connect("accepted()", self.dialog.accept)
        self._buttons.connect("rejected()", self.dialog.reject)
        layout.addWidget(self._buttons)
        self.dialog.connect("finished(int)", self._onFinished)
        self.dialog.open()

    def cleanup(self) -> None:
        """Close it unanswered."""
        if self._answered is not None:
            self._answered = None
            self.dialog.reject()

    def _onFinished(self, code: int = 0) -> None:
        answered, self._answered = self._answered, None
        if self.value is not None:
            self.value = self._edit.text.strip()
        self.dialog.deleteLater()
        if answered is not None:
            answered(int(code) == int(qt.QDialog.Accepted))
