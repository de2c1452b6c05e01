# SPDX-License-Identifier: Apache-2.0
"""Brings an engine up and keeps an eye on it: the one of this computer as a child process, or a remote server.

One state at a time, told as a word and as a sentence; every way that it can end is one of these states.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib import EngineWords as states
from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, engineVariables
from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EngineConnection import EngineConnection
from UniBiomedSlicerLib.EngineProcess import EngineEnd, EngineProcess
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.RestartPolicy import RestartPolicy
from UniBiomedSlicerLib.ServerAddress import AddressError, isLoopback, usableAddress
from UniBiomedSlicerLib.Signal import Signal

BUSY = (states.STARTING, states.LOADING, states.READY)
LOSS_MS = 1500
PARTING_MS = 6000


class EngineSupervisor:
    """``settings()`` gives UniBiomed's settings, ``pythonPath()`` the engine's Python or None where none is installed.

    Signals: ``stateChanged()``, ``capabilitiesChanged()``, ``loading(stage, fraction)``, ``ready()`` whenever jobs can
    be taken, ``ended(Failure)`` whenever they cannot any more, ``sessionLost()``.
    """

    def __init__(self, settings: Callable[[], Any], pythonPath: Callable[[], str | None]) -> None:
        self._settings = settings
        self._pythonPath = pythonPath
        self.state = states.STOPPED
        self.stateText = states.stateSentence(states.STOPPED, None, "")
        self.capabilities: dict[str, Any] | None = None
        self.isRemote = False
        self.crashReport = ""
        self.consentHook: Callable[[str, Callable[[bool], None]], None] | None = None
        self.stateChanged = Signal("EngineSupervisor.stateChanged")
        self.capabilitiesChanged = Signal("EngineSupervisor.capabilitiesChanged")
        self.loading = Signal("EngineSupervisor.loading")
        self.ready = Signal("EngineSupervisor.ready")
        self.ended = Signal("EngineSupervisor.ended")
        self.sessionLost = Signal("EngineSupervisor.sessionLost")
        self.policy = RestartPolicy()
        self.process = EngineProcess()
        self.process.ready.connect(self._onProcessReady)
        self.process.ended.connect(self._onProcessEnded)
        self.connection: EngineConnection | None = None
        self._parting: list[EngineClient] = []
        self._startAgain = False
        self._host = ""
        self._wanted = ""  # a model that was asked for by its name, until it is being loaded
        self._timer = qt.QTimer()  # the back-off before a start
        self._timer.connect("timeout()", self._startProcess)

    # Asked for

    def start(self, byUser: bool) -> None:
        """Start or connect, unless it runs or is just starting. A start that the user asked for always counts; the
        others slow down after each unexpected end, and cease."""
        if byUser:
            self.policy.reset()
        if self.state in BUSY:
            return
        if self.state == states.STOPPING:
            self._startAgain = True
            return
        self.isRemote = bool(self._settings().useRemote)
        self._host = ""
        self.crashReport = ""
        if self.isRemote:
            self._connectRemote()
        else:
            self._startLocal()

    def stop(self) -> None:
        """Stop the engine of this computer, or leave the remote server."""
        self._startAgain = False
        self._timer.stop()
        self.ended.emit(Failure("engine_stopped", _("The engine was stopped.")))
        self._disconnect()
        if self.process.state != "stopped":
            self.process.stop()
            self._setState(states.STOPPING)
        else:
            self._setState(states.STOPPED)

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start(byUser=True)

    def loadModel(self, name: str) -> None:
        """Load a model by its name, or from a folder of the user's; starts the engine with it where none runs."""
        self._wanted = name
        if self.state == states.READY and self.connection is not None:
            if _ownFolders(name) and not self.isRemote:
                self.restart()  # the engine is told of a folder when it starts
            else:
                self._loadWanted()
        else:
            self.start(byUser=True)

    def cleanup(self) -> None:
        """End everything at once; for when Slicer ends."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._startProcess)
        self.ended.emit(Failure("engine_stopped", _("The engine was stopped.")))
        if self.connection is not None:
            self.connection.close(politely=False)
            self.connection = None
        for client in self._parting:
            client.close()
        self._parting.clear()
        self.process.cleanup()
        self.state = states.STOPPED
        for signal in (self.stateChanged, self.capabilitiesChanged, self.loading, self.ready, self.ended):
            signal.disconnectAll()
        self.sessionLost.disconnectAll()

    # The engine of this computer

    def _startLocal(self) -> None:
        delay = self.policy.delay()
        if delay is None:
            message = _(
                "The engine ended unexpectedly {count} times in a row and is not started again by itself; look at the "
                "log, then press Start."
            )
            self._fail(states.CRASHED, Failure("engine_crashed", message.format(count=self.policy.failures)))
        elif delay > 0:
            message = _("The engine ended unexpectedly; it is started again in {seconds:g} s.")
            self._setState(states.STARTING, message.format(seconds=delay))
            self._timer.start(round(delay * 1000))
        else:
            self._startProcess()

    def _startProcess(self) -> None:
        self._timer.stop()
        python = self._pythonPath()
        if not python:
            sentence = states.stateSentence(states.NOT_INSTALLED, None, "")
            self._fail(states.NOT_INSTALLED, Failure("not_installed", sentence))
            return
        self._setState(states.STARTING)
        settings = self._settings()
        choice = self._modelChoice()
        options = {"model": choice["model"], "device": choice["device"], "log_level": settings.logLevel}
        folders = _ownFolders(self._wanted or settings.model)
        if folders:
            options["models"] = folders
        self.process.start(python, childEnvironment(engineVariables(settings)), options)

    def _onProcessReady(self) -> None:
        self.policy.started()
        self._connect(EngineClient(f"http://127.0.0.1:{self.process.port}", self.process.token))

    def _onProcessEnded(self, end: EngineEnd) -> None:
        self.crashReport = "" if end.expected else "\n".join(end.lastLines)
        failure = Failure(end.code, end.message)
        self._disconnect(failure)
        if not end.expected:
            self.policy.failed()
            self._fail(states.CRASHED, failure)
            return
        self._setState(states.STOPPED)
        if self._startAgain:
            self._startAgain = False
            self.start(byUser=False)

    # A remote server

    def _connectRemote(self) -> None:
        settings = self._settings()
        try:
            url = usableAddress(settings.remoteUrl)
            client = EngineClient(url, settings.remoteToken, settings.remoteCaFile)
        except AddressError as error:
            self._fail(states.UNREACHABLE, Failure("address", str(error)))
            return
        self._host = client.host
        self._setState(states.STARTING)
        if isLoopback(url) or settings.consentGiven(settings.remoteHost):
            self._connect(client)
        elif self.consentHook is None:
            self._consented(client, False)
        else:
            self.consentHook(settings.remoteHost, lambda given: self._consented(client, given))

    def _consented(self, client: EngineClient, given: bool) -> None:
        if self.state != states.STARTING or self.connection is not None:
            return
        if given:
            self._connect(client)
            return
        message = _("Sending images to {host} was not agreed to, so nothing was sent; agree, or use this computer.")
        self._fail(states.STOPPED, Failure("consent", message.format(host=client.host)))

    # Both

    def _connect(self, client: EngineClient) -> None:
        self._disconnect()
        connection = EngineConnection(client, self._modelChoice(), keepModel=self.isRemote and not self._wanted)
        self._wanted = ""
        self.connection = connection
        connection.capabilitiesChanged.connect(self._onCapabilities)
        connection.loading.connect(self.loading.emit)
        connection.sessionLost.connect(self.sessionLost.emit)
        connection.session.unreachable.connect(self._onLost)
        self._setState(states.STARTING)
        connection.open(self._onLoaded)

    def _loadWanted(self) -> None:
        choice = self._modelChoice()
        self._wanted = ""
        self._setState(states.LOADING)
        self.connection.load(choice, self._onLoaded)

    def _onLoaded(self, failure: Failure | None) -> None:
        if failure is not None:
            self._onLost(failure)
        elif self._wanted:  # another one was asked for meanwhile
            self._loadWanted()
        else:
            missing = self.connection.modelFailure
            words = _("The engine runs, but the model could not be loaded: {reason}")
            self._setState(states.READY, words.format(reason=missing.message) if missing else "")
            self.ready.emit()

    def _onLost(self, failure: Failure) -> None:
        connection = self.connection
        if self.isRemote:
            self._onUnreachable(failure)
        else:
            # Most often the process is ending just now, and that tells more than the connection that it left.
            qt.QTimer.singleShot(LOSS_MS, lambda: self.connection is connection and self._onUnreachable(failure))

    def _onCapabilities(self) -> None:
        self.capabilities = self.connection.capabilities
        if self.state == states.STARTING and not (self.capabilities.get("model") and self.isRemote):
            self._setState(states.LOADING)
        self.capabilitiesChanged.emit()

    def _onUnreachable(self, failure: Failure) -> None:
        if self.connection is None:
            return
        if not self.isRemote:
            self.process.killNow()  # it lives but does not answer
            self.policy.failed()
        self._disconnect(failure)
        self._fail(states.UNREACHABLE if self.isRemote else states.CRASHED, failure)

    def _disconnect(self, failure: Failure | None = None) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        connection.close(self.isRemote, failure)
        if self.isRemote:  # kept for the moment that giving back its session takes
            client = connection.client
            self._parting.append(client)
            qt.QTimer.singleShot(PARTING_MS, lambda: self._parted(client))
        if self.capabilities is not None:
            self.capabilities = None
            self.capabilitiesChanged.emit()

    def _parted(self, client: EngineClient) -> None:
        if client in self._parting:
            self._parting.remove(client)
            client.close()

    def _fail(self, state: str, failure: Failure) -> None:
        self._setState(state, failure.message)
        self.ended.emit(failure)

    def _setState(self, state: str, text: str = "") -> None:
        text = text or states.stateSentence(state, self.capabilities, self._host)
        if (state, text) != (self.state, self.stateText):
            self.state, self.stateText = state, text
            self.stateChanged.emit()

    def _modelChoice(self) -> dict[str, Any]:
        settings = self._settings()
        name = self._wanted or settings.model
        folders = _ownFolders(name)
        return {"model": next(iter(folders)) if folders else name, "device": settings.device}


def _ownFolders(name: str) -> dict[str, str]:
    """A model that is a folder of the user's, by the name that the engine is told for it."""
    folder = Path(name).expanduser()
    return {folder.name: str(folder)} if folder.is_absolute() and folder.is_dir() else {}
