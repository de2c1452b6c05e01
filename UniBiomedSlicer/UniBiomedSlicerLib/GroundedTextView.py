# SPDX-License-Identifier: Apache-2.0
"""Text whose phrases stand for segments: pointed at, clicked, marked, and edited without losing the links.

The links are those of the ``SpanModel``; the document carries an anchor for each of them, so that Qt itself tells what
the mouse is on. All colours are extra selections, which are no part of the text and of its undo history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import qt

from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SpanModel import Span, SpanModel, sentenceAround

SCHEME = "span:"
LEAVE_MS = 150
_TINT, _MARKED, _HOVERED = 45, 110, 150

Rgb = tuple[int, int, int]


class GroundedTextView:
    """Drives a QTextBrowser. ``colorOf`` gives the colour (0..255) of a segment id, ``tipOf`` a line about it.

    Signals: ``hovered(segmentIds)``, empty when nothing is pointed at; ``clicked(segmentIds)``; ``edited()``.
    """

    def __init__(self, browser: Any, colorOf: Callable[[str], Rgb | None], tipOf: Callable[[str], str]) -> None:
        self.browser = browser
        self.model = SpanModel()
        self.hovered = Signal("GroundedTextView.hovered")
        self.clicked = Signal("GroundedTextView.clicked")
        self.edited = Signal("GroundedTextView.edited")
        self._colorOf = colorOf
        self._tipOf = tipOf
        self._marked: tuple[str, ...] = ()
        self._hovered: int | None = None
        self._isLoading = False
        self._wasUnderMouse = False
        browser.setOpenLinks(False)
        browser.setUndoRedoEnabled(True)
        browser.connect("highlighted(QUrl)", self._onHighlighted)
        browser.connect("anchorClicked(QUrl)", self._onClicked)
        browser.connect("cursorPositionChanged()", self._onCursorMoved)
        # By way of the cursor: as a property of QTextEdit its type is not known to every Qt.
        self._document = browser.textCursor().document()
        self._document.connect("contentsChange(int,int,int)", self._onContentsChange)
        # Leaving the widget while on a phrase is not signalled by Qt.
        self._leaveTimer = qt.QTimer()
        self._leaveTimer.setInterval(LEAVE_MS)
        self._leaveTimer.connect("timeout()", self._onLeaveTimer)
        self.setEditable(False)

    def cleanup(self) -> None:
        """Let go of the widget."""
        self._leaveTimer.stop()
        self._leaveTimer.disconnect("timeout()", self._onLeaveTimer)
        self.browser.disconnect("highlighted(QUrl)", self._onHighlighted)
        self.browser.disconnect("anchorClicked(QUrl)", self._onClicked)
        self.browser.disconnect("cursorPositionChanged()", self._onCursorMoved)
        self._document.disconnect("contentsChange(int,int,int)", self._onContentsChange)
        for signal in (self.hovered, self.clicked, self.edited):
            signal.disconnectAll()

    def setEditable(self, isEditable: bool) -> None:
        """Let the user change the text, or only read and copy it."""
        flags = qt.Qt.LinksAccessibleByMouse | qt.Qt.TextSelectableByMouse | qt.Qt.TextSelectableByKeyboard
        if isEditable:
            flags = flags | qt.Qt.TextEditable
        self.browser.setTextInteractionFlags(flags)

    def show(self, text: str, spans: Sequence[Mapping[str, Any]], isEditable: bool = True) -> None:
        """Show a text with its links."""
        self._leave()
        self.model = SpanModel(text, spans)
        self._marked = ()
        self._isLoading = True
        try:
            self.browser.setPlainText(text)
            cursor = qt.QTextCursor(self._document)
            for span in self.model.spans:
                anchor = qt.QTextCharFormat()
                anchor.setAnchor(True)
                anchor.setAnchorHref(f"{SCHEME}{span.key}")
                tip = "\n".join(filter(None, map(self._tipOf, span.segments)))
                anchor.setToolTip(tip)
                self._select(cursor, span)
                cursor.setCharFormat(anchor)
        finally:
            self._isLoading = False
        # What was done so far is not the user's to undo.
        self._document.clearUndoRedoStacks()
        self.setEditable(isEditable)
        self.paint()

    def showGrowing(self, text: str) -> None:
        """Show text that is still being written: no links, not to be edited, its end in view."""
        self._leave()
        self.model = SpanModel(text)
        self._marked = ()
        self._isLoading = True
        try:
            self.browser.setPlainText(text)
            self.browser.setExtraSelections([])
        finally:
            self._isLoading = False
        self.setEditable(False)
        bar = self.browser.verticalScrollBar()
        bar.setValue(bar.maximum)

    @property
    def text(self) -> str:
        """The text as it stands."""
        return self.model.text

    def spans(self) -> list[dict[str, Any]]:
        """The links as they stand."""
        return self.model.toList()

    def link(self, segmentIds: Iterable[str]) -> None:
        """Let the selected words, else the sentence that the cursor is in, speak of these segments, or no longer."""
        cursor = self.browser.textCursor()
        position = self._fromQt(cursor.position())
        start, end = self._fromQt(cursor.selectionStart()), self._fromQt(cursor.selectionEnd())
        if start == end:
            start, end = sentenceAround(self.text, position)
        before = self.spans()
        self.model.link(start, end, segmentIds)
        if self.spans() == before:
            return
        # The document's anchors are made anew with it, which is no step of the user's own undo.
        self.show(self.text, self.spans())
        cursor = self.browser.textCursor()
        cursor.setPosition(self._toQt(position))
        self.browser.setTextCursor(cursor)
        self.edited.emit()

    def mark(self, segmentIds: Iterable[str]) -> None:
        """Mark the phrases of these segments, as when they are selected elsewhere, and bring the first into view."""
        marked = tuple(segmentIds)
        if marked == self._marked:
            return
        self._marked = marked
        self.paint()
        spans = self.model.of(marked)
        if spans and not self.browser.hasFocus():
            cursor = qt.QTextCursor(self._document)
            cursor.setPosition(self._toQt(spans[0].start))
            self.browser.setTextCursor(cursor)
            self.browser.ensureCursorVisible()

    def paint(self) -> None:
        """Colour the phrases: a tint and an underline each, stronger where marked or pointed at."""
        selections = []
        marked = {span.key for span in self.model.of(self._marked)}
        for span in self.model.spans:
            color = next(filter(None, map(self._colorOf, span.segments)), None)
            if color is None:
                continue
            form = qt.QTextCharFormat()
            strength = _HOVERED if span.key == self._hovered else _MARKED if span.key in marked else _TINT
            form.setBackground(qt.QBrush(qt.QColor(*color, strength)))
            form.setUnderlineStyle(qt.QTextCharFormat.SingleUnderline)
            form.setUnderlineColor(qt.QColor(*color))
            selection = qt.QTextEdit.ExtraSelection()
            cursor = qt.QTextCursor(self._document)
            self._select(cursor, span)
            selection.cursor = cursor
            selection.format = form
            selections.append(selection)
        self.browser.setExtraSelections(selections)

    def _select(self, cursor: Any, span: Span) -> None:
        cursor.setPosition(self._toQt(span.start))
        cursor.setPosition(self._toQt(span.end), qt.QTextCursor.KeepAnchor)

    def _onHighlighted(self, url: Any) -> None:
        span = self._spanOf(url)
        key = span.key if span is not None else None
        if key == self._hovered:
            return
        self._hovered = key
        self.paint()
        if span is not None:
            self._wasUnderMouse = False
            self._leaveTimer.start()
        else:
            self._leaveTimer.stop()
        self.hovered.emit(list(span.segments) if span is not None else [])

    def _onClicked(self, url: Any) -> None:
        span = self._spanOf(url)
        if span is not None:
            self.clicked.emit(list(span.segments))

    def _onLeaveTimer(self) -> None:
        if self.browser.viewport().underMouse():
            self._wasUnderMouse = True
        elif self._wasUnderMouse:
            self._leave()

    def _leave(self) -> None:
        self._leaveTimer.stop()
        if self._hovered is not None:
            self._hovered = None
            self.paint()
            self.hovered.emit([])

    def _spanOf(self, url: Any) -> Span | None:
        address = url.toString()
        if not address.startswith(SCHEME):
            return None
        try:
            return self.model.byKey(int(address[len(SCHEME) :]))
        except ValueError:
            return None

    def _onCursorMoved(self) -> None:
        """What is typed at the edge of a phrase does not look like a part of it."""
        if self._isLoading:
            return
        cursor = self.browser.textCursor()
        if not cursor.hasSelection() and self.model.isBoundary(self._fromQt(cursor.position())):
            self.browser.setCurrentCharFormat(qt.QTextCharFormat())

    def _onContentsChange(self, position: int, removed: int, added: int) -> None:
        if self._isLoading:
            return
        old, new = self.model.text, self._document.toPlainText()
        if new == old:
            return
        start = self._fromQt(position)
        # Qt counts UTF-16 units, and sometimes the end of the document along; both show in the comparison.
        inserted = new[start : start + added]
        if old[:start] + inserted + old[start + removed :] == new:
            self.model.replaceText(start, removed, inserted)
        else:
            self.model.setText(new, start)
        self.paint()
        self.edited.emit()

    def _toQt(self, position: int) -> int:
        """A position in Qt's UTF-16 units."""
        if self.model.text.isascii():
            return position
        return position + sum(ord(character) > 0xFFFF for character in self.model.text[:position])

    def _fromQt(self, position: int) -> int:
        """A position in characters; within a pair of units, before the character."""
        if self.model.text.isascii():
            return min(position, len(self.model.text))
        units = 0
        for index, character in enumerate(self.model.text):
            units += 2 if ord(character) > 0xFFFF else 1
            if units > position:
                return index
        return len(self.model.text)
