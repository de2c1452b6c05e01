# SPDX-License-Identifier: Apache-2.0
"""Dialogs, recorded instead of shown. A test gives the answers beforehand; without one, the harmless answer is given."""

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


def executed(dialog: Any, *arguments: Any) -> int:
    """In the place of `dialog.exec_()`. An answer is a number, a button's text, or a function that is given the dialog."""
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
    answer = answers.popleft() if answers else None
    if callable(answer):
        answer = answer(dialog)
    if isinstance(answer, str):
        wanted = [button for button in buttons if button.text.replace("&", "") == answer]
        if not wanted:
            raise AssertionError(f"the dialog {text!r} has no button {answer!r}")
        dialog._clicked = wanted[0]
        if isinstance(dialog, QtWidgets.QMessageBox):
            return int(dialog.standardButton(wanted[0]))
        wanted[0].click()
        return int(dialog.result)
    if answer is not None:
        return int(answer)
    if isinstance(dialog, QtWidgets.QMessageBox):
        refusals = (QtWidgets.QMessageBox.Cancel, QtWidgets.QMessageBox.No, QtWidgets.QMessageBox.Close)
        return int(next((one for one in refusals if dialog.button(one)), QtWidgets.QMessageBox.Ok))
    return 0


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
