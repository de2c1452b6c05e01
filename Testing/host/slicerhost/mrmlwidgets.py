# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""The few qMRML widgets that the modules use, on real MRML nodes and plain Qt widgets."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from slicerhost import ctkwidgets, pythonqt
from slicerhost.nodecombobox import qMRMLNodeComboBox

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal


class qMRMLWidget(QtWidgets.QWidget):
    slicerNative = True
    mrmlSceneChanged = Signal(object)
    signalAliases = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}  # noqa: RUF012

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLSliderWidget(ctkwidgets.ctkSliderWidget):
    slicerNative = True


class qMRMLRangeWidget(ctkwidgets.ctkRangeWidget):
    slicerNative = True


class qMRMLSpinBox(QtWidgets.QDoubleSpinBox):
    slicerNative = True


class qMRMLSegmentsTableView(QtWidgets.QWidget):
    """The segments of one segmentation: visibility, colour, name."""

    slicerNative = True
    selectionChanged = Signal()
    signalAliases = {"selectionChanged(QItemSelection,QItemSelection)": "selectionChanged"}  # noqa: RUF012

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._table = QtWidgets.QTableWidget(0, 2)
        self._table.setHorizontalHeaderLabels(["Shown", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().setVisible(False)
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._table.itemSelectionChanged.connect(self.selectionChanged)
        self._table.itemChanged.connect(self._itemChanged)
        self.destroyed.connect(lambda *arguments: self._forget())

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def mrmlScene(self) -> Any:
        return self._scene

    def segmentationNode(self) -> Any:
        return self._node

    def _forget(self) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []

    def setSegmentationNode(self, node: Any) -> None:
        self._forget()
        self._node = node
        if node is not None:
            segmentation = node.GetSegmentation()
            for event in (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified):
                tag = segmentation.AddObserver(event, lambda *arguments: self._update())
                self._observed.append((segmentation, tag))
        self._update()

    def _update(self) -> None:
        if not self:
            return
        selected = self.selectedSegmentIDs()
        self._table.blockSignals(True)
        ids = list(self._node.GetSegmentation().GetSegmentIDs()) if self._node is not None else []
        self._table.setRowCount(len(ids))
        display = self._node.GetDisplayNode() if self._node is not None else None
        for row, segmentId in enumerate(ids):
            segment = self._node.GetSegmentation().GetSegment(segmentId)
            shown = QtWidgets.QTableWidgetItem()
            visible = display is None or display.GetSegmentVisibility(segmentId)
            shown.setCheckState(QtCore.Qt.Checked if visible else QtCore.Qt.Unchecked)
            name = QtWidgets.QTableWidgetItem(segment.GetName())
            name.setData(QtCore.Qt.UserRole, segmentId)
            name.setData(QtCore.Qt.DecorationRole, QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, shown)
            self._table.setItem(row, 1, name)
        self._table.blockSignals(False)
        self.setSelectedSegmentIDs(selected)

    def _itemChanged(self, item: Any) -> None:
        segmentId = self._table.item(item.row(), 1).data(QtCore.Qt.UserRole)
        if item.column() == 0 and self._node.GetDisplayNode():
            self._node.GetDisplayNode().SetSegmentVisibility(segmentId, item.checkState() == QtCore.Qt.Checked)

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted({item.row() for item in self._table.selectedItems()})
        items = [self._table.item(row, 1) for row in rows]
        return [item.data(QtCore.Qt.UserRole) for item in items if item is not None]

    def setSelectedSegmentIDs(self, ids: list[str]) -> None:
        self._table.clearSelection()
        mode = QtCore.QItemSelectionModel.Select | QtCore.QItemSelectionModel.Rows
        for row in range(self._table.rowCount):
            if self._table.item(row, 1).data(QtCore.Qt.UserRole) in ids:
                self._table.selectionModel().select(self._table.model().index(row, 1), mode)


# What `slicer` offers of these.
for _class in (
    qMRMLNodeComboBox,
    qMRMLRangeWidget,
    qMRMLSegmentsTableView,
    qMRMLSliderWidget,
    qMRMLSpinBox,
    qMRMLWidget,
):
    setattr(slicer, _class.__name__, _class)
