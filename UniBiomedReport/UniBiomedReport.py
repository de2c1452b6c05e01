# SPDX-License-Identifier: Apache-2.0
"""UniBiomed Report: reads a volume in words, ties every phrase to its segment, and keeps the reports in the scene."""

from typing import Any

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTextNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from UniBiomedReportLib.EngineStrip import EngineStrip
from UniBiomedReportLib.Logic import UniBiomedReportLogic
from UniBiomedReportLib.ReadPanel import ReadPanel
from UniBiomedReportLib.ReportPanel import ReportPanel
from UniBiomedReportLib.ReportTask import CANCELLED, DISCARDED, FAILED, STORED, ReportTask


class UniBiomedReport(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("UniBiomed Report")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["UniBiomedSlicer"]
        self.parent.contributors = ["UniBiomed for 3D Slicer contributors"]
        self.parent.helpText = _(
            "Reads a slice or a whole volume and writes what it sees: a report, a list of findings, answers to "
            "questions, a description of a segment. Underlined phrases stand for segments: point at one to see its "
            "segment, click it to go there, select a segment to see its phrases. The text can be edited and is saved "
            "with the scene. AI generated, not for clinical use."
        )
        self.parent.acknowledgementText = _(
            "Model: L. Wu et al., UniBiomed: a universal foundation model for grounded biomedical image "
            "interpretation, arXiv 2504.21336."
        )


@parameterNodeWrapper
class UniBiomedReportParameterNode:
    """What the scene keeps of the module's choices."""

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    report: vtkMRMLTextNode
    wholeVolume: bool = False
    view: str = "Red"


class UniBiomedReportWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panels together and follows the scene."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: UniBiomedReportLogic | None = None
        self.strip: EngineStrip | None = None
        self.readPanel: ReadPanel | None = None
        self.reportPanel: ReportPanel | None = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None
        self._task: ReportTask | None = None
        self._offered: ReportTask | None = None

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/UniBiomedReport.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = UniBiomedReportLogic()
        ui = self.ui
        self.strip = EngineStrip(ui.engineFrame, ui.engineLabel, ui.engineButton, self.logic.service)
        self.readPanel = ReadPanel(ui, self.logic)
        self.reportPanel = ReportPanel(ui, self.logic)
        self.readPanel.started.connect(self.follow)
        self.readPanel.refused.connect(self._say)
        self.reportPanel.told.connect(self._say)
        self.reportPanel.chosen.connect(self._onReportChosen)
        self.reportPanel.segmentChosen.connect(self.readPanel.chooseSegment)
        ui.cancelButton.connect("clicked()", self._onCancel)
        ui.keepButton.connect("clicked()", self._onKeep)
        ui.discardButton.connect("clicked()", self._onDiscard)
        ui.progressFrame.setVisible(False)
        ui.offerFrame.setVisible(False)
        self._say("")
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.reportPanel.refresh()
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when Slicer ends or the module is reloaded."""
        for task in (self._task, self._offered):
            if task is not None:
                task.abandon()
        self._task = self._offered = None
        self.removeObservers()
        self.setParameterNode(None)
        for part in (self.reportPanel, self.readPanel, self.strip, self.logic):
            if part is not None:
                part.cleanup()
        self.reportPanel = self.readPanel = self.strip = None

    def enter(self) -> None:
        """Called each time the user opens the module."""
        self.initializeParameterNode()
        self.reportPanel.refresh()

    def exit(self) -> None:
        """Called each time the user opens another module."""
        if self.reportPanel is not None:
            self.reportPanel.leave()
        if self._parameterNode is not None and self._parameterNodeGuiTag is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None

    # Parameter node

    def initializeParameterNode(self) -> None:
        """Take up the scene's parameter node; without a volume chosen, the one that is shown is."""
        parameterNode = UniBiomedReportParameterNode(self.logic.getParameterNode())
        self.setParameterNode(parameterNode)
        if parameterNode.inputVolume is None:
            selection = slicer.app.applicationLogic().GetSelectionNode()
            shown = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection is not None else None
            if shown is None or not shown.IsA("vtkMRMLScalarVolumeNode"):
                shown = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if shown is not None:
                parameterNode.inputVolume = shown
        if parameterNode.report is not None and parameterNode.report is not self.reportPanel.node:
            self.reportPanel.choose(parameterNode.report)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Connect the widgets to a parameter node; None to let go of it."""
        if self._parameterNode is not None and self._parameterNodeGuiTag is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
        self._parameterNode = parameterNode
        self._parameterNodeGuiTag = parameterNode.connectGui(self.ui) if parameterNode is not None else None
        if self.readPanel is not None:
            self.readPanel.setParameterNode(parameterNode)

    # A reading on its way

    def follow(self, task: ReportTask) -> None:
        """Show how a reading goes and what comes of it."""
        self._task = task
        task.textGrew.connect(self.reportPanel.grow)
        task.progressed.connect(self._onProgress)
        task.noticed.connect(self._say)
        task.offered.connect(self._onOffered)
        task.finished.connect(self._onFinished)
        self.ui.progressBar.setRange(0, 0)
        self.ui.progressFrame.setVisible(True)
        self._say(_("{title}: waiting for the engine...").format(title=task.title))
        self.readPanel.setBusy(True)
        self.reportPanel.beginGrowing(task.title)

    def _onProgress(self, _stage: str, fraction: float | None, secondsLeft: float | None) -> None:
        bar = self.ui.progressBar
        if fraction is None:
            bar.setRange(0, 0)
        else:
            bar.setRange(0, 1000)
            bar.setValue(round(1000 * fraction))
        left = "" if secondsLeft is None else _(", about {time} left").format(time=_duration(secondsLeft))
        self._say(f"{self._task.title if self._task is not None else ''}{left}")

    def _onOffered(self, task: ReportTask) -> None:
        if self._offered is not None and self._offered is not task:
            self._offered.discard()
        self._offered = task
        self._endWork()
        self.reportPanel.endGrowing()
        self.ui.offerLabel.setText(_("{title} is ready. {problem}").format(title=task.title, problem=task.problem))
        self.ui.offerFrame.setVisible(True)
        self._say("")

    def _onFinished(self, task: ReportTask) -> None:
        if task is self._offered:
            self._offered = None
            self.ui.offerFrame.setVisible(False)
            if task.state == STORED:
                self.reportPanel.choose(task.reportNode)
        else:
            self._endWork()
            self.reportPanel.endGrowing(task.reportNode)
        if task.state == STORED:
            self._say(task.message)
            if task.kind == "answer":
                self.readPanel.focusQuestion()
        elif task.state == FAILED:
            self._say(task.message or _("The engine could not do this."))
        elif task.state in (CANCELLED, DISCARDED):
            self._say(_("Cancelled.") if task.state == CANCELLED else "")

    def _endWork(self) -> None:
        self._task = None
        self.ui.progressFrame.setVisible(False)
        self.readPanel.setBusy(False)

    def _onCancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _onKeep(self) -> None:
        if self._offered is not None:
            self._offered.keep()

    def _onDiscard(self) -> None:
        if self._offered is not None:
            self._offered.discard()

    def _say(self, sentence: str) -> None:
        self.ui.statusLabel.setText(sentence)
        self.ui.statusLabel.setVisible(bool(sentence))

    def _onReportChosen(self, node: Any) -> None:
        if self._parameterNode is not None:
            self._parameterNode.report = node
        self.readPanel.setConversation(node if node is not None and self.logic.conversation(node) else None)
        segmentation = self.logic.store.segmentationNode(node) if node is not None else None
        if segmentation is not None:
            self.ui.segmentationSelector.setCurrentNode(segmentation)

    # The scene

    def _onSceneStartClose(self, _caller: Any, _event: str) -> None:
        for task in (self._task, self._offered):
            if task is not None:
                task.cancel()
        self.reportPanel.forget()
        self.setParameterNode(None)

    def _onSceneEndClose(self, _caller: Any, _event: str) -> None:
        self.reportPanel.refreshLater()
        if self.parent.isEntered:
            self.initializeParameterNode()

    def _onSceneEndImport(self, _caller: Any, _event: str) -> None:
        self.reportPanel.refreshLater()
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, _caller: Any, _event: str, node: Any) -> None:
        if node.IsA("vtkMRMLTextNode"):
            self.reportPanel.refreshLater()
        self.reportPanel.watch(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, _caller: Any, _event: str, node: Any) -> None:
        if node.IsA("vtkMRMLTextNode"):
            self.reportPanel.refreshLater()
        elif node.IsA("vtkMRMLSegmentationNode") or node.IsA("vtkMRMLScalarVolumeNode"):
            self.reportPanel.reloadLater()


class UniBiomedReportTest(ScriptedLoadableModuleTest):
    """What Slicer's own self-test runs: a report goes into the scene and comes back."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run the one test that needs no engine."""
        self.setUp()
        self.test_aReportIsKeptInTheScene()

    def test_aReportIsKeptInTheScene(self) -> None:
        """A result becomes a report with the same text."""
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Volume")
        logic = UniBiomedReportLogic()
        node = logic.store.add({"type": "report", "text": "No findings.", "spans": []}, volume)
        assert logic.store.document(node)["text"] == "No findings."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return _("{count} s").format(count=round(seconds))
    return _("{count} min").format(count=round(seconds / 60))
