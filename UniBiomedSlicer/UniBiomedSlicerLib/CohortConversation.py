# SPDX-License-Identifier: Apache-2.0
"""Talks with a cohort's catalogue through ``unibiomed review CATALOGUE --stdio``, a child process.

A catalogue is read and written by the engine's own code alone, so that Slicer and the command line can never disagree
on what a decision is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, processEnvironment
from UniBiomedSlicerLib.ProcessTree import letGo
from UniBiomedSlicerLib.Signal import Signal

Answered = Callable[[dict[str, Any]], None]


class CohortConversation:
    """One open catalogue. Every request is answered exactly once, also when the process dies.

    ``ended(message)``: the process is gone; the message is one sentence, empty after ``close()``.
    """

    def __init__(self, python: str, folder: str) -> None:
        self.ended = Signal("CohortConversation.ended")
        self.folder = folder
        self._waiting: dict[int, Answered] = {}
        self._next = 0
        self._buffer = b""
        self._errors = ""
        self._closing = False
        process = self._process = qt.QProcess()
        process.setProcessEnvironment(processEnvironment(childEnvironment()))
        process.connect("readyReadStandardOutput()", self._read)
        process.connect("readyReadStandardError()", self._readErrors)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        process.start(python, ["-m", "unibiomed.cli", "review", folder, "--stdio"])

    def ask(self, verb: str, answered: Answered, **fields: Any) -> None:
        """Send a request; ``answered`` gets ``{"ok": bool, ...}``, with a ``message`` (one sentence) if not ok."""
        if self._process is None:
            answered({"ok": False, "message": _("The cohort is not open any more; open it again.")})
            return
        self._next += 1
        self._waiting[self._next] = answered
        line = json.dumps({"id": self._next, "do": verb, **fields}) + "\n"
        self._process.write(line.encode("utf-8"))

    def close(self) -> None:
        """End the conversation; what was asked is answered first, since the process reads to the end of its input."""
        self._closing = True
        if self._process is not None:
            self._process.closeWriteChannel()

    def cleanup(self, kept: Any = None) -> None:
        """End it at once and tell nobody; for the end of Slicer. Decisions that were answered are on disk.

        ``kept`` lives until the process has read what was asked: the folder of files that requests name.
        """
        self.ended.disconnectAll()
        self._waiting = {}
        process, self._process = self._process, None
        if process is not None:
            # It ends with its input; until then the application keeps it, so that it is not torn down in between.
            process.setParent(slicer.app)
            process.connect("finished(int,QProcess::ExitStatus)", lambda code, status=0: _remove(process, kept))
            process.closeWriteChannel()

    def _read(self) -> None:
        if self._process is None:
            return
        self._buffer += self._process.readAllStandardOutput().data()
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            answer = json.loads(line.decode("utf-8"))
            answered = self._waiting.pop(answer.get("id"), None)
            if answered is not None:
                answered(answer)

    def _readErrors(self) -> None:
        if self._process is not None:
            self._errors = (self._errors + self._process.readAllStandardError().data().decode("utf-8", "replace"))[
                -2000:
            ]

    def _onError(self, error: int) -> None:
        # After a failed start `finished` never comes.
        if int(error) == int(qt.QProcess.FailedToStart):
            self._end(_("The engine's Python could not be started; repair the environment in the module UniBiomed."))

    def _onFinished(self, code: int, status: int = 0) -> None:
        self._read()
        self._readErrors()
        words = self._errors.strip().splitlines()
        said = (
            words[-1].removeprefix("unibiomed: ") if words else _("the process ended (code {code})").format(code=code)
        )
        self._end("" if self._closing else said)

    def _end(self, message: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        letGo(process)
        waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered({"ok": False, "message": message or _("The cohort was closed before this was answered.")})
        self.ended.emit(message)


def _remove(process: Any, _kept: Any) -> None:
    """Delete a process that has ended; it is gone already where the application ended first."""
    if process:
        process.deleteLater()
