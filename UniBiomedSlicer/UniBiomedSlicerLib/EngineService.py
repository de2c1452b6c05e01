# SPDX-License-Identifier: Apache-2.0
"""The one thing that the modules talk to: the engine of this computer or a remote one, and the jobs it does.

Everything is told by signals from Slicer's event loop; nothing here waits. There is one service for each Slicer,
whatever module asks first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib import EngineWords as states
from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, engineVariables
from UniBiomedSlicerLib.ConnectionTest import ConnectionTest
from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EngineConnection import EngineConnection
from UniBiomedSlicerLib.EngineProcess import EngineEnd, EngineProcess
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.Job import Job
from UniBiomedSlicerLib.JobRunner import JobRunner
from UniBiomedSlicerLib.RestartPolicy import RestartPolicy
from UniBiomedSlicerLib.ServerAddress import AddressError, isLoopback, usableAddress
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.Turns import Turns

MAX_STREAMS = 5  # Qt opens six connections to a server
MAX_HASHES = 16
LOSS_MS = 1500
BUSY = (states.STARTING, states.LOADING, states.READY)

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
        self._pythonPath = pythonPath
        self.state = states.STOPPED
        self.stateText = states.stateSentence(states.STOPPED, None, "")
        self.capabilities: dict[str, Any] | None = None
        self.targets: list[dict[str, Any]] = []
        self.isRemote = False
        self.crashReport = ""
        self.consentHook: Callable[[str, Callable[[bool], None]], None] | None = None
        self.stateChanged = Signal("EngineService.stateChanged")  # ()
        self.logLine = Signal("EngineService.logLine")  # (str)
        self.capabilitiesChanged = Signal("EngineService.capabilitiesChanged")  # ()
        self.progressed = Signal("EngineService.progressed")  # (text: str, fraction: float | None), of loading

        self._process = EngineProcess()
        self._process.ready.connect(self._onProcessReady)
        self._process.ended.connect(self._onProcessEnded)
        self._process.logLine.connect(self.logLine.emit)
        self._connection: EngineConnection | None = None
        self._parting: list[EngineClient] = []
        self._policy = RestartPolicy()
        self._startAgain = False
        self._runners: list[JobRunner] = []
        self.turns = Turns()
        self._waiting: list[Then] = []
        self._hashes: dict[tuple, str] = {}
        self._host = ""
        self._choice: dict[str, Any] | None = None
        self._timer = qt.QTimer()  # the back-off before a start
        self._timer.connect("timeout()", self._startProcess)

    # What modules call

    @property
    def log(self) -> str:
        """The last lines of the engine's log."""
        return self._process.log.text()

    @property
    def pid(self) -> int:
        """Process id of the engine of this computer, 0 when there is none."""
        return self._process.pid

    @property
    def settings(self) -> Any:
        """UniBiomed's settings."""
        if self._settings is None:
            from UniBiomedSlicerLib.Settings import settings

            self._settings = settings()
        return self._settings

    def start(self) -> None:
        """Start the engine, or connect to the remote server; no effect while it runs. The user's own start always
        counts, whatever went wrong before."""
        self._policy.reset()
        self._start()

    def stop(self) -> None:
        """Stop the engine of this computer, or leave the remote server; jobs fail and say why."""
        self._startAgain = False
        self._timer.stop()
        self._endJobs(Failure("engine_stopped", _("The engine was stopped.")))
        self._disconnect()
        if self._process.state != "stopped":
            self._process.stop()
            self._setState(states.STOPPING)
        else:
            self._setState(states.STOPPED)

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self._policy.reset()
        if self._process.state == "stopped":
            self._start()
        else:
            self._startAgain = True

    def loadModel(self, name: str) -> None:
        """Load a model by its name, or from a folder of the user's; starts the engine with it where none runs."""
        connection = self._connection
        if connection is None or self.state not in (states.READY, states.LOADING):
            self._choice = self._modelChoice(name)
            self._start()
            return
        choice = self._modelChoice(name)
        if self._ownFolders(name) and not self.isRemote:
            self._choice = choice  # the engine is told of a folder when it starts
            self.restart()
            return
        self._setState(states.LOADING)
        connection.load(choice, self._onLoaded)

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

        def ready(failure: Failure | None, client: EngineClient | None) -> None:
            if failure is not None:
                callback(b"", "", failure.message)
                return

            def answered(failure: Failure | None, data: Any) -> None:
                if failure is not None:
                    callback(b"", "", failure.message)
                else:
                    callback(data, reply.mediaType, "")

            body = {"kind": kind, "document": document}
            reply = client.request("POST", "/v1/exports", answered, document=body, asBytes=True)

        self.whenReady(ready)

    def refresh(self) -> None:
        """Ask the engine for its capabilities anew (memory, models); ``capabilitiesChanged`` follows."""
        if self._connection is not None and self.state in (states.READY, states.LOADING):
            self._connection.refresh()

    def requestModels(self, callback: Callable[[list[dict[str, Any]], str], None]) -> None:
        """``callback(models, error)`` with the models that the running engine can load; starts nothing."""
        connection = self._connection
        if connection is None or self.state not in (states.READY, states.LOADING):
            qt.QTimer.singleShot(0, lambda: callback([], self.stateText))
            return
        connection.client.request(
            "GET",
            "/v1/models",
            lambda failure, models: callback(models or [], failure.message if failure else ""),
        )

    def testConnection(self, callback: Callable[[bool, str], None]) -> None:
        """Try the remote server of the settings and tell in one sentence; changes nothing, sends no image."""
        ConnectionTest(self.settings, callback).start()

    def cleanup(self) -> None:
        """End everything at once; for when Slicer ends."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._startProcess)
        self._endJobs(Failure("engine_stopped", _("The engine was stopped.")))
        if self._connection is not None:
            self._connection.close(politely=False)
            self._connection = None
        for client in self._parting:
            client.close()
        self._parting.clear()
        self._process.cleanup()
        self.state = states.STOPPED
        for signal in (self.stateChanged, self.logLine, self.capabilitiesChanged, self.progressed):
            signal.disconnectAll()

    # What runners ask

    def whenReady(self, then: Then) -> None:
        """``then(None, client)`` as soon as the engine is ready, ``then(failure, None)`` when it will not be."""
        if self.state == states.READY and self._connection is not None:
            connection = self._connection
            connection.whenOpen(lambda _failure: then(None, connection.client))
            return
        self._waiting.append(then)
        if self.state == states.STOPPING:
            self._startAgain = True
        elif self.state not in BUSY:
            qt.QTimer.singleShot(0, self._start)

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

    # Starting

    def _start(self) -> None:
        if self.state in BUSY or self._timer.isActive():
            return
        if self.state == states.STOPPING:
            self._startAgain = True
            return
        self.isRemote = bool(self.settings.useRemote)
        self.crashReport = ""
        if self.isRemote:
            self._connectRemote()
            return
        self._host = ""
        delay = self._policy.delay()
        if delay is None:
            message = _(
                "The engine ended unexpectedly {count} times in a row and is not started again by itself; look at the "
                "log, then press Start."
            ).format(count=self._policy.failures)
            self._fail(states.CRASHED, Failure("engine_crashed", message))
        elif delay > 0:
            self._setState(
                states.STARTING,
                _("The engine ended unexpectedly; it is started again in {seconds:g} s.").format(seconds=delay),
            )
            self._timer.start(round(delay * 1000))
        else:
            self._startProcess()

    def _startProcess(self) -> None:
        self._timer.stop()
        python = self._python()
        if not python:
            sentence = states.stateSentence(states.NOT_INSTALLED, None, "")
            self._fail(states.NOT_INSTALLED, Failure("not_installed", sentence))
            return
        self._setState(states.STARTING)
        choice = self._modelChoice()
        options = {"model": choice["model"], "device": choice["device"], "log_level": self.settings.logLevel}
        folders = self._ownFolders(self.settings.model)
        if folders:
            options["models"] = folders
        self._process.start(python, childEnvironment(engineVariables(self.settings)), options)

    def _python(self) -> str | None:
        if self._pythonPath is not None:
            return self._pythonPath()
        from UniBiomedSlicerLib.Environment import environment

        return environment().pythonPath()

    def _onProcessReady(self) -> None:
        self._policy.started()
        url = f"http://127.0.0.1:{self._process.port}"
        self._connect(EngineClient(url, self._process.token))

    def _onProcessEnded(self, end: EngineEnd) -> None:
        self.crashReport = "" if end.expected else "\n".join(end.lastLines)
        self._disconnect()
        if end.expected:
            self._setState(states.STOPPED)
            if self._startAgain:
                self._startAgain = False
                self._start()
            return
        self._policy.failed()
        self._fail(states.CRASHED, Failure(end.code, end.message))

    def _connectRemote(self) -> None:
        try:
            url = usableAddress(self.settings.remoteUrl)
            client = EngineClient(url, self.settings.remoteToken, self.settings.remoteCaFile)
        except AddressError as error:
            self._fail(states.UNREACHABLE, Failure("address", str(error)))
            return
        self._host = client.host
        self._setState(states.STARTING)
        if isLoopback(url) or self.settings.consentGiven(self.settings.remoteHost):
            self._connect(client)
            return
        if self.consentHook is None:
            self._consented(client, False)
        else:
            self.consentHook(self.settings.remoteHost, lambda given: self._consented(client, given))

    def _consented(self, client: EngineClient, given: bool) -> None:
        if self.state != states.STARTING or self._connection is not None:
            return
        if given:
            self._connect(client)
            return
        message = _("Sending images to {host} was not agreed to, so nothing was sent; agree, or use this computer.")
        self._fail(states.STOPPED, Failure("consent", message.format(host=client.host)))

    def _connect(self, client: EngineClient) -> None:
        self._disconnect()
        connection = EngineConnection(client, self._modelChoice(), keepModel=self.isRemote and self._choice is None)
        self._connection = connection
        self._choice = None
        connection.capabilitiesChanged.connect(self._onCapabilities)
        connection.loading.connect(self.progressed.emit)
        connection.sessionLost.connect(self._onSessionLost)
        connection.session.unreachable.connect(self._onUnreachable)
        self._setState(states.STARTING)

        connection.open(self._onLoaded)

    def _onLoaded(self, failure: Failure | None) -> None:
        connection = self._connection
        if failure is None:
            self._becomeReady()
        elif self.isRemote:
            self._onUnreachable(failure)
        else:
            # Most often the process is ending just now, and that tells more than the connection that it left.
            qt.QTimer.singleShot(
                LOSS_MS, lambda: self._connection is connection is not None and self._onUnreachable(failure)
            )

    def _becomeReady(self) -> None:
        failure = self._connection.modelFailure
        text = ""
        if failure is not None:
            text = _("The engine runs, but the model could not be loaded: {reason}").format(reason=failure.message)
        self._setState(states.READY, text)
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            self.whenReady(then)

    def _onCapabilities(self) -> None:
        self.capabilities = self._connection.capabilities
        if self.capabilities.get("targets"):
            self.targets = list(self.capabilities["targets"])
        if self.state == states.STARTING and not (self.capabilities.get("model") and self.isRemote):
            self._setState(states.LOADING)
        self.capabilitiesChanged.emit()

    # Ends

    def _onSessionLost(self) -> None:
        for runner in list(self._runners):
            runner.sessionLost()

    def _onUnreachable(self, failure: Failure) -> None:
        if self.isRemote:
            self._disconnect()
            self._fail(states.UNREACHABLE, failure)
        else:
            self._process.killNow()  # it lives but does not answer
            self._disconnect()
            self._policy.failed()
            self._fail(states.CRASHED, failure)

    def _fail(self, state: str, failure: Failure) -> None:
        self._setState(state, failure.message)
        self._endJobs(failure)

    def _endJobs(self, failure: Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(failure, None)
        for runner in list(self._runners):
            runner.engineEnded(failure)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.close(politely=self.isRemote)
        if self.isRemote:
            self._partFrom(connection.client)
        if self.capabilities is not None:
            self.capabilities = None
            self.capabilitiesChanged.emit()

    def _partFrom(self, client: EngineClient) -> None:
        """Keep it for the moment that giving back its session takes."""
        self._parting.append(client)
        qt.QTimer.singleShot(6000, lambda: client in self._parting and self._parting.remove(client))

    def _setState(self, state: str, text: str = "") -> None:
        text = text or states.stateSentence(state, self.capabilities, self._host)
        if (state, text) != (self.state, self.stateText):
            self.state, self.stateText = state, text
            self.stateChanged.emit()

    def _modelChoice(self, name: str = "") -> dict[str, Any]:
        if not name and self._choice is not None:
            return self._choice
        name = name or self.settings.model
        folders = self._ownFolders(name)
        return {"model": next(iter(folders)) if folders else name, "device": self.settings.device}

    def _ownFolders(self, name: str) -> dict[str, str]:
        """A model that is a folder of the user's, by the name that the engine is told for it."""
        folder = Path(name).expanduser()
        return {folder.name: str(folder)} if folder.is_absolute() and folder.is_dir() else {}


def engineService() -> EngineService:
    """The service of this Slicer, kept as ``slicer.modules.UniBiomedEngineService``; ended when Slicer ends."""
    existing = getattr(slicer.modules, "UniBiomedEngineService", None)
    if existing is None:
        existing = slicer.modules.UniBiomedEngineService = EngineService()
        slicer.app.connect("aboutToQuit()", existing.cleanup)
    return existing
