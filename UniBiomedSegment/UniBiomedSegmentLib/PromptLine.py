# SPDX-License-Identifier: Apache-2.0
"""The line edit in which targets are named: completion of the piece at the cursor, and what is known of each piece."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import Any

import qt
from slicer.i18n import tr as _
from UniBiomedSlicerLib.Signal import Signal

from UniBiomedSegmentLib import Prompt
from UniBiomedSegmentLib.TargetList import Check, Target, TargetList

_SHOWN = 12


class PromptLine:
    """Makes ``lineEdit`` a prompt and says below it, in ``feedback`` (a QLabel), what it makes of the names.

    ``modality()`` is asked for the modality of the picture (None: not known). ``changed()`` follows every edit,
    ``applied()`` Return, ``escaped()`` Esc while no completion is shown; ``takesEscape`` False leaves Esc to a window
    that has another use for it.
    """

    def __init__(
        self, lineEdit: Any, feedback: Any, modality: Callable[[], str | None], takesEscape: bool = True
    ) -> None:
        self.changed = Signal("PromptLine.changed")
        self.applied = Signal("PromptLine.applied")
        self.escaped = Signal("PromptLine.escaped")
        self._edit = lineEdit
        self._feedback = feedback
        self._modality = modality
        self._targets = TargetList()
        self._checks: list[Check] = []
        self._model = qt.QStringListModel(lineEdit)
        self._completer = qt.QCompleter(lineEdit)
        self._completer.setModel(self._model)
        self._completer.setCompletionMode(qt.QCompleter.UnfilteredPopupCompletion)
        self._completer.setMaxVisibleItems(_SHOWN)
        self._completer.setWidget(lineEdit)
        self._connections: list[tuple[Any, str, Callable[..., Any]]] = [
            (self._completer, "activated(QString)", self._onCompleted),
            (lineEdit, "textEdited(QString)", self._onEdited),
            (lineEdit, "textChanged(QString)", self._onTextChanged),
            (lineEdit, "returnPressed()", self._onReturn),
            (feedback, "linkActivated(QString)", self._onSuggestion),
        ]
        self._escape: Any = None
        if takesEscape:
            # In the line alone, so that nobody else's Esc is taken.
            self._escape = qt.QShortcut(qt.QKeySequence("Esc"), lineEdit)
            self._escape.setContext(qt.Qt.WidgetShortcut)
            self._connections.append((self._escape, "activated()", self._onEscape))
        for sender, signal, slot in self._connections:
            sender.connect(signal, slot)
        self.refresh()

    def setTargets(self, targets: TargetList) -> None:
        """Take another list of known targets."""
        self._targets = targets
        self.refresh()

    def names(self) -> list[str]:
        """The targets named, each once."""
        return Prompt.names(self._edit.text)

    def problem(self) -> str:
        """Why the line cannot be used as it is, in one sentence; ""."""
        if not self.names():
            return _("Name at least one target, for example liver.")
        return next((check.problem for check in self._checks if check.problem), "")

    def add(self, text: str) -> None:
        """Put one more target at the end."""
        self._edit.setText(Prompt.appended(self._edit.text, text))

    def refresh(self) -> None:
        """Look at the names again: the list of targets or the modality has changed."""
        modality = self._modality()
        self._checks = [self._targets.check(name, modality) for name in self.names()]
        lines = [self._inWords(number) for number, check in enumerate(self._checks) if check.problem]
        known = [check.target for check in self._checks if check.target is not None]
        if known and not lines:
            lines = [html.escape(_("Asks for {targets}.").format(targets=inWords(known)))]
        self._feedback.setText("<br>".join(lines))
        self._feedback.setVisible(bool(lines))

    def cleanup(self) -> None:
        """Let go of the widgets."""
        for sender, signal, slot in self._connections:
            sender.disconnect(signal, slot)
        self._connections.clear()

    def _inWords(self, number: int) -> str:
        check = self._checks[number]
        words = html.escape(check.problem)
        if check.suggestions:
            links = ", ".join(
                f'<a href="{number}/{place}">{html.escape(text)}</a>' for place, text in enumerate(check.suggestions)
            )
            words += " " + _("Did you mean {suggestions}?").format(suggestions=links)
        return words

    def _onTextChanged(self, text: str) -> None:
        self.refresh()
        self.changed.emit()

    def _onEdited(self, text: str) -> None:
        piece = Prompt.pieceAt(text, self._edit.cursorPosition)
        offers = self._targets.completions(piece.text, self._modality()) if piece.text else []
        if offers and [offer.lower() for offer in offers] != [piece.text.lower()]:
            self._model.setStringList(offers)
            self._completer.complete()
            # A name that is complete is not replaced by a longer one at the next Return.
            isComplete = self._targets.check(piece.text, self._modality()).target is not None
            first = qt.QModelIndex() if isComplete else self._completer.completionModel().index(0, 0)
            self._completer.popup().setCurrentIndex(first)
        else:
            self._completer.popup().hide()

    def _onCompleted(self, text: str) -> None:
        line = self._edit.text
        line, cursor = Prompt.replaced(line, Prompt.pieceAt(line, self._edit.cursorPosition), text)
        self._edit.setText(line)
        self._edit.setCursorPosition(cursor)

    def _onReturn(self) -> None:
        popup = self._completer.popup()
        if popup.isVisible():
            if popup.currentIndex().isValid():
                return  # the completer takes it
            popup.hide()
        self.applied.emit()

    def _onEscape(self) -> None:
        if self._completer.popup().isVisible():
            self._completer.popup().hide()
        else:
            self.escaped.emit()

    def _onSuggestion(self, link: str) -> None:
        number, place = (int(part) for part in link.split("/"))
        if number < len(self._checks) and place < len(self._checks[number].suggestions):
            check = self._checks[number]
            # Later: the label, which this is called from, gets another text by it.
            qt.QTimer.singleShot(0, lambda: self._replace(check.text, check.suggestions[place]))

    def _replace(self, old: str, new: str) -> None:
        piece = next((piece for piece in Prompt.pieces(self._edit.text) if piece.text == old), None)
        if piece is not None:
            line, cursor = Prompt.replaced(self._edit.text, piece, new)
            self._edit.setText(line)
            self._edit.setCursorPosition(cursor)


def inWords(targets: Iterable[Target]) -> str:
    """Targets by their place, "liver, spleen in abdomen CT; heart in chest CT"."""
    places: dict[str, list[str]] = {}
    for target in targets:
        places.setdefault(f"{target.site} {target.modality}", []).append(target.name)
    return "; ".join(
        _("{names} in {place}").format(names=", ".join(names), place=place) for place, names in places.items()
    )
