# SPDX-License-Identifier: Apache-2.0
"""The table of what was found: one segment a row, its eye, and a click that goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSegmentLib.Results import Row
from UniBiomedSegmentLib.Wording import millilitres, percent

NAME, VOLUME, SLICES, CONFIDENCE = range(4)
_SWATCH = 12
_PADDING = 8
_FRAME = 2
_RUNS_SHOWN = 2
_ROWS_SHOWN = (4, 10)  # the least and the most; more are scrolled


class ResultTable:
    """Fills ``table`` (a QTableWidget). The check box in front of a name is the segment's visibility.

    ``onJump(row)``: a row was clicked, or Return pressed on it. ``onVisibility(segmentId, visible)``.
    """

    def __init__(self, table: Any, onJump: Callable[[Row], None], onVisibility: Callable[[str, bool], None]) -> None:
        self._table = table
        self._onJump = onJump
        self._onVisibility = onVisibility
        self._rows: list[Row] = []
        self._filling = False
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Segment"), _("Volume (ml)"), _("Slices"), _("Confidence")])
        header = table.horizontalHeader()
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        for column in (VOLUME, SLICES, CONFIDENCE):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().setVisible(False)
        self._rowHeight = qt.QFontMetrics(table.font).height() + _PADDING
        table.verticalHeader().setDefaultSectionSize(self._rowHeight)
        header.setFixedHeight(self._rowHeight)
        table.connect("cellClicked(int,int)", self._onClicked)
        table.connect("cellActivated(int,int)", self._onClicked)
        table.connect("itemChanged(QTableWidgetItem*)", self._onItemChanged)

    def rows(self) -> list[Row]:
        """What is shown."""
        return list(self._rows)

    def setRows(self, rows: Sequence[Row]) -> None:
        """Show ``rows``; the selection stays where it is."""
        if list(rows) == self._rows:
            return
        self._rows = list(rows)
        self._filling = True
        try:
            self._table.setRowCount(len(self._rows))
            for number, row in enumerate(self._rows):
                for column, item in enumerate(self._items(row)):
                    self._table.setItem(number, column, item)
            shown = min(max(len(self._rows), _ROWS_SHOWN[0]), _ROWS_SHOWN[1])
            self._table.setFixedHeight((shown + 1) * self._rowHeight + 2 * _FRAME)
        finally:
            self._filling = False

    def cleanup(self) -> None:
        """Let go of the widget."""
        self._table.disconnect("cellClicked(int,int)", self._onClicked)
        self._table.disconnect("cellActivated(int,int)", self._onClicked)
        self._table.disconnect("itemChanged(QTableWidgetItem*)", self._onItemChanged)

    def _items(self, row: Row) -> list[Any]:
        name = qt.QTableWidgetItem(row.name)
        name.setIcon(qt.QIcon(_swatch(row.color)))
        name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        name.setCheckState(qt.Qt.Checked if row.visible else qt.Qt.Unchecked)
        name.setToolTip(_("{phrase}\nTick to show the segment; click to go to it.").format(phrase=row.phrase))
        figures = (
            (millilitres(row.volumeMl), _("As found by the model; use Segment Statistics after editing.")),
            (
                shortSlices(row.slices),
                _("{axis} slices {slices}, counted from 0 along the volume's own axis").format(
                    axis=row.axis, slices=row.slices
                ),
            ),
            (percent(row.confidence), _("The product of the model's own scores; not a calibrated probability.")),
        )
        items = [name]
        for text, toolTip in figures:
            item = qt.QTableWidgetItem(text)
            item.setData(qt.Qt.TextAlignmentRole, int(qt.Qt.AlignRight) | int(qt.Qt.AlignVCenter))
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            item.setToolTip(toolTip)
            items.append(item)
        return items

    def _onClicked(self, row: int, column: int) -> None:
        if 0 <= row < len(self._rows):
            self._onJump(self._rows[row])

    def _onItemChanged(self, item: Any) -> None:
        if self._filling or item.column() != NAME or item.row() >= len(self._rows):
            return
        row, visible = self._rows[item.row()], item.checkState() == qt.Qt.Checked
        if visible != row.visible:
            self._onVisibility(row.segmentId, visible)


def _swatch(color: tuple[float, float, float]) -> Any:
    pixmap = qt.QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(qt.QColor.fromRgbF(*color))
    return pixmap


def shortSlices(words: str) -> str:
    """Slice numbers in words ("3, 5-9, 12") short enough for a column: first, last and how many runs where many."""
    runs = words.split(", ")
    if len(runs) <= _RUNS_SHOWN:
        return words
    return _("{first}-{last}, {count} parts").format(
        first=runs[0].split("-")[0], last=runs[-1].split("-")[-1], count=len(runs)
    )
