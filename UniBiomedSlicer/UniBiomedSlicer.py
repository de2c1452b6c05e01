# SPDX-License-Identifier: Apache-2.0
"""Module "UniBiomed": sets up the engine and shows what it is doing; the work itself is done in the other modules.

What is chosen here belongs to this computer and not to a scene, so it lies in Slicer's settings (see
``UniBiomedSlicerLib.Settings``) and the module has no parameter node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from UniBiomedSlicerLib.CohortPanel import CohortPanel
from UniBiomedSlicerLib.EnginePanel import EnginePanel
from UniBiomedSlicerLib.EngineService import engineService
from UniBiomedSlicerLib.Environment import environment
from UniBiomedSlicerLib.LogPanel import LogPanel
from UniBiomedSlicerLib.MaintenancePanel import MaintenancePanel
from UniBiomedSlicerLib.ModelsPanel import ModelsPanel
from UniBiomedSlicerLib.ModelStore import ModelStore
from UniBiomedSlicerLib.PanelTools import loadPanel
from UniBiomedSlicerLib.RemotePanel import RemoteConsent, RemotePanel
from UniBiomedSlicerLib.SampleImages import loadSampleImage, registerSampleImages, sampleImages
from UniBiomedSlicerLib.Settings import settings
from UniBiomedSlicerLib.SettingsForm import SettingsForm, SettingsPage
from UniBiomedSlicerLib.SetupPanel import SetupPanel


class UniBiomedSlicer(ScriptedLoadableModule):
    """What Slicer is told of the module, and what is set up once when Slicer has started."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("UniBiomed")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["the UniBiomed for 3D Slicer contributors"]
        self.parent.helpText = _(
            "<p>Sets up <b>UniBiomed</b>, which reads an image, says in words what it sees and shows where: every "
            "phrase of the text is tied to a segment. Here you install the engine (on this computer, or connect to "
            "a server), choose the model, see what the engine is doing, and review cohorts that it has annotated.</p>"
            "<p>The work is done in <b>UniBiomed Segment</b> (segments by their names), <b>UniBiomed Report</b> "
            "(reports, questions, descriptions) and the effect <b>UniBiomed</b> of the Segment Editor.</p>"
            "<p>For research; not for clinical use.</p>"
        )
        self.parent.acknowledgementText = _(
            "<p>The model is UniBiomed by Wu et al.; please cite: L. Wu et al., <i>UniBiomed: A Universal Foundation "
            'Model for Grounded Biomedical Image Interpretation</i>, <a href="https://arxiv.org/abs/2504.21336">'
            "arXiv:2504.21336</a>.</p><p>The sample head MRI comes with pyradiomics (BSD-3); the sample CT is a "
            "computed phantom.</p>"
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self) -> None:
        """The question before images leave this computer, sample data, the page in Slicer's settings dialog."""
        # The consent comes first: without it no image may leave, whatever else fails below.
        engineService().consentHook = RemoteConsent(settings()).ask
        slicer.app.connect("aboutToQuit()", environment().cleanup)
        registerSampleImages(Path(__file__).parent / "Resources" / "Icons")
        if slicer.util.mainWindow() is not None:
            page = slicer.modules.UniBiomedSettingsPage = SettingsPage(settings())
            slicer.app.settingsDialog().addPanel(_("UniBiomed"), page.panel)


