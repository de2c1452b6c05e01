# SPDX-License-Identifier: Apache-2.0
"""The one thing that the modules talk to: the engine of this computer or a remote one, and the jobs it does.

Everything is told by signals from Slicer's event loop; nothing here waits. There is one service for each Slicer,
whatever module asks first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from UniBiomedSlicerLib import EngineWords as states
from UniBiomedSlicerLib.ConnectionTest import ConnectionTest
from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EngineErrand import EngineErrand
from UniBiomedSlicerLib.EngineSupervisor import BUSY, EngineSupervisor
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.Job import Job
from UniBiomedSlicerLib.JobRunner import JobRunner
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.Turns import Turns

MAX_STREAMS = 5  # Qt opens six connections to a server
MAX_HASHES = 16

Then = Callable[["Failure | None", "EngineClient | None"], None]


class EngineService:
    """``state`` is one of the words in ``EngineWords``, ``stateText`` says it as a sentence.

    ``capabilities`` is what the engine can do while it runs, else None; ``targets`` are those last known, so that
    completion works before a start. ``crashReport`` holds the log's last lines after an unexpected end.
    ``consentHook(host, answer)`` is asked before images leave this computer for ``host`` the first time, and calls
    ``answer(bool)`` once.
    """

    def __init__(self, settings: Any = None, pythonPath: Callable[[], str | None] | None = None) -> None:
        self._settings = settings
        self.targets: list[dict[str, Any]] = []
        self.stateChanged = Signal("EngineService.stateChanged")  # ()
        self.logLine = Signal("EngineService.logLine")  # (str)
        self.capabilitiesChanged = Signal("EngineService.capabilitiesChanged")  # ()
        self.progressed = Signal("EngineService.progressed")  # (text: str, fraction: float | None), of loading
        self.turns = Turns()
        self._runners: list[JobRunner] = []
        self._errands: list[EngineErrand] = []
        self._waiting: list[Then] = []
        self._hashes: dict[tuple, str] = {}
        supervisor = EngineSupervisor(lambda: self.settings, pythonPath or _pythonOfTheEnvironment)
        self.supervisor = supervisor
        supervisor.stateChanged.connect(self.stateChanged.emit)
        supervisor.capabilitiesChanged.connect(self._onCapabilities)
        supervisor.loading.connect(self.progressed.emit)
        supervisor.ready.connect(self._onReady)
        supervisor.ended.connect(self._onEnded)
        supervisor.sessionLost.connect(self._onSessionLost)
        supervisor.process.logLine.connect(self.logLine.emit)

    # The engine

    @property
    def state(self) -> str:
        """One of the words in ``EngineWords``."""
        return self.supervisor.state

    @property
    def stateText(self) -> str:
        """The state as a sentence."""
        return self.supervisor.stateText

    @property
    def capabilities(self) -> dict[str, Any] | None:
        """What the running engine can do."""
        return self.supervisor.capabilities

    @property
    def isRemote(self) -> bool:
        """Whether it is, or was last, a remote server."""
        return self.supervisor.isRemote

    @property
    def crashReport(self) -> str:
        """The log's last lines after an unexpected end."""
        return self.supervisor.crashReport

    @property
    def log(self) -> str:
        """The last lines of the engine's log."""
        return self.supervisor.process.log.text()

    @property
    def pid(self) -> int:
        """Process id of the engine of this computer, 0 when there is none."""
        return self.supervisor.process.pid

    @property
    def consentHook(self) -> Callable[[str, Callable[[bool], None]], None] | None:
        """Who asks the user."""
        return self.supervisor.consentHook

    @consentHook.setter
    def consentHook(self, hook: Callable[[str, Callable[[bool], None]], None] | None) -> None:
        self.supervisor.consentHook = hook

    @property
    def settings(self) -> Any:
        """UniBiomed's settings."""
        if self._settings is None:
            from UniBiomedSlicerLib.Settings import settings

            self._settings = settings()
        return self._settings

    def start(self) -> None:
        """Start the engine, or connect to the remote server; no effect while it runs."""
        self.supervisor.start(byUser=True)

    def stop(self) -> None:
        """Stop the engine of this computer, or leave the remote server; jobs fail and say why."""
        self.supervisor.stop()

    def restart(self) -> None:
        """Stop, then start."""
        self.supervisor.restart()

    def loadModel(self, name: str) -> None:
        """Load a model by its name, or from a folder of the user's; starts the engine with it where none runs."""
        self.supervisor.loadModel(name)

    def cleanup(self) -> None:
        """End everything at once; for when Slicer ends."""
        self.supervisor.cleanup()
        for signal in (self.stateChanged, self.logLine, self.capabilitiesChanged, self.progressed):
            signal.disconnectAll()

    # What it is asked

    def submit(
        self,
        task: str,
        volumeNode: Any,
        parameters: dict[str, Any] | None = None,
        modality: str | None = None,
    ) -> Job:
        """Do ``task`` with ``parameters`` (the keyword arguments of ``unibiomed.tasks``) on a volume node.

        Returns at once and never raises; whatever comes of it, also an unusable volume, is told by the job's
        signals later. The engine is started where none runs.
        """
        from UniBiomedSlicerLib.VolumeReader import identify, readVolume

        job = Job(task, volumeNode, parameters, modality, identify)
        runner = JobRunner(self, job, readVolume)
        self._runners.append(runner)
        runner.start()
        return job

    def exportDocument(self, kind: str, document: dict[str, Any], callback: Callable[[bytes, str, str], None]) -> None:
        """Have the engine write ``document`` as "dicom-sr", "html", "text" ...; ``callback(data, mediaType, error)``
        is called once, with ``error`` "" or one sentence. The engine is started where none runs."""
        body = {"kind": kind, "document": document}
        errand = self._errand(
            lambda client, done: client.request("POST", "/v1/exports", done, document=body, asBytes=True),
            lambda data, mediaType, failure: callback(data or b"", mediaType, failure.message if failure else ""),
        )
        self.whenReady(errand.ready)

    def requestModels(self, callback: Callable[[list[dict[str, Any]], str], None]) -> None:
        """``callback(models, error)`` once, with the models that the running engine can load; starts nothing."""
        if not self._isUp:
            qt.QTimer.singleShot(0, lambda: callback([], self.stateText))
            return
        errand = self._errand(
            lambda client, done: client.request("GET", "/v1/models", done),
            lambda models, mediaType, failure: callback(models or [], failure.message if failure else ""),
        )
        errand.ready(None, self.supervisor.connection.client)

    def refresh(self) -> None:
        """Ask the engine for its capabilities anew (memory, models); ``capabilitiesChanged`` follows."""
        if self._isUp:
            self.supervisor.connection.refresh()

    def testConnection(self, callback: Callable[[bool, str], None]) -> None:
        """Try the remote server of the settings and tell in one sentence; changes nothing, sends no image."""
        ConnectionTest(self.settings, callback).start()

    # What runners ask

    def whenReady(self, then: Then) -> None:
        """``then(None, client)`` as soon as the engine is ready, ``then(failure, None)`` when it will not be."""
        connection = self.supervisor.connection
        if self.state == states.READY and connection is not None:
            client = connection.client
            connection.whenOpen(lambda failure: then(failure, client if failure is None else None))
            return
        self._waiting.append(then)
        if self.state not in BUSY:
            qt.QTimer.singleShot(0, lambda: self.supervisor.start(byUser=False))

    def knownHash(self, payload: Any) -> str:
        """The SHA-256 of a volume that was handed over before and has not changed since, or ""."""
        return self._hashes.get((payload.nodeId, payload.modifiedTime), "")

    def rememberHash(self, payload: Any, sha256: str) -> None:
        """Keep a volume's SHA-256 for its next job."""
        self._hashes[payload.nodeId, payload.modifiedTime] = sha256
        while len(self._hashes) > MAX_HASHES:
            del self._hashes[next(iter(self._hashes))]

    def streamSlot(self, runner: JobRunner) -> bool:
        """Whether ``runner`` may open its event stream now; otherwise it is told as soon as it may."""
        return runner in self._runners[:MAX_STREAMS]

    def runnerEnded(self, runner: JobRunner) -> None:
        """A job is over: the next one in line may be followed."""
        self.turns.leave(runner)
        if runner in self._runners:
            self._runners.remove(runner)
        for waiting in self._runners[:MAX_STREAMS]:
            waiting.openStream()

    @property
    def isIdle(self) -> bool:
        """Whether no job is under way."""
        return not self._runners

    # What the supervisor tells

    @property
    def _isUp(self) -> bool:
        return self.state in (states.READY, states.LOADING) and self.supervisor.connection is not None

    def _errand(self, send: Callable[..., Any], callback: Callable[..., None]) -> EngineErrand:
        errand = EngineErrand(send, callback, self._errands.remove)
        self._errands.append(errand)
        return errand

    def _onCapabilities(self) -> None:
        if self.capabilities and self.capabilities.get("targets"):
            self.targets = list(self.capabilities["targets"])
        self.capabilitiesChanged.emit()

    def _onReady(self) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            self.whenReady(then)

    def _onEnded(self, failure: Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(failure, None)
        for one in [*self._runners, *self._errands]:
            one.engineEnded(failure)

    def _onSessionLost(self) -> None:
        for runner in list(self._runners):
            runner.sessionLost()


def engineService() -> EngineService:
    """The service of this Slicer, kept as ``slicer.modules.UniBiomedEngineService``; ended when Slicer ends."""
    existing = getattr(slicer.modules, "UniBiomedEngineService", None)
    if existing is None:
        existing = slicer.modules.UniBiomedEngineService = EngineService()
        slicer.app.connect("aboutToQuit()", existing.cleanup)
    return existing


def _pythonOfTheEnvironment() -> str | None:
    from UniBiomedSlicerLib.Environment import environment

    return environment().pythonPath()
