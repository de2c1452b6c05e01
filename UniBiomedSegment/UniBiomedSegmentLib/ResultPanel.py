# SPDX-License-Identifier: Apache-2.0
"""What was found and what was not, for the segmentation that is selected."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from UniBiomedSlicerLib.SliceGeometry import jumpToSlice

from UniBiomedSegmentLib.Results import Row, notFoundOf, rowsOf, volumeOf
from UniBiomedSegmentLib.ResultTable import ResultTable

_SETTLE_MS = 100


class ResultPanel(VTKObservationMixin):
    """``ui`` has resultsCollapsibleButton, resultTable, notFoundLabel and editButton."""

    def __init__(self, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._node: Any = None
        self._volume: Any = None
        self._missing: list[Mapping[str, Any]] = []
        self.table = ResultTable(ui.resultTable, self._onJump, self._onVisibility)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.connect("timeout()", self.refresh)
        ui.editButton.connect("clicked(bool)", self._onEdit)
        self.refresh()

    def setSegmentation(self, segmentationNode: Any, volumeNode: Any = None) -> None:
        """Show another segmentation; ``volumeNode`` is jumped in when the segmentation names no volume itself."""
        if volumeNode is not self._volume:
            self._missing = []
        self._volume = volumeNode
        if segmentationNode is not self._node:
            self.removeObservers()
            self._node = segmentationNode
            if segmentationNode is not None:
                self._observe(segmentationNode)
        self.refresh()

    def setMissing(self, missing: Iterable[Mapping[str, Any]]) -> None:
        """What the last run did not find, where there is no segmentation that could keep it."""
        self._missing = list(missing)
        self.refresh()

    def refresh(self) -> None:
        """Read the segmentation again."""
        self._timer.stop()
        node = self._node if self._node is not None and self._node.GetScene() is not None else None
        rows = rowsOf(node)
        self.table.setRows(rows)
        self._ui.editButton.enabled = bool(rows)
        self._ui.resultTable.setVisible(bool(rows))
        kept = notFoundOf(node)
        known = {entry.get("phrase") for entry in kept}
        missing = [*kept, *(entry for entry in self._missing if entry.get("phrase") not in known)]
        lines = [_notFoundInWords(entry) for entry in missing]
        if not rows and not lines:
            lines = [html.escape(_("Nothing yet. What the model finds is listed here, with volume and confidence."))]
        self._ui.notFoundLabel.setText("<br>".join(lines))
        self._ui.notFoundLabel.setVisible(bool(lines))

    def cleanup(self) -> None:
        """Let go of the scene and the widgets."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self.refresh)
        self.removeObservers()
        self.table.cleanup()
        self._ui.editButton.disconnect("clicked(bool)", self._onEdit)

    def _observe(self, segmentationNode: Any) -> None:
        segmentation = segmentationNode.GetSegmentation()
        for event in (
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            slicer.vtkSegmentation.SegmentModified,
            slicer.vtkSegmentation.SegmentsOrderModified,
        ):
            self.addObserver(segmentation, event, self._onSegmentationChanged)
        self.addObserver(
            segmentationNode, slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, self._onSegmentationChanged
        )
        self.addObserver(segmentationNode, vtk.vtkCommand.ModifiedEvent, self._onSegmentationChanged)

    def _onSegmentationChanged(self, caller: Any = None, event: Any = None) -> None:
        if not self._timer.active:
            self._timer.start()

    def _onJump(self, row: Row) -> None:
        volumeNode = (volumeOf(self._node) if self._node is not None else None) or self._volume
        if volumeNode is None or volumeNode.GetScene() is None or row.keySlice is None or not row.axis:
            return
        jumpToSlice(volumeNode, row.axis, row.keySlice, focus=row.center)

    def _onVisibility(self, segmentId: str, visible: bool) -> None:
        displayNode = self._node.GetDisplayNode() if self._node is not None else None
        if displayNode is not None:
            displayNode.SetSegmentVisibility(segmentId, visible)

    def _onEdit(self, checked: bool = False) -> None:
        if self._node is None:
            return
        volumeNode = volumeOf(self._node) or self._volume
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(self._node)
        if volumeNode is not None:
            editor.setSourceVolumeNode(volumeNode)


def _notFoundInWords(entry: Mapping[str, Any]) -> str:
    words = _("Found nothing for <b>{target}</b>.").format(target=html.escape(str(entry["target"])))
    reason = str(entry.get("reason") or "")
    return f"{words} {html.escape(reason)}".strip()
