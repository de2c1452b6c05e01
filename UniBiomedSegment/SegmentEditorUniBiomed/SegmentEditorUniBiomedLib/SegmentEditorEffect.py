# SPDX-License-Identifier: Apache-2.0
"""The Segment Editor effect UniBiomed: name what the selected segment shall hold, look at the result, apply it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _
from UniBiomedSegmentLib.Choices import AUTO, modalitiesOf
from UniBiomedSegmentLib.TargetList import TargetList
from UniBiomedSlicerLib import SegmentTags
from UniBiomedSlicerLib.EngineService import engineService
from UniBiomedSlicerLib.VolumeReader import guessModality
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid

from . import EffectWords, EffectWriting
from .EffectPanel import EffectPanel
from .EffectRun import CANCELLED, EMPTY, FAILED, READY, EffectRun
from .EffectWriting import ADD, REMOVE
from .ReferenceMask import maskImage
from .SearchPlane import VOLUME, searchPlane

_DEFAULTS = {"Prompt": "", "Scope": VOLUME, "Modality": AUTO, "Operation": ADD}


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Ties panel, engine and editor together. One search at a time; its result waits until it is applied, added as a
    new segment or discarded, also while another effect is used."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "UniBiomed"  # not translated: parameters are kept under it
        scriptedEffect.title = _("UniBiomed")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        scriptedEffect.showEffectCursorInSliceView = False
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.panel: EffectPanel | None = None
        self.run: EffectRun | None = None
        self._observations: list[tuple[Any, int]] = []
        self._sceneObservation: int | None = None

    def clone(self):
        """A new one for another editor, as Slicer's template does it."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clone = effects.qSlicerSegmentEditorScriptedEffect(None)
        clone.setPythonSource(Path(__file__).as_posix())
        return clone

    def icon(self):
        path = Path(__file__).with_suffix(".png")
        return qt.QIcon(str(path)) if path.is_file() else qt.QIcon()

    def helpText(self):
        return _(
            "<p>Finds what you name, on one slice or in the whole volume, for the selected segment.</p>"
            "<p>The result is shown first: <b>Apply</b> puts it into the segment within the masking settings below, "
            "<b>Add as new segment</b> leaves all other segments as they are, <b>Discard</b> drops it.</p>"
        )

    def setupOptionsFrame(self):
        self.panel = EffectPanel()
        self.scriptedEffect.addOptionsWidget(self.panel.widget)
        self.panel.changed.connect(self.updateMRMLFromGUI)
        self.panel.returnPressed.connect(self.onReturn)
        self.panel.runPressed.connect(self.onRunOrCancel)
        self.panel.applyPressed.connect(self.onApply)
        self.panel.addPressed.connect(self.onAddAsNew)
        self.panel.discardPressed.connect(self.onDiscard)
        self._sceneObservation = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, self._onSceneClose)
        self.panel.say("")

    def activate(self):
        node = self.scriptedEffect.parameterSetNode()
        self._observe(node, vtk.vtkCommand.ModifiedEvent, self._onEditorNodeModified)
        service = engineService()
        service.capabilitiesChanged.connect(self._onCapabilities)
        self._onCapabilities()
        self.panel.setViews(slicer.app.layoutManager().sliceViewNames())
        if self.run is not None:
            self.run.setVisible(True)
        self._refresh()

    def deactivate(self):
        self._forgetObservations()
        engineService().capabilitiesChanged.disconnect(self._onCapabilities)
        if self.run is not None:
            self.run.setVisible(False)

    def cleanup(self):
        """Called before the editor goes: nothing of this may be called afterwards."""
        self._forgetObservations()
        if self._sceneObservation is not None:
            slicer.mrmlScene.RemoveObserver(self._sceneObservation)
            self._sceneObservation = None
        self._closeRun()
        if self.panel is not None:
            engineService().capabilitiesChanged.disconnect(self._onCapabilities)
            self.panel.cleanup()
            self.panel = None

    def createCursor(self, widget):
        return slicer.util.mainWindow().cursor

    def interactionNodeModified(self, interactionNode):
        """Stay active while the mouse adjusts the window or places something: a result may be waiting."""

    def sourceVolumeNodeChanged(self):
        if self.panel is not None and self.scriptedEffect.parameterSetNode() is not None:
            self._onCapabilities()
            self._refresh()

    def layoutChanged(self):
        if self.panel is not None:
            self.panel.setViews(slicer.app.layoutManager().sliceViewNames())

    def setMRMLDefaults(self):
        for name, value in _DEFAULTS.items():
            self.scriptedEffect.setParameterDefault(name, value)

    def updateGUIFromMRML(self):
        if self.panel is not None:
            self.panel.setChoices(*(self._parameter(name) for name in _DEFAULTS))

    def updateMRMLFromGUI(self):
        effect, panel = self.scriptedEffect, self.panel
        effect.setParameter("Prompt", panel.promptText)
        effect.setParameter("Scope", panel.scope)
        effect.setParameter("Modality", panel.modality)
        effect.setParameter("Operation", panel.operation)
        self._refresh()

    # What the buttons do

    def onReturn(self):
        """Start a search, but never cancel one or drop a result that waits: Return is easily pressed twice."""
        if self.run is None or not (self.run.isActive or self.run.state == READY):
            self.onRunOrCancel()

    def onRunOrCancel(self):
        """Start a search, or cancel the one that is on its way."""
        if self.run is not None and self.run.isActive:
            self.run.cancel()
            self.panel.showRunning(True, isCancelling=True)
            return
        problem = self._problem()
        if problem:
            self.panel.say(problem)
            return
        self._closeRun()
        editorNode = self.scriptedEffect.parameterSetNode()
        try:
            plane = searchPlane(self.panel.scope, editorNode.GetSourceVolumeNode())
        except ValueError as error:  # a volume without a rectangular grid
            self.panel.say(str(error))
            return
        self.panel.say("")
        names, modality = self.panel.prompt.names(), self.panel.chosenModality()
        self.run = EffectRun(engineService(), editorNode, names, modality, plane)
        self.run.progressed.connect(self.panel.showProgress)
        self.run.noticed.connect(self.panel.say)
        self.run.finished.connect(self._onRunFinished)
        self.panel.showProgress("preparing", None, None)
        self._refresh()

    def onApply(self):
        """Put the result into the selected segment: one state to undo."""
        run, editorNode = self.run, self.scriptedEffect.parameterSetNode()
        if run is None or run.state != READY:
            return
        if run.obstacle(editorNode) is not None:
            self._refresh()
            return
        if not self.scriptedEffect.confirmCurrentSegmentVisible():
            return
        region = run.region()
        outcome = EffectWriting.apply(
            self.scriptedEffect,
            self._labelmap(run.box),
            None if region is None else self._labelmap(region),
            self.panel.operation,
        )
        if outcome.added or outcome.removed:
            SegmentTags.setProvenance(editorNode.GetSegmentationNode(), run.result, run.job.id)
        self._closeRun()
        self._refresh()
        self.panel.say(EffectWords.applied(outcome))

    def onAddAsNew(self):
        """Put the result into new segments, also where it does not fit the selected one any more."""
        run = self.run
        if run is None or run.state != READY:
            return
        node = run.target.segmentationNode()
        if node is not None and node is self.scriptedEffect.parameterSetNode().GetSegmentationNode():
            self.scriptedEffect.saveStateForUndo()
        try:
            node = run.addAsNew()
        except ValueError as error:
            self.panel.say(str(error))
            return
        self._closeRun()
        self._refresh()
        self.panel.say(_('The result was added to "{name}".').format(name=node.GetName()))

    def onDiscard(self):
        """Drop the result."""
        self._closeRun()
        self._refresh()
        self.panel.say("")

    # Inside

    def _parameter(self, name: str) -> str:
        """An empty text cannot be told from none in an editor node, and asking for none is an error."""
        return self.scriptedEffect.parameter(name) if self.scriptedEffect.parameterDefined(name) else _DEFAULTS[name]

    def _problem(self) -> str:
        """Why no search can be started, in one sentence; ""."""
        editorNode = self.scriptedEffect.parameterSetNode()
        if editorNode.GetSourceVolumeNode() is None:
            return _("Select a source volume first.")
        if not editorNode.GetSelectedSegmentID():
            return _("Select the segment that the result is for.")
        return self.panel.prompt.problem()

    def _labelmap(self, box: Any) -> Any:
        node = self.scriptedEffect.parameterSetNode().GetSegmentationNode()
        return maskImage(box, VoxelGrid.ofVolume(self.run.target.volumeNode()), node)

    def _onRunFinished(self, run: EffectRun) -> None:
        if run is not self.run or self.panel is None:
            return
        self._refresh()

    def _refresh(self) -> None:
        """Show where the search or its result stands."""
        run = self.run
        if self.panel is None:
            return
        self.panel.showRunning(run is not None and run.isActive, run is not None and run.state == "cancelling")
        self.panel.showResult(False)
        if run is None or run.isActive:
            return
        if run.state == CANCELLED:
            self.panel.say(_("Cancelled; nothing was changed."))
        elif run.state == FAILED:
            self.panel.say(run.message)
        elif run.state == EMPTY:
            self.panel.say(EffectWords.found(run.result))
        elif run.state == READY:
            self._showResult(run)

    def _showResult(self, run: EffectRun) -> None:
        editorNode = self.scriptedEffect.parameterSetNode()
        obstacle = run.obstacle(editorNode)
        sentences = [EffectWords.found(run.result)]
        if obstacle is not None:
            sentences.append(obstacle.text)
            if obstacle.isFinal:
                sentences.append(_("It can still be added as a new segment."))
        elif self.panel.operation != REMOVE and editorNode.GetOverwriteMode() != editorNode.OverwriteNone:
            node, segmentId = editorNode.GetSegmentationNode(), editorNode.GetSelectedSegmentID()
            reference = self.scriptedEffect.referenceGeometryImage()
            found = EffectWriting.overlaps(node, segmentId, self._labelmap(run.box), reference)
            sentences.append(EffectWords.overlapping(found))
        self.panel.showResult(True, canApply=obstacle is None)
        self.panel.say(" ".join(filter(None, sentences)))

    def _closeRun(self) -> None:
        run, self.run = self.run, None
        if run is not None:
            run.close()

    def _onCapabilities(self) -> None:
        service, editorNode = engineService(), self.scriptedEffect.parameterSetNode()
        volumeNode = editorNode.GetSourceVolumeNode() if editorNode is not None else None
        known = guessModality(volumeNode) if volumeNode is not None else None
        self.panel.setModalities(modalitiesOf(service.capabilities), known)
        self.panel.prompt.setTargets(TargetList(service.targets or ()))

    def _onEditorNodeModified(self, caller: Any = None, event: str = "") -> None:
        if self.run is not None and self.run.state == READY and not slicer.mrmlScene.IsClosing():
            self._refresh()

    def _onSceneClose(self, caller: Any = None, event: str = "") -> None:
        self._closeRun()
        if self.panel is not None:
            self.panel.say("")
            self._refresh()

    def _observe(self, node: Any, event: Any, callback: Any) -> None:
        self._forgetObservations()
        if node is not None:
            self._observations.append((node, node.AddObserver(event, callback)))

    def _forgetObservations(self) -> None:
        for node, tag in self._observations:
            node.RemoveObserver(tag)
        self._observations.clear()
