# SPDX-License-Identifier: Apache-2.0
"""What the environment and the models take on the disk; repair and removal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.DiskUse import freeSpace, measureFolders, sizeText
from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.ModelStore import ModelStore
from UniBiomedSlicerLib.PanelTools import Question, fillTable, loadPanel, showText
from UniBiomedSlicerLib.SlicedWork import SlicedWork

_NO_PROCESS = ("stopped", "notInstalled", "crashed", "unreachable")


class MaintenancePanel:
    """Measures when it is opened and after each change, never while it is closed."""

    def __init__(self, service: Any, environment: Environment, models: ModelStore) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerMaintenance")
        self._service = service
        self._environment = environment
        self._models = models
        self._waitingForStop = False
        self._sizes: dict[str, int] = {}
        self._work: SlicedWork | None = None
        self._question: Question | None = None
        self.ui.repairButton.connect("clicked()", self._onRepair)
        self.ui.clearButton.connect("clicked()", self._onClear)
        self.ui.removeButton.connect("clicked()", self._onRemove)
        environment.changed.connect(self.refresh)
        environment.finished.connect(self._onFinished)
        environment.progressed.connect(self._onProgress)
        models.changed.connect(self.refresh)
        service.stateChanged.connect(self._onState)
        showText(self.ui.diskLabel, "")
        self._show()

    def cleanup(self) -> None:
        """Listen to nobody any more."""
        if self._work is not None:
            self._work.cancel()
        if self._question is not None:
            self._question.cleanup()
        self._environment.changed.disconnect(self.refresh)
        self._environment.finished.disconnect(self._onFinished)
        self._environment.progressed.disconnect(self._onProgress)
        self._models.changed.disconnect(self.refresh)
        self._service.stateChanged.disconnect(self._onState)

    def refresh(self) -> None:
        """Measure again, if anybody looks."""
        self._enable()
        if not self.widget.isVisible():
            return
        if self._work is not None:
            self._work.cancel()
        folders = self._environment.folders()
        if self._models.folder:
            folders["models"] = Path(self._models.folder)
        self._work = measureFolders(folders, self._onMeasured)

    def _onMeasured(self, sizes: dict[str, int]) -> None:
        self._work = None
        self._sizes = sizes
        self._show()

    def _show(self) -> None:
        names = {
            "environment": _("Engine with PyTorch"),
            "python": _("Python"),
            "tools": _("Installer (uv)"),
            "cache": _("Downloads kept by the installer"),
            "models": _("Models"),
        }
        rows = [[names[key], sizeText(size)] for key, size in self._sizes.items() if size]
        total = sum(self._sizes.values())
        if self._sizes and not total:
            rows = [[_("Nothing is kept on this disk."), ""]]
        if total:
            rows.append([_("Together"), sizeText(total)])
        fillTable(self.ui.diskTable, [_("What"), _("On the disk")], rows, len(rows) - 1)
        free = freeSpace(self._environment.root)
        self.ui.diskTable.setToolTip(
            _("{folder}, {free} free on this disk").format(folder=self._environment.root, free=sizeText(free or 0))
        )
        self._enable()

    def _enable(self) -> None:
        idle = not self._environment.isBusy()
        kind = self._environment.state().kind
        self.ui.repairButton.setEnabled(idle and kind not in ("absent", "external"))
        self.ui.clearButton.setEnabled(idle and bool(self._sizes.get("cache")))
        self.ui.removeButton.setEnabled(idle and self._environment.root.is_dir() and self._freed() > 0)

    def _freed(self) -> int:
        return sum(size for key, size in self._sizes.items() if key != "models")

    def _onRepair(self) -> None:
        self._environment.repair()
        self._enable()

    def _onClear(self) -> None:
        self._environment.removeDownloads()
        self._enable()

    def _onRemove(self) -> None:
        self._question = Question(
            _("Remove the engine from this computer?"),
            _("{size} are freed in {folder}. Models and scenes stay; the engine can be installed again.").format(
                size=sizeText(self._freed()), folder=self._environment.root
            ),
            _("Remove"),
            self._onRemoveAnswered,
        )

    def _onRemoveAnswered(self, agreed: bool) -> None:
        self._question = None
        if not agreed:
            return
        if self._service.isRemote or self._service.state in _NO_PROCESS:
            self._remove()
            return
        # A running engine holds its files.
        self._waitingForStop = True
        showText(self.ui.diskLabel, _("Stopping the engine first…"))
        self._service.stop()

    def _onState(self) -> None:
        if self._waitingForStop and self._service.state in _NO_PROCESS:
            self._remove()

    def _remove(self) -> None:
        self._waitingForStop = False
        self._environment.remove()
        self._enable()

    def _onProgress(self, text: str, fraction: float | None) -> None:
        showText(self.ui.diskLabel, text)

    def _onFinished(self, ok: bool, message: str) -> None:
        showText(self.ui.diskLabel, message)
