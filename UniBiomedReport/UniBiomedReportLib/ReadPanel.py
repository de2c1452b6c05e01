# SPDX-License-Identifier: Apache-2.0
"""The upper half of the module: what to read, and what to ask of it."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from UniBiomedSlicerLib.Modality import MODALITIES, guessModality, knownModality
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SliceGeometry import axisOfSliceNode, sliceCount
from UniBiomedSlicerLib.VolumeGeometry import VolumeError

from UniBiomedReportLib import Questions
from UniBiomedReportLib.Logic import UniBiomedReportLogic
from UniBiomedReportLib.ReportTask import ReportTask

WINDOWS = ("ct-abdomen", "ct-lung", "ct-bone", "ct-brain", "ct-mediastinum", "percentile", "full", "none")
SLICE_MS = 40
"""A slice view that is scrolled tells of every step; the label follows at this pace."""


class ReadPanel(VTKObservationMixin):
    """Drives the widgets of *Read*.

    Signals: ``started(task)`` when something was asked of the engine, ``refused(sentence)`` when it could not be.
    """

    def __init__(self, ui: Any, logic: UniBiomedReportLogic) -> None:
        VTKObservationMixin.__init__(self)
        self.started = Signal("ReadPanel.started")
        self.refused = Signal("ReadPanel.refused")
        self._ui, self._logic = ui, logic
        self._isBusy = False
        self._conversationNode: Any = None
        self._parameterNode: Any = None
        self._sliceTimer = qt.QTimer()
        self._sliceTimer.setSingleShot(True)
        self._sliceTimer.setInterval(SLICE_MS)
        self._completer = qt.QCompleter(ui.questionEdit)
        self._completer.setCaseSensitivity(qt.Qt.CaseInsensitive)
        self._completer.setFilterMode(qt.Qt.MatchContains)
        ui.questionEdit.setCompleter(self._completer)
        ui.windowSelector.setEditable(True)
        ui.windowSelector.lineEdit().setPlaceholderText(_("Automatic"))
        self._connections = (
            (self._sliceTimer, "timeout()", self._updateSlice),
            (ui.volumeSelector, "currentNodeChanged(vtkMRMLNode*)", self._onVolume),
            (ui.viewSelector, "currentIndexChanged(int)", self._onView),
            (ui.sliceRadio, "toggled(bool)", self._onScope),
            (ui.reportButton, "clicked()", self._onReport),
            (ui.findingsButton, "clicked()", self._onFindings),
            (ui.interpretButton, "clicked()", self._onInterpret),
            (ui.askButton, "clicked()", self._onAsk),
            (ui.questionEdit, "returnPressed()", self._onAsk),
            (ui.questionEdit, "textChanged(QString)", self.update),
            (ui.describeButton, "clicked()", self._onDescribe),
            (ui.segmentationSelector, "currentNodeChanged(vtkMRMLNode*)", self._onSegmentation),
            (ui.segmentSelector, "currentIndexChanged(int)", self.update),
        )
        for sender, signal, slot in self._connections:
            sender.connect(signal, slot)
        logic.service.stateChanged.connect(self.update)
        logic.service.capabilitiesChanged.connect(self._onCapabilities)
        self._fillViews()
        self._onCapabilities()
        self._onVolume(ui.volumeSelector.currentNode())
        self._onSegmentation(ui.segmentationSelector.currentNode())

    def cleanup(self) -> None:
        """Let go of everything that is watched."""
        self._sliceTimer.stop()
        self.removeObservers()
        for sender, signal, slot in self._connections:
            sender.disconnect(signal, slot)
        self._logic.service.stateChanged.disconnect(self.update)
        self._logic.service.capabilitiesChanged.disconnect(self._onCapabilities)
        self.started.disconnectAll()
        self.refused.disconnectAll()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show what the scene keeps of this panel; None: a scene is being closed."""
        self._parameterNode = None
        if parameterNode is not None:
            index = self._ui.viewSelector.findText(parameterNode.view)
            if index >= 0:
                self._ui.viewSelector.setCurrentIndex(index)
            (self._ui.volumeRadio if parameterNode.wholeVolume else self._ui.sliceRadio).setChecked(True)
        self._parameterNode = parameterNode
        self.update()

    def setBusy(self, isBusy: bool) -> None:
        """Only one reading at a time."""
        self._isBusy = isBusy
        self.update()

    def setConversation(self, node: Any) -> None:
        """The conversation that a question would follow up; None for none."""
        isNew = node is not self._conversationNode
        self._conversationNode = node
        if isNew:
            self._ui.followUpBox.setChecked(node is not None)
        self.update()

    def chooseSegment(self, segmentationNode: Any, segmentId: str) -> None:
        """Make this the segment that *Describe* is about."""
        self._ui.segmentationSelector.setCurrentNode(segmentationNode)
        index = self._ui.segmentSelector.findData(segmentId)
        if index >= 0:
            self._ui.segmentSelector.setCurrentIndex(index)

    def focusQuestion(self) -> None:
        """Ready for the next question."""
        self._ui.questionEdit.setText("")
        self._ui.questionEdit.setFocus()

    def update(self, *_arguments: Any) -> None:
        """Enable what can be done now."""
        ui = self._ui
        volumeNode = ui.volumeSelector.currentNode()
        canRead = volumeNode is not None and not self._isBusy and self._logic.service.state != "notInstalled"
        for button in (ui.reportButton, ui.findingsButton, ui.interpretButton):
            button.setEnabled(canRead)
        ui.askButton.setEnabled(canRead and bool(ui.questionEdit.text.strip()))
        ui.describeButton.setEnabled(canRead and bool(self._segmentId()))
        follows = self._followed(volumeNode)
        ui.followUpBox.setVisible(follows is not None)
        if follows is not None:
            ui.followUpBox.setText(
                _("Follow-up, about {axis} slice {slice}").format(axis=follows.axis, slice=follows.slice)
            )

    # What the user does

    def _onReport(self) -> None:
        if self._ui.sliceRadio.checked:
            self._run(lambda node, axis, index: self._logic.report(node, axis, index, **self._options()))
        else:
            self._run(lambda node, _axis, _index: self._logic.report(node, **self._options()))

    def _onFindings(self) -> None:
        if self._ui.sliceRadio.checked:
            self._run(lambda node, axis, index: self._logic.findings(node, axis, index, **self._options()))
        else:
            self._run(lambda node, _axis, _index: self._logic.findings(node, **self._options()))

    def _onInterpret(self) -> None:
        self._run(lambda node, _axis, _index: self._logic.interpret(node, **self._options()))

    def _onAsk(self) -> None:
        question = self._ui.questionEdit.text.strip()
        if not question or not self._ui.askButton.enabled:
            return
        isFollowUp = self._ui.followUpBox.checked and self._followed(self._ui.volumeSelector.currentNode()) is not None
        earlier = self._conversationNode if isFollowUp else None
        self._run(lambda node, axis, index: self._logic.ask(node, question, axis, index, earlier, **self._options()))

    def _onDescribe(self) -> None:
        segmentation, segmentId = self._ui.segmentationSelector.currentNode(), self._segmentId()

        def describe(node: Any, axis: str, index: int) -> ReportTask:
            if self._ui.sliceRadio.checked:
                return self._logic.describe(node, segmentation, segmentId, axis, index, **self._options())
            return self._logic.describe(node, segmentation, segmentId, **self._options())

        self._run(describe)

    def _run(self, ask: Any) -> None:
        volumeNode = self._ui.volumeSelector.currentNode()
        if volumeNode is None or self._isBusy:
            return
        try:
            axis, index = axisOfSliceNode(self._sliceNode(), volumeNode)
            task = ask(volumeNode, axis, index)
        except ValueError as error:
            # A volume without a rectangular grid, an empty segment: one sentence each.
            self.refused.emit(str(error))
            return
        self.started.emit(task)

    # What is shown

    def _onVolume(self, volumeNode: Any) -> None:
        self._fillModalities(volumeNode)
        self._updateSlice()
        self._fillQuestions()
        self.update()

    def _onView(self, _index: int) -> None:
        self.removeObservers(self._onSliceNode)
        sliceNode = self._sliceNode()
        if sliceNode is not None:
            self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceNode)
        if self._parameterNode is not None:
            self._parameterNode.view = self._ui.viewSelector.currentText
        self._updateSlice()

    def _onScope(self, isSlice: bool) -> None:
        if self._parameterNode is not None:
            self._parameterNode.wholeVolume = not isSlice
        self.update()

    def _onSliceNode(self, _caller: Any, _event: str) -> None:
        if not self._sliceTimer.active:
            self._sliceTimer.start()

    def _updateSlice(self) -> None:
        volumeNode, sliceNode = self._ui.volumeSelector.currentNode(), self._sliceNode()
        said = ""
        if volumeNode is not None and sliceNode is not None and volumeNode.GetImageData() is not None:
            try:
                axis, index = axisOfSliceNode(sliceNode, volumeNode)
                count = sliceCount(volumeNode, axis)
                said = _("{axis} slice {index} (0 to {last})").format(axis=axis, index=index, last=count - 1)
            except VolumeError as error:
                self._ui.sliceLabel.setToolTip(str(error))
                said = _("cannot be read")
            else:
                self._ui.sliceLabel.setToolTip(_("Slices are counted from 0, as voxels are."))
        self._ui.sliceLabel.setText(said)

    def _onSegmentation(self, node: Any) -> None:
        self.removeObservers(self._onSegments)
        if node is not None:
            segmentation = node.GetSegmentation()
            for event in (
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
                slicer.vtkSegmentation.SegmentModified,
            ):
                self.addObserver(segmentation, event, self._onSegments)
        self._fillSegments()

    def _onSegments(self, _caller: Any, _event: str) -> None:
        self._fillSegments()

    def _fillSegments(self) -> None:
        box, node = self._ui.segmentSelector, self._ui.segmentationSelector.currentNode()
        chosen = self._segmentId()
        wasBlocked = box.blockSignals(True)
        box.clear()
        if node is not None:
            segmentation = node.GetSegmentation()
            for number in range(segmentation.GetNumberOfSegments()):
                box.addItem(segmentation.GetNthSegment(number).GetName(), segmentation.GetNthSegmentID(number))
        box.setCurrentIndex(max(0, box.findData(chosen)) if box.count else -1)
        box.blockSignals(wasBlocked)
        self.update()

    def _segmentId(self) -> str:
        box = self._ui.segmentSelector
        return str(box.itemData(box.currentIndex) or "") if box.currentIndex >= 0 else ""

    def _fillViews(self) -> None:
        manager = slicer.app.layoutManager()
        names = list(manager.sliceViewNames()) if manager is not None else []
        self._ui.viewSelector.clear()
        for name in names:
            self._ui.viewSelector.addItem(name)
        self._onView(0)

    def _sliceNode(self) -> Any:
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(self._ui.viewSelector.currentText) if manager is not None else None
        return widget.mrmlSliceNode() if widget is not None else None

    def _fillModalities(self, volumeNode: Any) -> None:
        box = self._ui.modalitySelector
        guess = guessModality(volumeNode) if volumeNode is not None else None
        chosen = box.itemData(box.currentIndex) if box.currentIndex > 0 else ""
        box.clear()
        box.addItem(_("Automatic ({modality})").format(modality=guess) if guess else _("Automatic"), "")
        for modality in MODALITIES:
            box.addItem(modality, modality)
        box.setCurrentIndex(max(0, box.findData(chosen)))

    def _onCapabilities(self) -> None:
        box, capabilities = self._ui.windowSelector, self._logic.service.capabilities or {}
        written = box.currentText
        box.clear()
        box.addItem("")
        for name in capabilities.get("windows") or WINDOWS:
            # Their own names; a window may also be written as width and level.
            box.addItem(name if isinstance(name, str) else str(name.get("name", "")))
        box.setCurrentText(written)
        self._fillQuestions()
        self.update()

    def _fillQuestions(self) -> None:
        words = Questions.suggestions(self._logic.service.targets, self._modality())
        self._completer.setModel(qt.QStringListModel(words, self._completer))
        self._ui.questionEdit.setPlaceholderText(words[0] if words else _("A question about the current slice"))

    def _modality(self) -> str:
        box = self._ui.modalitySelector
        chosen = str(box.itemData(box.currentIndex) or "") if box.currentIndex >= 0 else ""
        volumeNode = self._ui.volumeSelector.currentNode()
        return chosen or (guessModality(volumeNode) if volumeNode is not None else "") or ""

    def _options(self) -> dict[str, str]:
        volumeNode = self._ui.volumeSelector.currentNode()
        modality = self._modality()
        if modality == knownModality(volumeNode):
            modality = ""  # the reader says it itself
        return {"modality": modality, "window": self._ui.windowSelector.currentText.strip()}

    def _followed(self, volumeNode: Any) -> Any:
        """The conversation that a question can follow up: the one shown, if it is about this volume."""
        node = self._conversationNode
        if node is None or volumeNode is None or node.GetScene() is None:
            return None
        return self._logic.conversation(node) if self._logic.store.volumeNode(node) is volumeNode else None
