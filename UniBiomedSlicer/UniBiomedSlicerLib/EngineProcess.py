# SPDX-License-Identifier: Apache-2.0
"""The engine as a child process: start with hand-shake, log, unexpected end, stop that leaves nothing behind.

Token and port travel through the child's stdin and stdout, never on a command line. The child ends when its stdin
closes, which happens also when Slicer is killed.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import processEnvironment
from UniBiomedSlicerLib.CrashAdvice import howItEnded, suggestion
from UniBiomedSlicerLib.LogRing import LogRing
from UniBiomedSlicerLib.ProcessPriority import lowerPriority
from UniBiomedSlicerLib.ProcessTree import killTree, letGo
from UniBiomedSlicerLib.Signal import Signal

PROTOCOL = 1
READY_SECONDS = 120
POLITE_MS = 3000
TERMINATE_MS = 2000
MAX_HANDSHAKE_BYTES = 65536


@dataclass(frozen=True)
class EngineEnd:
    """How the process ended. ``expected``: it was asked to. ``message`` is in words, ``lastLines`` are its log's."""

    expected: bool
    code: str
    message: str
    lastLines: tuple[str, ...] = ()


class EngineProcess:
    """At most one child at a time. ``state``: "stopped", "starting", "running" or "stopping"."""

    def __init__(self) -> None:
        self.state = "stopped"
        self.token = ""
        self.port = 0
        self.version = ""
        self.log = LogRing()
        self.ready = Signal("EngineProcess.ready")  # ()
        self.ended = Signal("EngineProcess.ended")  # (EngineEnd), once for every start
        self.logLine = Signal("EngineProcess.logLine")  # (str)
        self._process: Any = None
        self._killed: Any = None  # kept, since a QProcess that goes before its child has ended waits for it
        self._enginePid = 0  # of the interpreter itself; a launcher in between has another one
        self._out = b""
        self._greeting: dict[str, Any] = {}
        self._refusal = ""
        self._refusalCode = ""
        self._terminated = False
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._onTimeout)

    @property
    def pid(self) -> int:
        """Process id, 0 when there is none."""
        return int(self._process.processId()) if self._process is not None else 0

    def start(self, python: str, environment: dict[str, str], options: dict[str, Any]) -> None:
        """Start ``python -m unibiomed.cli serve --stdio``; ``ready`` or ``ended`` follows. Ignored unless stopped.

        ``options`` (model, device, log level) go with the token into the first line of its stdin.
        """
        if self.state != "stopped":
            return
        self.token = secrets.token_urlsafe(32)
        self._out = b""
        self._refusal = self._refusalCode = ""
        self._greeting = {"protocol": PROTOCOL, "token": self.token, **options}
        self.state = "starting"
        process = qt.QProcess()
        self._process = process
        process.setProcessEnvironment(processEnvironment(environment))
        process.connect("started()", self._onStarted)
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onErrorOutput)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._write(_("Starting the engine with {python}").format(python=python))
        self._timer.start(READY_SECONDS * 1000)
        process.start(python, ["-m", "unibiomed.cli", "serve", "--stdio"])

    def stop(self) -> None:
        """End it: its stdin is closed, 3 s later it is terminated, 2 s later killed with its children."""
        if self.state in ("stopped", "stopping"):
            return
        self.state = "stopping"
        self._terminated = False
        self._process.closeWriteChannel()
        self._timer.start(POLITE_MS)

    def killNow(self) -> None:
        """End it at once and tell nobody: for when Slicer itself ends and no event is handled any more."""
        self._timer.stop()
        process = self._process
        if process is None:
            return
        self._disconnect(process)
        self._process = None
        self.state = "stopped"
        process.closeWriteChannel()
        if process.state() != qt.QProcess.NotRunning:
            killTree(self._enginePid)
            killTree(int(process.processId()))
            process.kill()
            self._killed = process
        self._enginePid = 0

    def cleanup(self) -> None:
        """End it at once and let go of everything."""
        self.killNow()
        self._timer.disconnect("timeout()", self._onTimeout)
        for each in (self.ready, self.ended, self.logLine):
            each.disconnectAll()

    def _onStarted(self) -> None:
        if self._process is not None and self.state == "starting":
            lowerPriority(self.pid)
            self._process.write(json.dumps(self._greeting).encode("ascii") + b"\n")

    def _onOutput(self) -> None:
        if self._process is None:
            return
        self._out += self._process.readAllStandardOutput().data()
        *lines, self._out = self._out.split(b"\n")
        self._out = self._out[-MAX_HANDSHAKE_BYTES:]
        for line in lines:
            self._onLine(line.decode("utf-8", errors="replace").strip())

    def _onLine(self, line: str) -> None:
        message: Any = None
        if self.state == "starting" and line.startswith("{"):
            try:
                message = json.loads(line)
            except ValueError:
                message = None
        if not isinstance(message, dict) or "event" not in message:
            if line:
                self._write(line)
            return
        if message["event"] == "refused":
            self._refusalCode = str(message.get("code") or "refused")
            self._refusal = str(message.get("message") or "")
        elif message["event"] == "ready":
            self._onReady(message)

    def _onReady(self, message: dict[str, Any]) -> None:
        try:
            port, protocol = int(message["port"]), int(message["protocol"])
            self._enginePid = int(message.get("pid") or 0)
        except (KeyError, TypeError, ValueError):
            self._refuse("bad_handshake", _("The engine's first line cannot be understood; repair the environment."))
            return
        self.version = str(message.get("version", ""))
        if protocol != PROTOCOL:
            self._refuse("protocol_mismatch", protocolMismatch(protocol, self.version))
            return
        self.port = port
        self.state = "running"
        self._timer.stop()
        self.ready.emit()

    def _refuse(self, code: str, message: str) -> None:
        self._refusalCode, self._refusal = code, message
        self._kill()

    def _onErrorOutput(self) -> None:
        if self._process is not None:
            for line in self.log.feed(self._process.readAllStandardError().data()):
                self.logLine.emit(line)

    def _onError(self, error: Any) -> None:
        if error == qt.QProcess.FailedToStart and self._process is not None:  # `finished` never comes then
            reason = self._process.errorString()
            self._end(
                "failed_to_start",
                _(
                    "The engine's Python could not be started ({reason}); repair the environment in module UniBiomed, "
                    "or choose another interpreter."
                ).format(reason=reason),
            )

    def _onFinished(self, code: int, status: Any = 0) -> None:
        if self._process is None:
            return
        self._onOutput()
        self._onErrorOutput()
        for line in self.log.flush():
            self.logLine.emit(line)
        crashed = status == qt.QProcess.CrashExit
        if self._refusal:
            self._end(self._refusalCode, self._refusal)
            return
        lines = self.log.last(12)
        words = (
            _("The engine could not be started ({how}). {advice}")
            if self.state == "starting"
            else _("The engine ended unexpectedly ({how}). {advice}")
        )
        self._end(
            "engine_crashed",
            words.format(how=howItEnded(code, crashed), advice=suggestion(code, crashed, lines)),
            lines,
        )

    def _end(self, code: str, message: str, lines: list[str] | None = None) -> None:
        expected = self.state == "stopping"
        self._timer.stop()
        process, self._process = self._process, None
        self._disconnect(process)
        letGo(process)
        self._enginePid = 0
        self.port = 0
        self.state = "stopped"
        self._write(_("The engine was stopped") if expected else message)
        self.ended.emit(EngineEnd(expected, "engine_stopped" if expected else code, message, tuple(lines or ())))

    def _onTimeout(self) -> None:
        self._timer.stop()
        if self._process is None:
            return
        if self.state == "starting":
            self._refuse(
                "start_timeout",
                _("The engine did not answer within {seconds} s; look at the log and repair the environment.").format(
                    seconds=READY_SECONDS
                ),
            )
        elif self.state == "stopping" and not self._terminated:
            self._terminated = True
            self._process.terminate()
            self._timer.start(TERMINATE_MS)
        elif self.state == "stopping":
            self._kill()

    def _kill(self) -> None:
        killTree(self._enginePid)
        killTree(self.pid)
        if self._process is not None:
            self._process.kill()

    def _write(self, line: str) -> None:
        self.log.add(line)
        self.logLine.emit(line)

    def _disconnect(self, process: Any) -> None:
        process.disconnect("started()", self._onStarted)
        process.disconnect("readyReadStandardOutput()", self._onOutput)
        process.disconnect("readyReadStandardError()", self._onErrorOutput)
        process.disconnect("errorOccurred(QProcess::ProcessError)", self._onError)
        process.disconnect("finished(int,QProcess::ExitStatus)", self._onFinished)


def protocolMismatch(theirs: Any, version: str) -> str:
    """Two versions that do not fit, in words."""
    return _(
        "The engine{version} speaks protocol {theirs} and this extension protocol {ours}: repair the environment "
        "in module UniBiomed, or install the same version of both."
    ).format(version=f" {version}" if version else "", theirs=theirs, ours=PROTOCOL)
