# SPDX-License-Identifier: Apache-2.0
"""The table of models: use, download, import, verify, remove."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.DiskUse import sizeText
from UniBiomedSlicerLib.ModelStore import Model, ModelStore, RemoteModel
from UniBiomedSlicerLib.PanelTools import Question, fillTable, hideProgress, loadPanel, showProgress, showText
from UniBiomedSlicerLib.Settings import PUBLISHED_MODEL, Settings


class ModelsPanel:
    """Everything that changes the store goes through here, so that a licence is always shown before a download."""

    def __init__(self, service: Any, models: ModelStore, settings: Settings) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerModels")
        self._service = service
        self._models = models
        self._settings = settings
        self._question: Question | None = None
        self.ui.modelTable.connect("itemSelectionChanged()", self._enable)
        self.ui.useButton.connect("clicked()", self._onUse)
        self.ui.downloadModelButton.connect("clicked()", self._onDownload)
        self.ui.importButton.connect("clicked()", self._onImport)
        self.ui.verifyButton.connect("clicked()", self._onVerify)
        self.ui.removeModelButton.connect("clicked()", self._onRemove)
        self.ui.cancelModelsButton.connect("clicked()", self._onCancel)
        models.changed.connect(self.refresh)
        models.progressed.connect(self._onProgress)
        models.finished.connect(self._onFinished)
        showText(self.ui.modelsLabel, "")
        self.refresh()

    def cleanup(self) -> None:
        """Listen to nobody any more."""
        if self._question is not None:
            self._question.cleanup()
        self._models.changed.disconnect(self.refresh)
        self._models.progressed.disconnect(self._onProgress)
        self._models.finished.disconnect(self._onFinished)

    def refresh(self) -> None:
        """Show the list as it was read last."""
        rows = [[titleOf(model.name), model.licence, sizeText(model.size)] for model in self._models.models]
        names = [model.name for model in self._models.models]
        used = names.index(self._settings.model) if self._settings.model in names else -1
        fillTable(self.ui.modelTable, [_("Model"), _("Licence"), _("Size")], rows, used)
        for row, model in enumerate(self._models.models):
            self.ui.modelTable.item(row, 0).setToolTip(
                "\n".join(text for text in (model.source, model.revision, model.folder) if text)
            )
        if used >= 0:
            self.ui.modelTable.selectRow(used)
        self._enable()

    def use(self, name: str) -> None:
        """Take ``name`` as the model from now on, and load it where an engine runs."""
        self._settings.model = name
        if not self._settings.useRemote and self._service.state in ("ready", "loading"):
            self._service.loadModel(name)
        showText(self.ui.modelsLabel, _("{name} is used from now on.").format(name=titleOf(name)))
        self._models.refresh()

    def download(self, name: str) -> None:
        """Look ``name`` up, show its licence, and fetch it once that is accepted."""
        self._models.lookUp(name, self._onLookedUp)
        self._enable()

    def _onLookedUp(self, ok: bool, message: str, model: RemoteModel | None) -> None:
        hideProgress(self.ui.modelsBar)
        if not ok or model is None:
            self._onFinished(False, message)
            return
        accepted = self._models.licenceAccepted(model)
        page = f"{self._settings.hubEndpoint.rstrip('/') or 'https://huggingface.co'}/{model.name}"
        self._enable()
        self._question = Question(
            _("Download {name}, {size}?").format(name=model.name, size=sizeText(model.size)),
            _(
                "Licence: {licence}\nIts terms are at {page}\nRevision: {revision}\n\nThe model is for research and "
                "not for clinical use. A download that was stopped goes on where it was."
            ).format(licence=model.licence, page=page, revision=model.revision[:12]),
            _("Download") if accepted else _("Accept the licence and download"),
            lambda agreed: self._onLicence(agreed, model),
        )

    def _onLicence(self, agreed: bool, model: RemoteModel) -> None:
        self._question = None
        if agreed:
            self._models.download(model)
            self._enable()
        else:
            self._onFinished(False, _("The licence was not accepted, so nothing was downloaded."))

    def _selected(self) -> Model | None:
        row = self.ui.modelTable.currentRow()
        chosen = self.ui.modelTable.selectedItems()
        return self._models.models[row] if chosen and 0 <= row < len(self._models.models) else None

    def _enable(self) -> None:
        model = self._selected()
        busy = self._models.isBusy()
        here = bool(self._models.models)
        self.ui.useButton.setEnabled(model is not None and model.name != self._settings.model)
        self.ui.downloadModelButton.setEnabled(here and not busy)
        self.ui.importButton.setEnabled(here and not busy)
        self.ui.verifyButton.setEnabled(model is not None and not busy)
        self.ui.removeModelButton.setEnabled(model is not None and not model.bundled and not busy)
        self.ui.cancelModelsButton.setVisible(busy)

    def _onUse(self) -> None:
        model = self._selected()
        if model is not None:
            self.use(model.name)

    def _onDownload(self) -> None:
        self._askName(
            _("Which model? Organisation/Name, as on the Hugging Face Hub:"),
            PUBLISHED_MODEL,
            lambda name: self.download(name),
        )

    def _onImport(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("The folder of the model"))
        if not folder:
            return
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(folder).name).strip("-._") or "model"
        self._askName(_("Its name in the list:"), name, lambda chosen: self._models.importFolder(Path(folder), chosen))

    def _askName(self, text: str, proposed: str, then: Callable[[str], None]) -> None:
        question: Question | None = None

        def answered(agreed: bool) -> None:
            self._question = None
            if agreed and question is not None and question.value:
                then(question.value)
                self._enable()

        question = self._question = Question(text, "", _("Continue"), answered, proposed)

    def _onVerify(self) -> None:
        model = self._selected()
        if model is not None:
            self._models.verify(model.name)
            self._enable()

    def _onRemove(self) -> None:
        model = self._selected()
        if model is None:
            return
        self._question = Question(
            _("Remove {name}?").format(name=titleOf(model.name)),
            _("{size} are freed. It can be downloaded or imported again.").format(size=sizeText(model.size)),
            _("Remove"),
            lambda agreed: self._onRemoveAnswered(agreed, model.name),
        )

    def _onRemoveAnswered(self, agreed: bool, name: str) -> None:
        self._question = None
        if not agreed:
            return
        if name == self._settings.model:
            self.use("mini")
        self._models.remove(name)
        self._enable()

    def _onCancel(self) -> None:
        self._models.cancel()

    def _onProgress(self, text: str, fraction: float | None) -> None:
        showProgress(self.ui.modelsBar, self.ui.modelsLabel, text, fraction)

    def _onFinished(self, ok: bool, message: str) -> None:
        hideProgress(self.ui.modelsBar)
        showText(self.ui.modelsLabel, message)
        self._enable()


def titleOf(name: str) -> str:
    """A model's name for people."""
    if name == "mini":
        return _("UniBiomed-Mini")
    return Path(name).name if Path(name).is_absolute() else name
