# SPDX-License-Identifier: Apache-2.0
"""The Python that runs the engine: a managed environment of its own, or an interpreter of the user's.

Never Slicer's Python. All work is child processes and timer slices; everything lies under one folder, ``root``:
``environment.json`` and ``env-N`` (see EnvironmentRecord), ``cache``, ``python`` and ``tools`` of uv, ``install.log``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib.DiskUse import freeSpace, removeFolder, sizeText
from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.EnvironmentRecord import (
    EnvironmentRecord,
    forgetRecord,
    leftovers,
    newFolder,
    pythonOf,
    readRecord,
    writeRecord,
)
from UniBiomedSlicerLib.EnvironmentState import EnvironmentState, stateOf
from UniBiomedSlicerLib.EnvironmentSteps import Plan, environmentSteps, gpuStep, plannedBuild
from UniBiomedSlicerLib.InstallClaim import InstallClaim
from UniBiomedSlicerLib.InstallProgress import InstallProgress
from UniBiomedSlicerLib.Interpreter import Done, checkInterpreter, interpreterOf
from UniBiomedSlicerLib.ProcessSteps import ProcessSteps, Step
from UniBiomedSlicerLib.ServerAddress import withoutCredentials
from UniBiomedSlicerLib.Settings import Settings, settings
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.TorchBuild import TorchBuild, parseGpus
from UniBiomedSlicerLib.Uv import findUv

# What an installation needs at its height, in bytes: the downloads, and the same unpacked.
_NEEDED_CPU = 3_000_000_000
_NEEDED_CUDA = 9_000_000_000


class Environment:
    """Answers which Python runs the engine; installs, repairs, upgrades and removes the managed one.

    Signals: ``progressed(text, fraction | None)``, ``lineArrived(str)``, ``finished(ok, message)`` once for each
    install, repair or removal (the message is one sentence, also after success), ``changed()`` after each of them.
    """

    def __init__(self, settings: Settings, root: Path | None = None, source: EngineSource | None = None) -> None:
        self.progressed = Signal("Environment.progressed")
        self.lineArrived = Signal("Environment.lineArrived")
        self.finished = Signal("Environment.finished")
        self.changed = Signal("Environment.changed")
        self.source = EngineSource() if source is None else source
        self.log: list[str] = []
        self._settings = settings
        self._root = root
        self._plan: Plan | None = None
        self._progress = InstallProgress({})
        self._steps = ProcessSteps()
        self._steps.stepStarted.connect(self._onStep)
        self._steps.lineArrived.connect(self._onLine)
        self._steps.finished.connect(self._onFinished)
        self._checks: list[ProcessSteps] = []
        self._removals: list[SlicedWork] = []
        self._busy = False
        self._claim = InstallClaim()

    @property
    def root(self) -> Path:
        """The folder of everything that is managed."""
        if self._root is not None:
            return self._root
        chosen = self._settings.environmentFolder
        return Path(chosen).expanduser() if chosen else defaultRoot()

    def pythonPath(self) -> str | None:
        """The interpreter to start the engine with; None: none is installed, or it does not fit this extension."""
        if self._settings.interpreterInUse:
            return interpreterOf(self._settings.interpreterInUse)
        record = readRecord(self.root)
        if record is None or record.version != self.source.version():
            return None
        python = pythonOf(self.root / record.folder)
        return str(python) if python.exists() else None

    def isInstalled(self) -> bool:
        """Whether an engine can be started on this computer."""
        return self.pythonPath() is not None

    def record(self) -> EnvironmentRecord | None:
        """What is known of the managed environment."""
        return readRecord(self.root)

    def version(self) -> str:
        """The engine's version in the managed environment, empty when there is none."""
        record = readRecord(self.root)
        return record.version if record else ""

    def isBusy(self) -> bool:
        """Whether an installation or a removal is under way."""
        return self._busy

    def needsUv(self) -> bool:
        """Whether uv has to be fetched first, which the user is asked about."""
        return findUv(self.root / "tools") is None

    def state(self) -> EnvironmentState:
        """What there is, in a word and in a sentence."""
        return stateOf(self._settings, self.root, self.source)

    def preview(self, done: Callable[[TorchBuild], None]) -> None:
        """Which PyTorch ``install`` would choose on this computer now, and why: ``done(build)``, later."""
        steps = ProcessSteps()
        self._checks.append(steps)

        def looked(output: str) -> None:
            done(plannedBuild(self._settings, parseGpus(output))[0])

        steps.finished.connect(lambda ok, message: self._checks.remove(steps))
        steps.run([gpuStep(Path.home(), looked)])

    def install(self, *, refresh: bool = False) -> None:
        """Build a new environment beside the old one and take it into use when it is complete (also the upgrade).

        ``finished`` follows. Nothing is changed when it fails or is cancelled: an environment from before works on.
        """
        if self._busy:
            return
        self._busy = True
        self.log = []
        problem = self._obstacle()
        if problem:
            self._end(False, problem)
            return
        self._claim.take(self.root)
        self._startLog()
        self._plan = Plan(self.root, newFolder(self.root), self.source, self._settings, refresh, self._onChosen)
        steps = environmentSteps(self._plan)
        self._progress = InstallProgress(_places())
        self._steps.run(steps)

    def repair(self) -> None:
        """Build it anew, asking the package index again for what is in the cache."""
        self.install(refresh=True)

    def cancel(self) -> None:
        """Stop an installation; what was built is deleted, what was downloaded stays for the next try."""
        self._steps.cancel()

    def remove(self) -> None:
        """Delete everything under the root folder; ``finished`` follows."""
        if self._busy:
            return
        self._busy = True
        forgetRecord(self.root)
        self.progressed.emit(_("Removing the environment"), None)
        self._removeAll(
            [path for path in (*leftovers(self.root), *self._downloads()) if path.is_dir()],
            lambda problem: self._end(not problem, problem or _("The environment was removed.")),
        )

    def removeDownloads(self) -> None:
        """Delete uv's cache only; the environment works on. ``finished`` follows."""
        if self._busy:
            return
        self._busy = True
        self._removeAll(
            [self.root / "cache"], lambda problem: self._end(not problem, problem or _("The downloads were removed."))
        )

    def clearLeftovers(self) -> None:
        """Delete what interrupted builds and removals left behind; silent."""
        if not self._busy and not self._claim.heldByOther(self.root):
            self._removeAll(leftovers(self.root), lambda problem: None)

    def folders(self) -> dict[str, Path]:
        """The folders that take disk space, by what they hold."""
        record = readRecord(self.root)
        folders = {"environment": self.root / record.folder} if record else {}
        return {**folders, "python": self.root / "python", "tools": self.root / "tools", "cache": self.root / "cache"}

    def check(self, interpreter: str, done: Done) -> None:
        """Run ``interpreter`` (a file, or the folder of an environment): see ``checkInterpreter``."""

        def ended(ok: bool, sentence: str, facts: dict[str, Any]) -> None:
            self._checks = [steps for steps in self._checks if steps.isRunning()]
            done(ok, sentence, facts)

        steps = checkInterpreter(interpreter, self.source.version(), ended)
        if steps is not None:
            self._checks.append(steps)

    def cleanup(self) -> None:
        """End all child processes; for the end of Slicer. A half-built environment is deleted at the next start."""
        for steps in (self._steps, *self._checks):
            steps.cleanup()
        for work in self._removals:
            work.cancel()
        self._claim.release()
        self._checks = []
        self._removals = []

    def _obstacle(self) -> str:
        """Why an installation cannot begin, or nothing."""
        if not self.source.exists():
            return _("The engine is missing from this extension ({folder}); install the extension again.").format(
                folder=self.source.folder
            )
        if self.needsUv() and not self._settings.uvConsent:
            return _("uv is needed to make the environment, and it has not been agreed to fetch it.")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return _("The folder {folder} cannot be made ({reason}); choose another one in the settings.").format(
                folder=self.root, reason=error.strerror or error
            )
        if self._claim.heldByOther(self.root):
            return _("Another Slicer is installing the environment now; wait until it has ended.")
        return self._spaceObstacle(_NEEDED_CPU)

    def _spaceObstacle(self, needed: int) -> str:
        free = freeSpace(self.root)
        if free is None or free >= needed:
            return ""
        return _("{needed} are needed on the disk of {folder}, {free} are free; free some or choose another.").format(
            needed=sizeText(needed), folder=self.root, free=sizeText(free)
        )

    def _onChosen(self, build: TorchBuild) -> None:
        self._write(build.reason)
        self.progressed.emit(build.reason, _places()[_("Making a Python environment")])
        shortage = self._spaceObstacle(_NEEDED_CUDA) if build.variant.startswith("cu") else ""
        if shortage:
            self._write(shortage)

    def _onStep(self, step: Step) -> None:
        arguments = " ".join("(a probe)" if "\n" in text else text for text in step.arguments)
        self._write(withoutCredentials(f"$ {step.program} {arguments}"))
        self.progressed.emit(*self._progress.start(step.title))

    def _onLine(self, line: str) -> None:
        line = withoutCredentials(line)
        self._write(line)
        state = self._progress.line(line)
        if state is not None:
            self.progressed.emit(*state)

    def _onFinished(self, ok: bool, message: str) -> None:
        plan = self._plan
        self._plan = None
        if plan is None:
            return
        if ok and plan.build is not None:
            record = self._recordOf(plan, plan.build)
            try:
                writeRecord(self.root, record)
            except OSError as error:
                self._abandon(plan, _("The record could not be written: {reason}.").format(reason=error))
                return
            self._write(_("Done."))
            self._removeAll(leftovers(self.root), lambda problem: None)
            self._end(True, _("The environment is ready. {reason}").format(reason=plan.build.reason))
        elif self._steps.cancelled:
            self._abandon(plan, _("Cancelled; what was downloaded is kept for the next try."))
        else:
            self._abandon(plan, withoutCredentials(message))

    def _abandon(self, plan: Plan, message: str) -> None:
        self._write(message)
        self._removeAll([plan.environment], lambda problem: self._end(False, message))

    def _recordOf(self, plan: Plan, build: TorchBuild) -> EnvironmentRecord:
        return EnvironmentRecord(
            folder=plan.environment.name,
            version=self.source.version(),
            fingerprint=self.source.fingerprint(),
            python=str(plan.facts.get("python", "")),
            torch=str(plan.facts.get("torch", "")),
            variant=build.variant,
            reason=build.reason,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _removeAll(self, folders: list[Path], done: Callable[[str], None]) -> None:
        """One folder after the other, in timer slices; ``done`` with the first problem, or an empty text."""
        problems: list[str] = []
        current: list[SlicedWork] = []

        def proceed(problem: str = "") -> None:
            if problem:
                problems.append(problem)
            if current:
                self._removals.remove(current.pop())
            if not folders:
                done(problems[0] if problems else "")
                return
            work = removeFolder(folders.pop(0), proceed)
            if work is not None:
                current.append(work)
                self._removals.append(work)

        proceed()

    def _downloads(self) -> list[Path]:
        return [self.root / name for name in ("cache", "python", "tools")]

    def _end(self, ok: bool, message: str) -> None:
        self._busy = False
        self._claim.release()
        self.finished.emit(ok, message)
        self.changed.emit()

    def _startLog(self) -> None:
        (self.root / "install.log").write_text("", encoding="utf-8")
        self._write(f"UniBiomed {self.source.version()}, {datetime.datetime.now():%Y-%m-%d %H:%M:%S}")

    def _write(self, line: str) -> None:
        self.log.append(line)
        self.lineArrived.emit(line)
        if self.root.is_dir():
            with (self.root / "install.log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def environment() -> Environment:
    """The one environment of this Slicer, kept as ``slicer.modules.UniBiomedEnvironment``."""
    existing = getattr(slicer.modules, "UniBiomedEnvironment", None)
    if existing is None:
        existing = slicer.modules.UniBiomedEnvironment = Environment(settings())
    return existing


def defaultRoot() -> Path:
    """``UniBiomed`` in Slicer's data folder; on Windows the local one, which is not copied through a network."""
    return Path(qt.QStandardPaths.writableLocation(qt.QStandardPaths.AppLocalDataLocation)) / "UniBiomed"


def _places() -> dict[str, float]:
    return {
        _("Fetching uv"): 0.0,
        _("Looking for a GPU"): 0.04,
        _("Making a Python environment"): 0.06,
        _("Installing PyTorch"): 0.12,
        _("Installing the engine"): 0.62,
        _("Checking the environment"): 0.92,
    }
