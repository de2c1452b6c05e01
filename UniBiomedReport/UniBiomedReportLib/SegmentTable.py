# SPDX-License-Identifier: Apache-2.0
"""The segments that a report speaks of: colour, name, visibility, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from UniBiomedSlicerLib.Signal import Signal

from UniBiomedReportLib.Figures import rangesText, volumeText

NAME, VOLUME, SLICES, CONFIDENCE = range(4)


class SegmentTable:
    """Drives a QTableWidget.

    Signals: ``selected(segmentIds)``, ``activated(segmentId)`` (double-click), ``visibilityChanged(segmentId, shown)``.
    """

    def __init__(self, table: Any) -> None:
        self.table = table
        self.selected = Signal("SegmentTable.selected")
        self.activated = Signal("SegmentTable.activated")
        self.visibilityChanged = Signal("SegmentTable.visibilityChanged")
        self._ids: list[str] = []
        self._isUpdating = False
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Segment"), _("Volume"), _("Slices"), _("Confidence")])
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(22)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setShowGrid(False)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        for column in (VOLUME, SLICES, CONFIDENCE):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.connect("itemSelectionChanged()", self._onSelection)
        table.connect("cellDoubleClicked(int,int)", self._onDoubleClick)
        table.connect("itemChanged(QTableWidgetItem*)", self._onItemChanged)

    def cleanup(self) -> None:
        """Let go of the widget."""
        self.table.disconnect("itemSelectionChanged()", self._onSelection)
        self.table.disconnect("cellDoubleClicked(int,int)", self._onDoubleClick)
        self.table.disconnect("itemChanged(QTableWidgetItem*)", self._onItemChanged)
        for signal in (self.selected, self.activated, self.visibilityChanged):
            signal.disconnectAll()

    def show(self, segmentationNode: Any, segmentIds: Sequence[str], figures: Mapping[str, Mapping[str, Any]]) -> None:
        """Show these segments; those that are not in the node any more are left out. The selection is kept."""
        kept = set(self.selection())
        segmentation = segmentationNode.GetSegmentation() if segmentationNode is not None else None
        display = segmentationNode.GetDisplayNode() if segmentationNode is not None else None
        self._ids = [one for one in segmentIds if segmentation is not None and segmentation.GetSegment(one) is not None]
        self._isUpdating = True
        try:
            self.table.setRowCount(len(self._ids))
            for row, segmentId in enumerate(self._ids):
                segment = segmentation.GetSegment(segmentId)
                known = figures.get(segmentId, {})
                isShown = display is None or bool(display.GetSegmentVisibility(segmentId))
                self._setName(row, segment, isShown)
                confidence = known.get("confidence")
                self._setText(row, VOLUME, volumeText(known.get("volume_ml")))
                self._setText(row, SLICES, rangesText(known.get("slices", ())))
                self._setText(row, CONFIDENCE, "" if confidence is None else f"{confidence:.2f}")
        finally:
            self._isUpdating = False
        self.select([one for one in self._ids if one in kept])

    def selection(self) -> list[str]:
        """The ids of the selected segments, from top to bottom."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [self._ids[row] for row in rows if row < len(self._ids)]

    def select(self, segmentIds: Iterable[str]) -> None:
        """Select these segments, without telling it."""
        wanted = set(segmentIds)
        self._isUpdating = True
        try:
            self.table.clearSelection()
            for row, segmentId in enumerate(self._ids):
                if segmentId in wanted:
                    for column in range(4):
                        self.table.item(row, column).setSelected(True)
        finally:
            self._isUpdating = False

    def _setName(self, row: int, segment: Any, isShown: bool) -> None:
        item = qt.QTableWidgetItem(segment.GetName())
        red, green, blue = (round(255 * part) for part in segment.GetColor())
        item.setData(qt.Qt.DecorationRole, qt.QColor(red, green, blue))
        item.setCheckState(qt.Qt.Checked if isShown else qt.Qt.Unchecked)
        item.setToolTip(_("Checked segments are shown in the views."))
        self.table.setItem(row, NAME, item)

    def _setText(self, row: int, column: int, text: str) -> None:
        item = qt.QTableWidgetItem(text)
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self.table.setItem(row, column, item)

    def _onSelection(self) -> None:
        if not self._isUpdating:
            self.selected.emit(self.selection())

    def _onDoubleClick(self, row: int, column: int = 0) -> None:
        if row < len(self._ids):
            self.activated.emit(self._ids[row])

    def _onItemChanged(self, item: Any) -> None:
        if not self._isUpdating and item.column() == NAME and item.row() < len(self._ids):
            self.visibilityChanged.emit(self._ids[item.row()], item.checkState() == qt.Qt.Checked)
