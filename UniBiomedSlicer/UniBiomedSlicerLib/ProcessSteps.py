# SPDX-License-Identifier: Apache-2.0
"""Commands run one after the other as child processes, driven by Qt signals alone: nothing waits, nothing blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import processEnvironment
from UniBiomedSlicerLib.ProcessTree import letGo
from UniBiomedSlicerLib.Signal import Signal

_KILL_AFTER_MS = 3000
# What installers put before a message: "error: ", "  Caused by: ", "  × ", "  ╰─▶ ".
_PREFIX = re.compile(r"^[\s×╰─▶├│]*(?:error:|cause:|caused by:)?\s*", re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Step:
    """One command. ``title`` is shown while it runs; ``mayFail``: a failure of it does not end the run;
    ``speaksPlainly``: its last line of output after a failure is a sentence for the user as it stands.

    ``onOutput`` gets the whole of stdout once the command has ended well, before the next step; what it returns (a list
    of further steps, or None) is run next. It may raise ``StepError`` to end the run with a sentence.
    """

    title: str
    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    workingFolder: str = ""
    mayFail: bool = False
    speaksPlainly: bool = False
    onOutput: Callable[[str], list[Step] | None] | None = None


class StepError(Exception):
    """What a step found is not good enough; the text is one sentence for the user."""


class ProcessSteps:
    """Runs steps; ``lineArrived(str)`` for each line of output, ``stepStarted(Step)``, ``finished(ok, message)`` once.

    The message is empty after success and after ``cancel()``; after a failure it is one sentence with the last line.
    """

    def __init__(self) -> None:
        self.lineArrived = Signal("ProcessSteps.lineArrived")
        self.stepStarted = Signal("ProcessSteps.stepStarted")
        self.finished = Signal("ProcessSteps.finished")
        self.cancelled = False
        self._waiting: list[Step] = []
        self._current: Step | None = None
        self._process: Any = None
        self._output = ""
        self._pending = {True: "", False: ""}
        self._lines: list[str] = []
        self._killTimer: Any = None

    def isRunning(self) -> bool:
        """Whether ``finished`` is still to come."""
        return self._current is not None

    def run(self, steps: list[Step]) -> None:
        """Start with the first of ``steps``; one run at a time."""
        if self.isRunning():
            raise RuntimeError("These steps are running already.")
        self.cancelled = False
        self._waiting = list(steps)
        self._next()

    def cancel(self) -> None:
        """End the running command: asked first, killed after three seconds. ``finished(False, "")`` follows."""
        if not self.isRunning() or self.cancelled:
            return
        self.cancelled = True
        self._waiting = []
        process = self._process
        if process is None:
            return
        if os.name == "nt":
            # terminate() only posts a message to windows, which a console program has none of; the tree with it.
            qt.QProcess.startDetached("taskkill", ["/PID", str(process.processId()), "/T", "/F"])
        else:
            process.terminate()
        self._killTimer = qt.QTimer()
        self._killTimer.setSingleShot(True)
        self._killTimer.connect("timeout()", self._kill)
        self._killTimer.start(_KILL_AFTER_MS)

    def cleanup(self) -> None:
        """Kill what runs and tell nobody; for the end of Slicer."""
        self.finished.disconnectAll()
        self.lineArrived.disconnectAll()
        self.stepStarted.disconnectAll()
        self.cancelled = True
        self._waiting = []
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _next(self) -> None:
        if self.cancelled or not self._waiting:
            self._end(not self.cancelled, "")
            return
        step = self._current = self._waiting.pop(0)
        self._output = ""
        self._pending = {True: "", False: ""}
        self._lines = []
        process = self._process = qt.QProcess()
        process.setProcessEnvironment(processEnvironment(step.environment))
        if step.workingFolder:
            process.setWorkingDirectory(step.workingFolder)
        process.connect("readyReadStandardOutput()", self._readOutput)
        process.connect("readyReadStandardError()", self._readError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        self.stepStarted.emit(step)
        process.start(step.program, list(step.arguments))
        # A command that asks something would wait for ever.
        process.closeWriteChannel()

    def _readOutput(self) -> None:
        if self._process is not None:
            text = self._process.readAllStandardOutput().data().decode("utf-8", "replace")
            self._output += text
            self._take(text, True)

    def _readError(self) -> None:
        if self._process is not None:
            self._take(self._process.readAllStandardError().data().decode("utf-8", "replace"), False)

    def _take(self, text: str, isOutput: bool) -> None:
        whole = self._pending[isOutput] + text.replace("\r\n", "\n").replace("\r", "\n")
        *lines, self._pending[isOutput] = whole.split("\n")
        for line in lines:
            self._tell(line)

    def _tell(self, line: str) -> None:
        line = _ANSI.sub("", line).rstrip()
        if line:
            self._lines = [*self._lines[-49:], line]
            self.lineArrived.emit(line)

    def _onError(self, error: int) -> None:
        # After a failed start `finished` never comes.
        if int(error) == int(qt.QProcess.FailedToStart):
            step = self._current
            self._release()
            if step is not None:
                self._failed(step, _("the program {program} could not be started").format(program=step.program), "")

    def _onFinished(self, code: int, status: int = 0) -> None:
        self._readOutput()
        self._readError()
        for rest in self._pending.values():
            self._tell(rest)
        step, output, lines = self._current, self._output, self._lines
        crashed = int(status) != int(qt.QProcess.NormalExit)
        self._release()
        if step is None:
            return
        if self.cancelled:
            self._end(False, "")
        elif code != 0 or crashed:
            self._failed(step, lastWords(lines) or _("exit code {code}").format(code=code))
        else:
            self._continue(step, output)

    def _continue(self, step: Step, output: str) -> None:
        if step.onOutput is not None:
            try:
                self._waiting[:0] = step.onOutput(output) or []
            except StepError as error:
                self._end(False, str(error))
                return
        self._next()

    def _failed(self, step: Step, words: str, advice: str | None = None) -> None:
        if self.cancelled:
            self._end(False, "")
        elif step.mayFail:
            self._continue(step, "")
        elif step.speaksPlainly:
            self._end(False, words)
        else:
            sentence = _("{step} failed: {words}.").format(step=step.title, words=words.rstrip("."))
            self._end(False, f"{sentence} {_advice(words) if advice is None else advice}".strip())

    def _release(self) -> None:
        if self._killTimer is not None:
            self._killTimer.stop()
            self._killTimer = None
        if self._process is not None:
            letGo(self._process)
            self._process = None

    def _end(self, ok: bool, message: str) -> None:
        self._waiting = []
        self._current = None
        self.finished.emit(ok, message)


def lastWords(lines: list[str]) -> str:
    """What a failed command had to say: its last line, with the line that says on what, where there is one.

    uv prints a chain ("error: …", then "cause: …" or "Caused by: …"): the last cause says why, "Failed to fetch" what.
    """
    texts = [_PREFIX.sub("", line).strip() for line in lines]
    texts = [text for text in texts if text and not text.lower().startswith("hint:")]
    if not texts:
        return ""
    last = texts[-1]
    what = next((text for text in reversed(texts) if re.search(r"[Ff]ailed to (fetch|download)", text)), last)
    return last if what == last else f"{what.rstrip('.:')} ({last.rstrip('.')})"


def _advice(words: str) -> str:
    """What to do about the usual causes; the words are the installer's, in English."""
    lower = words.lower()
    if re.search(r"certificate|tls|ssl", lower):
        return _("Your network seems to inspect TLS; give its proxy or a package mirror in the installer options.")
    if re.search(r"dns|resolve host|connect|timed? ?out|network|lookup address|proxy|failed to fetch", lower):
        return _("Check the network, or give a proxy, a mirror or a folder of wheels in the installer options.")
    if re.search(r"no space|disk full|os error 28|os error 112", lower):
        return _("Free some disk space, or choose another folder in the settings.")
    if re.search(r"permission|access is denied|os error 13|os error 5\b", lower):
        return _("Choose a folder that you can write to in the settings, and close programs that use the old one.")
    return _("The log has the details.")
