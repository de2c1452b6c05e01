# SPDX-License-Identifier: Apache-2.0
"""The first-run page: environment, model, sample data; each step says what it is, how it stands and what to do."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.EnvironmentState import ABSENT, BROKEN, CHANGED, EXTERNAL, OUTDATED
from UniBiomedSlicerLib.ModelsPanel import ModelsPanel, titleOf
from UniBiomedSlicerLib.ModelStore import ModelStore
from UniBiomedSlicerLib.PanelTools import Question, hideProgress, loadPanel, showProgress, showText
from UniBiomedSlicerLib.SampleImages import HEAD, PHANTOM
from UniBiomedSlicerLib.SampleTrial import SampleTrial
from UniBiomedSlicerLib.Settings import BUNDLED_MODEL, PROFILE_LOCAL, PROFILE_REMOTE, PUBLISHED_MODEL, Settings
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.TorchBuild import TorchBuild

_DONE = "#2e9e5b"
_NEXT = "#1f6f8b"
_LATER = "#9aa5ab"


class SetupPanel:
    """``remoteWanted()`` when the user is to be led to the section of the remote server; ``completed()`` once all
    three steps have been done in this session."""

    def __init__(
        self,
        service: Any,
        environment: Environment,
        store: ModelStore,
        models: ModelsPanel,
        settings: Settings,
    ) -> None:
        self.remoteWanted = Signal("SetupPanel.remoteWanted")
        self.completed = Signal("SetupPanel.completed")
        self.widget, self.ui = loadPanel("UniBiomedSlicerSetup")
        self._service = service
        self._environment = environment
        self._store = store
        self._models = models
        self._settings = settings
        self._question: Question | None = None
        self._message = ""
        self._modelBusy = False
        self._alive = True
        self._planned: TorchBuild | None = None
        self._tried = False
        self._trial = SampleTrial(service)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        ui = self.ui
        ui.localRadio.connect("clicked()", self._onProfile)
        ui.remoteRadio.connect("clicked()", self._onProfile)
        ui.installButton.connect("clicked()", self._onInstall)
        ui.cancelInstallButton.connect("clicked()", self._onCancelInstall)
        ui.interpreterButton.connect("clicked()", self._onInterpreter)
        ui.goToRemoteButton.connect("clicked()", self._onGoToRemote)
        ui.miniButton.connect("clicked()", self._onMini)
        ui.downloadButton.connect("clicked()", self._onDownload)
        ui.cancelDownloadButton.connect("clicked()", self._onCancelDownload)
        ui.tryHeadButton.connect("clicked()", self._onTryHead)
        ui.tryPhantomButton.connect("clicked()", self._onTryPhantom)
        ui.cancelTryButton.connect("clicked()", self._onCancelTry)
        ui.openSegmentButton.connect("clicked()", self._onOpenSegment)
        ui.openReportButton.connect("clicked()", self._onOpenReport)
        self._environment.progressed.connect(self._onInstallProgress)
        self._environment.finished.connect(self._onInstalled)
        self._environment.changed.connect(self.refresh)
        self._store.changed.connect(self.refresh)
        self._store.progressed.connect(self._onModelProgress)
        self._store.finished.connect(self._onModelFinished)
        self._service.stateChanged.connect(self.refresh)
        self._trial.progressed.connect(self._onTryProgress)
        self._trial.finished.connect(self._onTried)

    def cleanup(self) -> None:
        """Listen to nobody any more, give up what this page began."""
        self._alive = False
        if self._question is not None:
            self._question.cleanup()
        self._trial.cleanup()
        self._environment.progressed.disconnect(self._onInstallProgress)
        self._environment.finished.disconnect(self._onInstalled)
        self._environment.changed.disconnect(self.refresh)
        self._store.changed.disconnect(self.refresh)
        self._store.progressed.disconnect(self._onModelProgress)
        self._store.finished.disconnect(self._onModelFinished)
        self._service.stateChanged.disconnect(self.refresh)

    def isReady(self) -> bool:
        """Whether the first two steps are done: the engine can be started with the chosen model."""
        if self._settings.profile == PROFILE_REMOTE:
            return self._settings.useRemote
        return self._environment.isInstalled()

    def refresh(self) -> None:
        """Show how each step stands."""
        remote = self._settings.profile == PROFILE_REMOTE
        self.ui.localRadio.setChecked(not remote)
        self.ui.remoteRadio.setChecked(remote)
        first = self._showEnvironment(remote)
        second = self._showModel(remote, first)
        self._showTrial(second)
        marks = (first, second, self._tried)
        for number, done in enumerate(marks, 1):
            reached = all(marks[: number - 1])
            color = _DONE if done else _NEXT if reached else _LATER
            sign = "✔" if done else str(number)
            mark = getattr(self.ui, f"step{number}Mark")
            mark.setText(f'<span style="font-size:15pt; font-weight:600; color:{color}">{sign}</span>')

    def _showEnvironment(self, remote: bool) -> bool:
        ui, busy = self.ui, self._environment.isBusy()
        ui.localRadio.setEnabled(not busy)
        ui.remoteRadio.setEnabled(not busy)
        ui.cancelInstallButton.setVisible(busy)
        ui.goToRemoteButton.setVisible(remote)
        ui.interpreterButton.setVisible(not remote and not busy)
        if remote:
            ui.installButton.setVisible(False)
            text = (
                _("The server {host} is used; nothing is installed on this computer.").format(
                    host=self._settings.remoteHost
                )
                if self._settings.useRemote
                else _(
                    "Nothing is installed on this computer: no PyTorch, no model. You need the address and the access "
                    "token of a server that runs the engine."
                )
            )
            showText(ui.environmentLabel, text)
            return self._settings.useRemote
        state = self._environment.state()
        text = state.text
        if state.kind == ABSENT:
            text = self._plannedText()
        showText(ui.environmentLabel, text)
        words = {ABSENT: _("Install"), BROKEN: _("Repair"), OUTDATED: _("Upgrade"), CHANGED: _("Upgrade")}
        external = state.kind == EXTERNAL or (state.kind == BROKEN and bool(self._settings.interpreterInUse))
        ui.installButton.setVisible(not busy and (state.kind in words or external))
        ui.installButton.setEnabled(self._planned is None or self._planned.possible)
        ui.installButton.setText(_("Use the managed environment") if external else words.get(state.kind, ""))
        return state.usable

    def _plannedText(self) -> str:
        """What an installation will do, and with which PyTorch, as soon as the GPU has been looked for."""
        text = _(
            "The engine and PyTorch go into a folder of their own, {folder}; Slicer's own Python is not touched."
        ).format(folder=self._environment.root)
        if self._planned is None:
            return text
        needed = _("About 6 GB are needed.") if self._planned.variant.startswith("cu") else _("About 2 GB are needed.")
        return " ".join([text, self._planned.reason, *([needed] if self._planned.possible else [])])

    def preview(self) -> None:
        """Find out which PyTorch an installation would choose, to say so before it is begun."""
        if self._environment.state().kind == ABSENT and not self._environment.isBusy():
            self._environment.preview(self._onPlanned)

    def _onPlanned(self, build: TorchBuild) -> None:
        self._planned = build
        if self._alive:
            self.refresh()

    def _showModel(self, remote: bool, first: bool) -> bool:
        ui, model = self.ui, self._settings.model
        busy = self._modelBusy
        if remote:
            showText(ui.modelLabel, _("The models are those of the server."))
        else:
            showText(
                ui.modelLabel,
                _(
                    "In use: {name}. UniBiomed-Mini comes with the extension and is made to try things out. The "
                    "published model UniBiomed is a download of some gigabytes; a GPU makes it fast."
                ).format(name=titleOf(model)),
            )
        ui.miniButton.setVisible(not remote and not busy and model != BUNDLED_MODEL)
        here = any(entry.name == PUBLISHED_MODEL for entry in self._store.models)
        ui.downloadButton.setText(_("Use UniBiomed") if here else _("Download UniBiomed…"))
        ui.downloadButton.setVisible(not remote and not busy and model != PUBLISHED_MODEL)
        ui.downloadButton.setEnabled(first)
        ui.cancelDownloadButton.setVisible(busy)
        return first and (remote or model == BUNDLED_MODEL or any(entry.name == model for entry in self._store.models))

    def _showTrial(self, ready: bool) -> None:
        running = self._trial.isRunning()
        self.ui.tryHeadButton.setEnabled(ready and not running)
        self.ui.tryPhantomButton.setEnabled(ready and not running)
        self.ui.cancelTryButton.setVisible(running)
        self.ui.nextWidget.setVisible(self._tried)
        showText(
            self.ui.tryLabel,
            _("Loads a sample image, starts the engine and segments it; the first time takes a little longer.")
            if ready
            else _("When the steps above are done, try it on a sample image."),
        )

    # Step 1

    def _onProfile(self) -> None:
        self._settings.profile = PROFILE_REMOTE if self.ui.remoteRadio.checked else PROFILE_LOCAL
        if self._settings.profile == PROFILE_LOCAL and self._settings.useRemote:
            self._settings.useRemote = False
            self._service.stop()
        self.refresh()

    def _onGoToRemote(self) -> None:
        self.remoteWanted.emit()

    def _onInstall(self) -> None:
        if self._settings.interpreterInUse:
            self._settings.interpreter = ""
            self._environment.changed.emit()
            if self._environment.isInstalled():
                return
        if self._environment.needsUv() and not self._settings.uvConsent:
            self._question = Question(
                _("Fetch the installer uv?"),
                _(
                    "The environment is made with uv (Apache-2.0 or MIT, 20 MB), which is not on this computer. It is "
                    "fetched from the Python package index with Slicer's pip into {folder}; Slicer's own packages stay "
                    "as they are."
                ).format(folder=self._environment.root / "tools"),
                _("Fetch uv and install"),
                self._onUvAnswered,
            )
            return
        self._install()

    def _onUvAnswered(self, agreed: bool) -> None:
        self._question = None
        if agreed:
            self._settings.uvConsent = True
            self._install()

    def _install(self) -> None:
        repair = self._environment.state().kind == BROKEN
        self._environment.install(refresh=repair)
        self.refresh()

    def _onCancelInstall(self) -> None:
        self.ui.cancelInstallButton.setVisible(False)
        self._environment.cancel()

    def _onInstallProgress(self, text: str, fraction: float | None) -> None:
        showProgress(self.ui.environmentBar, self.ui.environmentProgressLabel, text, fraction)
        if self.ui.installButton.isVisible():
            self.refresh()

    def _onInstalled(self, ok: bool, message: str) -> None:
        hideProgress(self.ui.environmentBar)
        # What is installed is said above; only what went wrong is left to be said.
        showText(self.ui.environmentProgressLabel, "" if ok else message)
        if ok:
            self._store.refresh()
            if self._service.state in ("ready", "loading"):
                self._service.restart()

    def _onInterpreter(self) -> None:
        chosen = qt.QFileDialog.getOpenFileName(self.widget, _("A Python in which the engine is installed"))
        # PySide and PyQt would give a pair; PythonQt gives the path.
        path = chosen if isinstance(chosen, str) else chosen[0]
        if not path:
            return
        showProgress(
            self.ui.environmentBar, self.ui.environmentProgressLabel, _("Checking {path}").format(path=path), None
        )
        self.ui.interpreterButton.setEnabled(False)
        self._environment.check(path, lambda ok, sentence, facts: self._onChecked(ok, sentence, path))

    def _onChecked(self, ok: bool, sentence: str, path: str) -> None:
        hideProgress(self.ui.environmentBar)
        self.ui.interpreterButton.setEnabled(True)
        showText(self.ui.environmentProgressLabel, sentence)
        if ok:
            self._settings.interpreter = path
            self._store.refresh()
            self._environment.changed.emit()

    # Step 2

    def _onMini(self) -> None:
        self._models.use(BUNDLED_MODEL)
        self.refresh()

    def _onDownload(self) -> None:
        if any(entry.name == PUBLISHED_MODEL for entry in self._store.models):
            self._models.use(PUBLISHED_MODEL)
            self.refresh()
            return
        self._models.download(PUBLISHED_MODEL)

    def _onCancelDownload(self) -> None:
        self._store.cancel()

    def _onModelProgress(self, text: str, fraction: float | None) -> None:
        self._modelBusy = True
        showProgress(self.ui.modelBar, self.ui.modelProgressLabel, text, fraction)
        if self.ui.cancelDownloadButton.isHidden():
            self.refresh()

    def _onModelFinished(self, ok: bool, message: str) -> None:
        self._modelBusy = False
        hideProgress(self.ui.modelBar)
        showText(self.ui.modelProgressLabel, message)
        self.refresh()

    # Step 3

    def _onTryHead(self) -> None:
        self._try(HEAD)

    def _onTryPhantom(self) -> None:
        self._try(PHANTOM)

    def _try(self, name: str) -> None:
        showText(self.ui.tryResultLabel, "")
        self._trial.run(name)
        self.refresh()

    def _onCancelTry(self) -> None:
        self._trial.cancel()

    def _onTryProgress(self, text: str, fraction: float | None) -> None:
        showProgress(self.ui.tryBar, self.ui.tryProgressLabel, text, fraction)

    def _onTried(self, ok: bool, message: str) -> None:
        hideProgress(self.ui.tryBar)
        showText(self.ui.tryProgressLabel, "")
        showText(self.ui.tryResultLabel, message)
        self._tried = self._tried or ok
        self.refresh()
        if ok:
            self.completed.emit()

    def _onOpenSegment(self) -> None:
        slicer.util.selectModule("UniBiomedSegment")

    def _onOpenReport(self) -> None:
        slicer.util.selectModule("UniBiomedReport")
