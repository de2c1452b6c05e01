# SPDX-License-Identifier: Apache-2.0
"""The models of this computer, as the engine's own command line keeps them (``unibiomed models …`` as child processes).

Slicer itself downloads and reads nothing: the managed Python does, with checksums and resumption of its own.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, engineVariables
from UniBiomedSlicerLib.DiskUse import sizeText
from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.ProcessSteps import ProcessSteps, Step, StepError
from UniBiomedSlicerLib.Settings import Settings
from UniBiomedSlicerLib.Signal import Signal

_PROGRESS = ("--json", "--progress", "lines")


@dataclass(frozen=True)
class Model:
    """One model that can be loaded by name. ``size`` in bytes; ``bundled``: comes with the engine, stays with it."""

    name: str
    folder: str
    source: str
    revision: str
    licence: str
    size: int
    bundled: bool


@dataclass(frozen=True)
class RemoteModel:
    """What the Hub offers under a name, at one fixed revision."""

    name: str
    revision: str
    licence: str
    size: int


class ModelStore:
    """Lists, downloads, imports, verifies and removes models; one command at a time, ``cancel()`` ends it.

    Signals: ``changed()`` when ``models`` has been read again, ``progressed(text, fraction | None)``,
    ``finished(ok, message)`` once for each download, import, verification and removal.
    """

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self.changed = Signal("ModelStore.changed")
        self.progressed = Signal("ModelStore.progressed")
        self.lineArrived = Signal("ModelStore.lineArrived")
        self.finished = Signal("ModelStore.finished")
        self.models: list[Model] = []
        self.folder = ""
        self._environment = environment
        self._settings = settings
        self._title = ""
        self._done: Callable[[bool, str], None] | None = None
        self._steps = ProcessSteps()
        self._steps.lineArrived.connect(self._onLine)
        self._steps.finished.connect(self._onFinished)
        # Apart, so that the list can be read while something is downloaded.
        self._listing = ProcessSteps()

    def isBusy(self) -> bool:
        """Whether a command other than the list is running."""
        return self._steps.isRunning()

    def refresh(self) -> None:
        """Read the list again; ``changed`` follows. Without an installed engine the list is empty."""
        if self._listing.isRunning():
            return
        if self._environment.pythonPath() is None:
            self.models, self.folder = [], ""
            self.changed.emit()
            return
        self._listing.run(
            [
                self._command(_("Reading the list of models"), ["list", "--json"], self._takeList),
                self._command(_("Reading the list of models"), ["where"], self._takeFolder),
            ]
        )

    def lookUp(self, name: str, done: Callable[[bool, str, RemoteModel | None], None]) -> None:
        """Ask the Hub (or the mirror of the settings) about ``name``; ``done(ok, message, model)``."""
        found: list[RemoteModel] = []

        def take(output: str) -> None:
            data = json.loads(output)
            found.append(RemoteModel(data["name"], data["revision"], data["licence"], int(data["size"])))

        self._run(
            _("Looking up {name}").format(name=name),
            ["look-up", name, "--json"],
            lambda ok, message: done(ok and bool(found), message, found[0] if found else None),
            take,
        )

    def download(self, model: RemoteModel) -> None:
        """Fetch a model whose licence the user has accepted; one that was stopped goes on where it was."""
        self._settings.setValue(
            f"UniBiomed/LicenceAccepted/{model.name.replace('/', '--')}",
            f"{model.licence}, {model.revision}, {datetime.date.today().isoformat()}",
        )
        arguments = ["download", model.name, "--revision", model.revision, "--accept-licence", *_PROGRESS]
        title = _("Downloading {name}").format(name=model.name)
        self._run(title, arguments, self._tell(_("{name} is here and verified.").format(name=model.name)))

    def licenceAccepted(self, model: RemoteModel) -> bool:
        """Whether this licence of this model has been accepted before."""
        noted = self._settings.value(f"UniBiomed/LicenceAccepted/{model.name.replace('/', '--')}", "")
        return noted.startswith(f"{model.licence}, ")

    def importFolder(self, folder: Path, name: str) -> None:
        """Copy a model folder into the store under ``name``."""
        title = _("Importing {name}").format(name=name)
        arguments = ["import", str(folder), "--name", name, *_PROGRESS]
        self._run(title, arguments, self._tell(_("{name} was imported.").format(name=name)))

    def verify(self, name: str) -> None:
        """Compare every file of a model with its SHA-256."""
        title = _("Verifying {name}").format(name=name)
        done = self._tell(_("{name}: every file is as it was stored.").format(name=name))
        self._run(title, ["verify", name, *_PROGRESS], done)

    def remove(self, name: str) -> None:
        """Delete a model and what stopped downloads of it left."""
        size = next((model.size for model in self.models if model.name == name), 0)
        done = self._tell(_("{name} was removed, {size} are free again.").format(name=name, size=sizeText(size)))
        self._run(_("Removing {name}").format(name=name), ["remove", name, "--yes"], done)

    def cancel(self) -> None:
        """Stop the command; a stopped download keeps what it has fetched."""
        self._steps.cancel()

    def cleanup(self) -> None:
        """End the child processes; for the end of Slicer."""
        self._steps.cleanup()
        self._listing.cleanup()

    def _run(
        self,
        title: str,
        arguments: list[str],
        done: Callable[[bool, str], None],
        take: Callable[[str], None] | None = None,
    ) -> None:
        if self.isBusy():
            done(False, _("Wait until this has ended: {what}.").format(what=self._title))
            return
        if self._environment.pythonPath() is None:
            done(False, _("The engine is not installed; make the environment first."))
            return
        self._title = title
        self._done = done
        self.progressed.emit(title, None)
        self._steps.run([self._command(title, arguments, take)])

    def _command(self, title: str, arguments: list[str], take: Callable[[str], None] | None = None) -> Step:
        def read(output: str) -> None:
            try:
                if take is not None:
                    take(output)
            except (ValueError, KeyError, TypeError) as error:
                raise StepError(
                    _("The engine's answer could not be read ({error}); repair the environment.").format(error=error)
                ) from error

        return Step(
            title,
            str(self._environment.pythonPath()),
            ("-m", "unibiomed.cli", "models", *arguments),
            childEnvironment(engineVariables(self._settings)),
            speaksPlainly=True,
            onOutput=read,
        )

    def _takeList(self, output: str) -> None:
        self.models = [Model(**entry) for entry in json.loads(output)]

    def _takeFolder(self, output: str) -> None:
        self.folder = output.strip()
        self.changed.emit()

    def _tell(self, message: str) -> Callable[[bool, str], None]:
        def done(ok: bool, problem: str) -> None:
            self.finished.emit(ok, message if ok else problem or _("Stopped; what was fetched is kept."))
            self.refresh()

        return done

    def _onLine(self, line: str) -> None:
        amount = _amount(line)
        if amount is None:
            self.lineArrived.emit(line)
            return
        done, total = amount
        text = f"{self._title}: {sizeText(done)} / {sizeText(total)}"
        self.progressed.emit(text, done / total if total else None)

    def _onFinished(self, ok: bool, message: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(ok, message.removeprefix("unibiomed: "))


def _amount(line: str) -> tuple[int, int] | None:
    if not line.startswith('{"done"'):
        return None
    try:
        data: dict[str, Any] = json.loads(line)
        return int(data["done"]), int(data["total"])
    except (ValueError, KeyError, TypeError):
        return None
