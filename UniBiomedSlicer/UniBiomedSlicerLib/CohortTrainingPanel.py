# SPDX-License-Identifier: Apache-2.0
"""The part of the cohort page that trains: train, stop, compare, use."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.CohortTraining import CohortTraining
from UniBiomedSlicerLib.PanelTools import hideProgress, loadPanel, showProgress, showText
from UniBiomedSlicerLib.Settings import Settings


class CohortTrainingPanel:
    """Disabled until ``open`` is told of a catalogue."""

    def __init__(self, settings: Settings) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerTraining")
        self.training: CohortTraining | None = None
        self._settings = settings
        self._message = ""
        ui = self.ui
        ui.trainButton.connect("clicked()", self._onTrain)
        ui.stopButton.connect("clicked()", self._onStop)
        ui.compareButton.connect("clicked()", self._onCompare)
        ui.pageButton.connect("clicked()", self._onPage)
        ui.useButton.connect("clicked()", self._onUse)
        hideProgress(ui.progressBar)
        self.refresh()

    def open(self, folder: str, python: str) -> None:
        """Train on the catalogue in ``folder`` from now on."""
        self.cleanup()
        self.training = CohortTraining(folder, python, self._settings)
        self.training.progressed.connect(self._onProgress)
        self.training.finished.connect(self._onFinished)
        self._message = ""
        self.refresh()

    def cleanup(self) -> None:
        """Kill what runs."""
        if self.training is not None:
            self.training.cleanup()
            self.training = None

    def refresh(self) -> None:
        """Show what can be done."""
        training, ui = self.training, self.ui
        busy = training is not None and training.isRunning()
        ready = training is not None and bool(training.trained) and not busy and not self._message
        ui.trainButton.setEnabled(training is not None and not busy)
        ui.stopButton.setEnabled(busy)
        ui.compareButton.setEnabled(ready)
        ui.useButton.setEnabled(ready and training.trained != self._settings.model)
        ui.pageButton.setEnabled(ready and training.comparison is not None)
        if not busy:
            hideProgress(ui.progressBar)
        showText(ui.resultLabel, self._message or self._resultText())

    def _resultText(self) -> str:
        training = self.training
        if training is None or not training.trained or training.isRunning():
            return ""
        if training.trained == self._settings.model:
            return _("{name} is in use from the next start of the engine on.").format(name=training.trained)
        found = training.comparison
        if found is None:
            return _("{name} is trained and in the list of models.").format(name=training.trained)
        if found["a"] is None or found["b"] is None:
            return _("No case was held out, so nothing can be said; review more patients.")
        text = _("Dice on cases held out: {a:.3f} before, {b:.3f} after").format(a=found["a"], b=found["b"])
        if found["low"] is not None:
            text += _(" (difference {low:+.3f} to {high:+.3f})").format(low=found["low"], high=found["high"])
        return text + "."

    def _onTrain(self) -> None:
        self._message = ""
        self.training.train(self.ui.stepsSpin.value)
        self.refresh()

    def _onStop(self) -> None:
        self.training.stop()

    def _onCompare(self) -> None:
        self.training.compare()
        self.refresh()

    def _onPage(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.training.comparison["page"]))

    def _onUse(self) -> None:
        self.training.use()
        self.refresh()

    def _onProgress(self, text: str, fraction: float | None) -> None:
        showProgress(self.ui.progressBar, self.ui.progressLabel, text, fraction)

    def _onFinished(self, ok: bool, message: str) -> None:
        self._message = "" if ok else message or _("Stopped; Train goes on where it was.")
        showText(self.ui.progressLabel, "")
        self.refresh()
