# SPDX-License-Identifier: Apache-2.0
"""The panel as a whole: what each part needs of the others."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from UniBiomedSlicerLib.EngineService import engineService
from UniBiomedSlicerLib.VolumeReader import guessModality

from UniBiomedSegmentLib.ChoiceBox import ChoiceBox
from UniBiomedSegmentLib.Choices import AUTO, isTypedWindow, modalitiesOf, windowsOf
from UniBiomedSegmentLib.EngineBar import EngineBar
from UniBiomedSegmentLib.OutputGuard import canTakeVoxels
from UniBiomedSegmentLib.PromptLine import PromptLine
from UniBiomedSegmentLib.ResultPanel import ResultPanel
from UniBiomedSegmentLib.RunPanel import RunPanel
from UniBiomedSegmentLib.SliceBox import SliceBox
from UniBiomedSegmentLib.TargetList import TargetList
from UniBiomedSegmentLib.TargetsMenu import TargetsMenu


class SegmentPanel:
    """``ui``: the widgets of UniBiomedSegment.ui. ``logic``: a ``UniBiomedSegmentLogic``."""

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._parameters: Any = None
        self.runs: RunPanel | None = None  # the other parts call back while they are being made
        self._service = engineService()
        self.engine = EngineBar(self._service, ui.engineLabel, ui.engineButton, openSetUp)
        self.prompt = PromptLine(ui.promptLineEdit, ui.feedbackLabel, self._modality)
        self.targets = TargetsMenu(ui.targetsButton, self.prompt.add)
        self.slices = SliceBox(ui, self._showProblem)
        self.modality = ChoiceBox(ui.modalityComboBox, self._onModalityChosen)
        self.window = ChoiceBox(ui.windowComboBox, self._onWindowChosen)
        self.results = ResultPanel(ui)
        self.runs = RunPanel(ui, logic, self._start, self._onRunFinished)
        self.prompt.changed.connect(self._showProblem)
        self.prompt.applied.connect(self.runs.apply)
        self.prompt.escaped.connect(self.runs.cancel)
        self._service.stateChanged.connect(self._onEngineChanged)
        self._service.capabilitiesChanged.connect(self._onEngineChanged)
        self._onEngineChanged()

    def setParameters(self, parameters: Any) -> None:
        """Follow another parameter node; None: none."""
        self._parameters = parameters
        self.slices.setParameters(parameters)
        self.refresh()

    def refresh(self) -> None:
        """Show what the parameter node, the engine and the scene say now."""
        parameters = self._parameters
        volumeNode = parameters.inputVolume if parameters is not None else None
        guess = guessModality(volumeNode) if volumeNode is not None else None
        automatic = _("Automatic ({modality})").format(modality=guess) if guess else _("Automatic")
        capabilities = self._service.capabilities
        self.modality.setValue(parameters.modality if parameters is not None else AUTO)
        self.modality.setEntries([(AUTO, automatic), *((word, word) for word in modalitiesOf(capabilities))])
        self.window.setValue(parameters.window if parameters is not None else AUTO)
        self.window.setEntries([(AUTO, _("Automatic")), *((name, name) for name in windowsOf(capabilities))])
        self.prompt.refresh()
        self.slices.refresh()
        self.results.setSegmentation(parameters.outputSegmentation if parameters is not None else None, volumeNode)

    def problem(self) -> str:
        """Why nothing can be applied now, in one sentence; "" if it can."""
        parameters = self._parameters
        if parameters is None or parameters.inputVolume is None:
            return _("Choose the volume to look in; load one first if there is none.")
        if parameters.inputVolume.GetImageData() is None:
            return _('"{name}" holds no voxels; choose another volume.').format(name=parameters.inputVolume.GetName())
        if self._service.state == "notInstalled":
            return _("The engine is not set up yet; open the module UniBiomed to do so.")
        if self.slices.problem():
            return self.slices.problem()
        if not canTakeVoxels(parameters.outputSegmentation):
            return _('The segments of "{name}" are not kept as voxels; choose another segmentation.').format(
                name=parameters.outputSegmentation.GetName()
            )
        window = parameters.window
        if (
            window != AUTO
            and not isTypedWindow(window)
            and window not in (windowsOf(self._service.capabilities) or [window])
        ):
            return _('The window "{window}" is not known; choose one, or type width/level such as 400/40.').format(
                window=window
            )
        return self.prompt.problem()

    def cleanup(self) -> None:
        """Let go of everything."""
        self._parameters = None
        self._service.stateChanged.disconnect(self._onEngineChanged)
        self._service.capabilitiesChanged.disconnect(self._onEngineChanged)
        for part in (
            self.engine,
            self.prompt,
            self.targets,
            self.slices,
            self.modality,
            self.window,
            self.results,
            self.runs,
        ):
            part.cleanup()

    def _modality(self) -> str | None:
        """What the engine is to take the volume for: what was chosen, else what is shown as automatic; None: what the
        targets imply."""
        if self._parameters is None:
            return None
        if self._parameters.modality != AUTO:
            return self._parameters.modality
        return guessModality(self._parameters.inputVolume) if self._parameters.inputVolume is not None else None

    def _start(self) -> Any:
        parameters = self._parameters
        try:
            return self._logic.segment(
                parameters.inputVolume,
                self.prompt.names(),
                modality=self._modality(),
                window=_chosen(parameters.window),
                axis=self.slices.axis(),
                slices=self.slices.slices(),
                method=self.slices.method(),
                keySlice=self.slices.keySlice(),
                clean=parameters.clean,
                segmentationNode=parameters.outputSegmentation,
                replace=parameters.replace,
            )
        except ValueError as error:
            self.runs.say(str(error), qt.QStyle.SP_MessageBoxWarning)
            return None

    def _onRunFinished(self, run: Any) -> None:
        if run.state == "done":
            self.results.setMissing(run.notFound)
            if run.segmentationNode is not None and self._parameters is not None:
                self._parameters.outputSegmentation = run.segmentationNode
                # Also while another module is open and the panel does not follow its parameters.
                self.results.setSegmentation(run.segmentationNode, self._parameters.inputVolume)

    def _showProblem(self) -> None:
        if self.runs is not None:
            self.runs.setProblem(self.problem())

    def _onEngineChanged(self) -> None:
        targets = TargetList(self._service.targets or ())
        self.prompt.setTargets(targets)
        self.targets.setTargets(targets)
        self.refresh()

    def _onModalityChosen(self, value: str) -> None:
        if self._parameters is not None:
            self._parameters.modality = value

    def _onWindowChosen(self, value: str) -> None:
        if self._parameters is not None:
            self._parameters.window = value


def openSetUp() -> None:
    """Show the module that sets the engine up."""
    slicer.util.selectModule("UniBiomedSlicer")


def _chosen(value: str) -> str | None:
    return None if value == AUTO else value
