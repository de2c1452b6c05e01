# SPDX-License-Identifier: Apache-2.0
"""The lower half of the module: the reports of the scene, their text, their segments, and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from UniBiomedSlicerLib.GroundedTextView import GroundedTextView
from UniBiomedSlicerLib.ReportStore import ReportError
from UniBiomedSlicerLib.SegmentHighlighter import SegmentHighlighter
from UniBiomedSlicerLib.Signal import Signal

from UniBiomedReportLib import Exporters, ReportDocument
from UniBiomedReportLib.ExportMenu import ExportMenu
from UniBiomedReportLib.Figures import FIGURES, confidenceText
from UniBiomedReportLib.Logic import UniBiomedReportLogic
from UniBiomedReportLib.SegmentTable import SegmentTable

SAVE_MS = 250
"""An edit is put into the scene after this pause in the typing, and before anything here that reads the report."""
FLASH_MS = 1500
"""A segment that is selected stands out for so long; nothing tells of a scene being saved, so it must not stay."""
GROWING = "growing"
_WARN = "#c77700"


class ReportPanel(VTKObservationMixin):
    """Drives the widgets of *Report*.

    Signals: ``chosen(node)`` the report that is shown, None for none; ``segmentChosen(segmentationNode, segmentId)``;
    ``told(sentence)``.
    """

    def __init__(self, ui: Any, logic: UniBiomedReportLogic) -> None:
        VTKObservationMixin.__init__(self)
        self.chosen = Signal("ReportPanel.chosen")
        self.segmentChosen = Signal("ReportPanel.segmentChosen")
        self.told = Signal("ReportPanel.told")
        self._ui, self._logic = ui, logic
        self._node: Any = None
        self._colors: dict[str, tuple[int, int, int]] = {}
        self._tips: dict[str, str] = {}
        self._growing: tuple[str, str] | None = None
        self._isRefreshing = False
        self._isStale = False
        self._isDirty = False
        self._problems: list[str] = []
        self._highlighter = SegmentHighlighter()
        self.view = GroundedTextView(ui.reportText, self._colors.get, lambda one: self._tips.get(one, ""))
        self.table = SegmentTable(ui.segmentTable)
        self._saveTimer = _singleShot(SAVE_MS)
        self._refreshTimer = _singleShot(0)
        self._flashTimer = _singleShot(FLASH_MS)
        self.exports = ExportMenu(ui.exportButton, self._fileName, self.export)
        self._connections = (
            (self._saveTimer, "timeout()", self.flush),
            (self._refreshTimer, "timeout()", self.refresh),
            (self._flashTimer, "timeout()", self._highlighter.clear),
            (ui.reportSelector, "currentIndexChanged(int)", self._onSelector),
            (ui.renameButton, "clicked()", self._onRename),
            (ui.deleteButton, "clicked()", self._onDelete),
            (ui.copyButton, "clicked()", self._onCopy),
        )
        for sender, signal, slot in self._connections:
            sender.connect(signal, slot)
        self.view.hovered.connect(self._onHovered)
        self.view.clicked.connect(self._onPhraseClicked)
        self.view.edited.connect(self._onEdited)
        self.table.selected.connect(self._onSegmentsSelected)
        self.table.activated.connect(self._onSegmentActivated)
        self.table.visibilityChanged.connect(self._onVisibility)
        self._watchSegmentEditors()

    def cleanup(self) -> None:
        """Save what was typed and let go of everything that is watched."""
        self.leave()
        self.removeObservers()
        for timer in (self._saveTimer, self._refreshTimer, self._flashTimer):
            timer.stop()
        for sender, signal, slot in self._connections:
            sender.disconnect(signal, slot)
        self.view.cleanup()
        self.table.cleanup()
        self.exports.cleanup()
        for signal in (self.chosen, self.segmentChosen, self.told):
            signal.disconnectAll()

    @property
    def node(self) -> Any:
        """The report that is shown."""
        return self._node

    def leave(self) -> None:
        """Nothing of the panel is left in the views, and nothing typed is lost."""
        self.flush()
        self._highlighter.clear()

    def forget(self) -> None:
        """The scene is going: show nothing, keep nothing."""
        self._saveTimer.stop()
        self._refreshTimer.stop()
        self._highlighter.clear()
        self._growing = None
        self._node = None
        self._show(None)

    def refreshLater(self) -> None:
        """Look for reports again once the scene has settled."""
        self._refreshTimer.start()

    def reloadLater(self) -> None:
        """Show the same report again once the scene has settled: what it is about has changed or gone."""
        self._isStale = True
        self._refreshTimer.start()

    def refresh(self) -> None:
        """List the reports of the scene; the one that is shown stays, else the newest is shown."""
        self.choose(self._node)

    def choose(self, node: Any) -> None:
        """Show a report; where it is not there, the text that is being written or else the newest report."""
        nodes = self._logic.store.reports()
        if node not in nodes:
            node = nodes[-1] if nodes and self._growing is None else None
        self._isRefreshing = True
        box = self._ui.reportSelector
        box.clear()
        if self._growing is not None:
            box.addItem(_("{title} (being written)").format(title=self._growing[0]), GROWING)
        for one in nodes:
            box.addItem(one.GetName(), one.GetID())
        box.setCurrentIndex(box.findData(GROWING if node is None else node.GetID()))
        self._isRefreshing = False
        if node is not self._node or self._isStale or (node is None and self._growing is None):
            self._isStale = False
            self._show(node)
        problems = [one for one in self._logic.store.problems if one not in self._problems]
        self._problems = list(self._logic.store.problems)
        if problems:
            self.told.emit(problems[0])
        self._updateButtons()

    # While it is being written

    def beginGrowing(self, title: str) -> None:
        """Show that a text is on its way."""
        self.flush()
        self._growing = (title, "")
        self._show(None)
        self.refresh()

    def grow(self, text: str) -> None:
        """The text so far."""
        if self._growing is None:
            return
        self._growing = (self._growing[0], text)
        if self._isGrowingShown():
            self.view.showGrowing(text)

    def endGrowing(self, node: Any = None) -> None:
        """It is written: ``node`` is shown, unless the user looks at another report by now."""
        wasShown = self._isGrowingShown()
        self._growing = None
        self.choose(node if node is not None and wasShown else self._node)

    def _isGrowingShown(self) -> bool:
        box = self._ui.reportSelector
        return self._growing is not None and box.itemData(box.currentIndex) == GROWING

    # Text

    def flush(self) -> None:
        """Put what was typed into the scene."""
        self._saveTimer.stop()
        isDirty, self._isDirty = self._isDirty, False
        if isDirty and self._document() is not None:
            self._logic.store.setText(self._node, self.view.text, self.view.spans())
            self._showNotice(self._document())

    def _onEdited(self) -> None:
        self._isDirty = True
        self._saveTimer.start()

    def _show(self, node: Any) -> None:
        self.flush()
        self.removeObservers(self._onNodeModified)
        self.removeObservers(self._onSegmentsModified)
        self._highlighter.clear()
        self._node = node
        self._colors.clear()
        self._tips.clear()
        document = self._document()
        if document is None:
            self._node = None
            self.view.show("", [], isEditable=False)
            if self._isGrowingShown():
                self.view.showGrowing(self._growing[1])
            self.table.show(None, [], {})
        else:
            self._readSegments(document)
            self.view.show(document["text"], document["spans"])
            self._fillTable(document)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onNodeModified)
            segmentation = self._segmentationNode()
            if segmentation is not None:
                for event in (
                    slicer.vtkSegmentation.SegmentAdded,
                    slicer.vtkSegmentation.SegmentRemoved,
                    slicer.vtkSegmentation.SegmentModified,
                ):
                    self.addObserver(segmentation.GetSegmentation(), event, self._onSegmentsModified)
        self._showNotice(document)
        self._updateButtons()
        self.chosen.emit(self._node)

    def _onNodeModified(self, _caller: Any, _event: str) -> None:
        """Someone else changed the report, or its name."""
        document = self._document()
        if document is None:
            self.refreshLater()
            return
        index = self._ui.reportSelector.findData(self._node.GetID())
        if index >= 0 and self._ui.reportSelector.itemText(index) != self._node.GetName():
            self._ui.reportSelector.setItemText(index, self._node.GetName())
        if not self._isDirty and document["text"] != self.view.text:
            self._show(self._node)

    def _onSegmentsModified(self, _caller: Any, _event: str) -> None:
        document = self._document()
        if document is not None:
            self._readSegments(document)
            self._fillTable(document)
            self.view.paint()

    def _document(self) -> dict[str, Any] | None:
        if self._node is None or self._node.GetScene() is None:
            return None
        try:
            return self._logic.store.document(self._node)
        except ReportError:
            return None

    def _segmentationNode(self) -> Any:
        return self._logic.store.segmentationNode(self._node) if self._node is not None else None

    def _segmentIds(self, document: dict[str, Any]) -> list[str]:
        named = [one for span in document["spans"] for one in span["segments"]]
        return list(dict.fromkeys([*named, *(document.get(FIGURES) or {})]))

    def _readSegments(self, document: dict[str, Any]) -> None:
        segmentation, figures = self._segmentationNode(), document.get(FIGURES) or {}
        ids = self._segmentIds(document)
        self._colors.clear()
        self._colors.update(Exporters.segmentColors(segmentation, ids) if segmentation is not None else {})
        self._tips.clear()
        for segmentId in ids:
            segment = segmentation.GetSegmentation().GetSegment(segmentId) if segmentation is not None else None
            if segment is not None:
                confidence = figures.get(segmentId, {}).get("confidence")
                sure = "" if confidence is None else _("confidence {value:.2f}").format(value=confidence)
                self._tips[segmentId] = ", ".join(filter(None, (segment.GetName(), sure)))

    def _fillTable(self, document: dict[str, Any]) -> None:
        self.table.show(self._segmentationNode(), self._segmentIds(document), document.get(FIGURES) or {})

    def _showNotice(self, document: dict[str, Any] | None) -> None:
        ui = self._ui
        ui.noticeLabel.setVisible(document is not None or self._growing is not None)
        edited = _("Edited.") if document is not None and ReportDocument.isEdited(document) else ""
        ui.noticeLabel.setText(
            f'<span style="color:{_WARN}"><b>{_("AI generated, not for clinical use.")}</b></span> {edited}'.strip()
        )
        hasVolume = document is not None and self._logic.store.volumeNode(self._node) is not None
        warnings = ReportDocument.warnings(document, hasVolume) if document is not None else []
        ui.warningLabel.setText("\n".join(warnings))
        ui.warningLabel.setVisible(bool(warnings))
        figures = (document.get(FIGURES) or {}) if document is not None else {}
        sure = confidenceText(item.get("confidence") for item in figures.values())
        ui.confidenceLabel.setText(_("Confidence {value}").format(value=sure) if sure else "")

    def _updateButtons(self) -> None:
        hasReport = self._node is not None
        ui = self._ui
        for button in (ui.renameButton, ui.deleteButton, ui.copyButton, ui.exportButton):
            button.setEnabled(hasReport)
        ui.reportSelector.setEnabled(ui.reportSelector.count > 0)
        ui.segmentTable.setVisible(ui.segmentTable.rowCount > 0)

    # Phrases and segments

    def _onHovered(self, segmentIds: list[str]) -> None:
        self._flashTimer.stop()
        if segmentIds:
            self._highlighter.emphasise(self._segmentationNode(), segmentIds)
        else:
            self._highlighter.clear()

    def _onPhraseClicked(self, segmentIds: list[str]) -> None:
        self.table.select(segmentIds)
        self.view.mark(segmentIds)
        self._flash(segmentIds)
        if segmentIds:
            self._logic.showSegment(self._node, segmentIds[0])
            self.segmentChosen.emit(self._segmentationNode(), segmentIds[0])

    def _onSegmentsSelected(self, segmentIds: list[str]) -> None:
        self.view.mark(segmentIds)
        self._flash(segmentIds)
        if segmentIds:
            self.segmentChosen.emit(self._segmentationNode(), segmentIds[0])

    def _onSegmentActivated(self, segmentId: str) -> None:
        self._logic.showSegment(self._node, segmentId)

    def _onVisibility(self, segmentId: str, isShown: bool) -> None:
        segmentation = self._segmentationNode()
        display = segmentation.GetDisplayNode() if segmentation is not None else None
        if display is not None:
            display.SetSegmentVisibility(segmentId, isShown)

    def _flash(self, segmentIds: list[str]) -> None:
        self._highlighter.emphasise(self._segmentationNode(), segmentIds)
        self._flashTimer.start()

    def watch(self, node: Any) -> None:
        """A node came into the scene: a segment editor's selected segment marks its phrases."""
        event = vtk.vtkCommand.ModifiedEvent
        if node.IsA("vtkMRMLSegmentEditorNode") and not self.hasObserver(node, event, self._onSegmentEditor):
            self.addObserver(node, event, self._onSegmentEditor)

    def _watchSegmentEditors(self) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode"):
            self.watch(node)

    def _onSegmentEditor(self, caller: Any, _event: str) -> None:
        if self._node is None or caller.GetSegmentationNode() is not self._segmentationNode():
            return
        segmentId = caller.GetSelectedSegmentID() or ""
        ids = [segmentId] if segmentId in self._colors else []
        if ids != self.table.selection():
            self.table.select(ids)
            self.view.mark(ids)

    # Selector and buttons

    def _onSelector(self, index: int) -> None:
        if self._isRefreshing or index < 0:
            return
        data = str(self._ui.reportSelector.itemData(index) or "")
        self._show(None if data == GROWING else slicer.mrmlScene.GetNodeByID(data))

    def _onRename(self) -> None:
        dialog = qt.QInputDialog(self._ui.renameButton)
        dialog.setWindowTitle(_("Rename report"))
        dialog.setLabelText(_("Name:"))
        dialog.setTextValue(self._node.GetName())
        if dialog.exec_() and dialog.textValue().strip():
            self.rename(dialog.textValue().strip())

    def rename(self, name: str) -> None:
        """Give the shown report another name."""
        self.flush()
        self._logic.rename(self._node, name)
        self.refresh()

    def _onDelete(self) -> None:
        question = _('Delete the report "{name}"? Its segments stay in the scene.').format(name=self._node.GetName())
        if slicer.util.confirmYesNoDisplay(question):
            node, self._node = self._node, None
            self._saveTimer.stop()
            self._highlighter.clear()
            self._logic.store.remove(node)
            self.refresh()

    def _onCopy(self) -> None:
        self.flush()
        slicer.app.clipboard().setText(self._logic.plainText(self._node))
        self.told.emit(_("The report was copied."))

    def _fileName(self) -> str:
        return re.sub(r"[^\w \-]", "_", self._node.GetName())

    def export(self, kind: str, path: str) -> None:
        """Write the shown report to a file."""
        self.flush()
        self.told.emit(_("Writing {name}...").format(name=Path(path).name))
        said = _("{name} was written.").format(name=Path(path).name)
        self._logic.export(self._node, path, kind, lambda error: self.told.emit(error or said))


def _singleShot(interval: int) -> Any:
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval)
    return timer
