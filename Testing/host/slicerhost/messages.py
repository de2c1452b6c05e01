# SPDX-License-Identifier: Apache-2.0
"""Dialogs, recorded instead of shown. A test answers beforehand; else the harmless answer is given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Shown:
    kind: str
    text: str
    title: str = ""
    informativeText: str = ""
    detailedText: str = ""
    buttons: list[str] = field(default_factory=list)


shown: list[Shown] = []
answers: deque[Any] = deque()
urls: list[str] = []


def _record(dialog: Any) -> list[Any]:
    from PySide6 import QtWidgets

    buttons = dialog.findChildren(QtWidgets.QAbstractButton)
    text = getattr(dialog, "text", "") or " ".join(label.text for label in dialog.findChildren(QtWidgets.QLabel))
    shown.append(
        Shown(
            type(dialog).__name__,
            text if isinstance(text, str) else "",
            dialog.windowTitle,
            getattr(dialog, "informativeText", ""),
            getattr(dialog, "detailedText", ""),
            [button.text.replace("&", "") for button in buttons],
        )
    )
    return buttons


def _button(dialog: Any, buttons: list[Any], answer: str) -> Any:
    wanted = [button for button in buttons if button.text.replace("&", "") == answer]
    if not wanted:
        raise AssertionError(f"the dialog {shown[-1].text!r} has no button {answer!r}, but {shown[-1].buttons}")
    dialog._clicked = wanted[0]
    return wanted[0]


def executed(dialog: Any, *arguments: Any) -> int:
    """In the place of `dialog.exec_()`. The answer: a number, a button's text, or a function given the dialog."""
    from PySide6 import QtWidgets

    buttons = _record(dialog)
    answer = answers.popleft() if answers else None
    if callable(answer):
        answer = answer(dialog)
    if isinstance(answer, str):
        button = _button(dialog, buttons, answer)
        if isinstance(dialog, QtWidgets.QMessageBox):
            return int(dialog.standardButton(button))
        button.click()
        return int(dialog.result())
    if answer is not None:
        return int(answer)
    if isinstance(dialog, QtWidgets.QMessageBox):
        refusals = (QtWidgets.QMessageBox.Cancel, QtWidgets.QMessageBox.No, QtWidgets.QMessageBox.Close)
        return int(next((one for one in refusals if dialog.button(one)), QtWidgets.QMessageBox.Ok))
    return 0


def opened(show: Any) -> Any:
    """Around `dialog.open()`, which does not wait: really shown, and a given answer is clicked a moment later."""
    from PySide6 import QtCore

    def open_(dialog: Any, *arguments: Any) -> None:
        buttons = _record(dialog)
        show(dialog)
        if answers:
            answer = answers.popleft()
            action = _button(dialog, buttons, answer).click if isinstance(answer, str) else lambda: answer(dialog)
            QtCore.QTimer.singleShot(0, action)

    return open_


def asked(kind: str) -> Any:
    """In the place of QMessageBox.question() and its like."""

    def ask(parent: Any, title: str, text: str, *buttons: Any) -> int:
        from PySide6 import QtWidgets

        box = QtWidgets.QMessageBox()
        box.setWindowTitle(title)
        box.setText(text)
        box.setStandardButtons(buttons[0] if buttons else QtWidgets.QMessageBox.Ok)
        return executed(box)

    return ask


def fileDialog(kind: str) -> Any:
    def ask(parent: Any = None, title: str = "", *arguments: Any) -> str:
        shown.append(Shown(kind, title))
        return str(answers.popleft()) if answers else ""

    return ask


def openedUrl(url: Any) -> bool:
    urls.append(url.toString())
    return True


def reset() -> None:
    shown.clear()
    answers.clear()
    urls.clear()