class UniBiomedSlicerWidget(ScriptedLoadableModuleWidget):
    """Puts the panels of ``UniBiomedSlicerLib`` into the sections of the module."""

    def setup(self) -> None:
        """Build the sections; nothing is started and nobody is asked anything."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = UniBiomedSlicerLogic()
        self.widget, self.ui = loadPanel("UniBiomedSlicer")
        self.layout.addWidget(self.widget)
        self.ui.iconLabel.setPixmap(qt.QPixmap(self.resourcePath("Icons/UniBiomedSlicer.png")))
        choices, service, managed = settings(), engineService(), environment()
        self.store = ModelStore(managed, choices)
        self.consent = RemoteConsent(choices)
        self.enginePanel = EnginePanel(service)
        self.modelsPanel = ModelsPanel(service, self.store, choices)
        self.remotePanel = RemotePanel(service, choices, self.consent)
        self.settingsForm = SettingsForm(choices)
        self.maintenancePanel = MaintenancePanel(service, managed, self.store)
        self.cohortPanel = CohortPanel(managed.pythonPath)
        self.logPanel = LogPanel(service, managed, choices)
        self.setupPanel = SetupPanel(service, managed, self.store, self.modelsPanel, choices)
        for button, panel in (
            (self.ui.setupButton, self.setupPanel),
            (self.ui.engineButton, self.enginePanel),
            (self.ui.modelsButton, self.modelsPanel),
            (self.ui.remoteButton, self.remotePanel),
            (self.ui.cohortButton, self.cohortPanel),
            (self.ui.settingsButton, self.settingsForm),
            (self.ui.maintenanceButton, self.maintenancePanel),
            (self.ui.logButton, self.logPanel),
        ):
            button.layout().addWidget(panel.widget)
        self.setupPanel.remoteWanted.connect(self.onRemoteWanted)
        self.setupPanel.completed.connect(self.onSetupCompleted)
        self.remotePanel.changed.connect(self.setupPanel.refresh)
        self.settingsForm.edited.connect(self.onSettingsEdited)
        managed.finished.connect(self.onInstallerFinished)
        self.ui.maintenanceButton.connect("contentsCollapsed(bool)", self.onMaintenanceCollapsed)
        self.ui.logButton.connect("contentsCollapsed(bool)", self.onLogCollapsed)
        ready = self.setupPanel.isReady()
        self.ui.setupButton.collapsed = ready
        self.ui.engineButton.collapsed = not ready

    def enter(self) -> None:
        """Show what may have changed elsewhere."""
        self.settingsForm.refresh()
        self.remotePanel.refresh()
        self.setupPanel.refresh()
        self.setupPanel.preview()
        self.enginePanel.refresh()
        self.store.refresh()
        environment().clearLeftovers()

    def cleanup(self) -> None:
        """Listen to nobody any more."""
        environment().finished.disconnect(self.onInstallerFinished)
        for panel in (
            self.setupPanel,
            self.enginePanel,
            self.modelsPanel,
            self.remotePanel,
            self.cohortPanel,
            self.maintenancePanel,
            self.logPanel,
        ):
            panel.cleanup()
        self.consent.cleanup()
        self.store.cleanup()

    def onRemoteWanted(self) -> None:
        """Lead to the section of the remote server."""
        self.ui.remoteButton.collapsed = False
        self.remotePanel.ui.urlEdit.setFocus()

    def onSetupCompleted(self) -> None:
        """The first image is done: what the engine is doing is of interest now."""
        self.ui.engineButton.collapsed = False

    def onSettingsEdited(self) -> None:
        """Another folder or interpreter may mean another environment."""
        self.setupPanel.refresh()
        self.setupPanel.preview()
        page = getattr(slicer.modules, "UniBiomedSettingsPage", None)
        if page is not None:
            page.form.refresh()

    def onInstallerFinished(self, ok: bool, message: str) -> None:
        """Open what is of use next: the engine after success, the installer's log after a failure."""
        if ok and self.setupPanel.isReady():
            self.ui.engineButton.collapsed = False
        elif not ok and environment().log:
            self.logPanel.showInstaller()
            self.logPanel.refresh()

    def onMaintenanceCollapsed(self, collapsed: bool = False) -> None:
        """Sizes are only measured while they are looked at."""
        if not self.ui.maintenanceButton.collapsed:
            self.maintenancePanel.refresh()

    def onLogCollapsed(self, collapsed: bool = False) -> None:
        """A log that was collapsed is read anew."""
        if not self.ui.logButton.collapsed:
            self.logPanel.refresh()


class UniBiomedSlicerLogic(ScriptedLoadableModuleLogic):
    """For scripts: the sample images; the engine itself is ``UniBiomedSlicerLib.EngineService.engineService()``."""

    def sampleNames(self) -> list[str]:
        """The names that ``loadSample`` knows."""
        return list(sampleImages())

    def loadSample(self, name: str) -> Any:
        """Load one sample image into the scene; returns its volume node."""
        return loadSampleImage(name)


class UniBiomedSlicerTest(ScriptedLoadableModuleTest):
    """What can be tested in any Slicer, without an engine and without a network."""

    def setUp(self) -> None:
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Both sample images load with their geometry."""
        self.setUp()
        self.test_SampleImages()

    def test_SampleImages(self) -> None:
        """The head is a stack of 6.5 mm slices; the phantom's slices are 6.8 mm apart."""
        logic = UniBiomedSlicerLogic()
        spacings = [round(logic.loadSample(name).GetSpacing()[2], 1) for name in logic.sampleNames()]
        assert spacings == [6.5, 6.8]
