# SPDX-License-Identifier: Apache-2.0
"""One reading on its way: from the engine's job to a report in the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from UniBiomedSlicerLib import Job as jobs
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SlicedWork import SlicedWork

RUNNING = "running"
WRITING = "writing"
OFFERED = "offered"
STORED = "stored"
FAILED = "failed"
CANCELLED = "cancelled"
DISCARDED = "discarded"
ENDED = (STORED, FAILED, CANCELLED, DISCARDED)
MOST_SAID = 100
"""Answers shown while a volume is read, one for each slice; the newest count."""


class ReportTask:
    """``state`` is one of the words above; ``reportNode`` is the report once it is stored.

    Where the volume was changed or deleted meanwhile the result is not put into the scene: the state is "offered",
    ``problem`` says why, and ``keep`` or ``discard`` decides. ``message`` is one sentence on how it ended, or the last
    notice. Signals: ``textGrew(text)``, ``progressed(stage, fraction|None, secondsLeft|None)``, ``noticed(sentence)``,
    ``offered(task)`` and, exactly once, ``finished(task)``.
    """

    def __init__(self, kind: str, title: str, store: Callable[[ReportTask], Any]) -> None:
        self.kind = kind
        self.title = title
        self.state = RUNNING
        self.problem = ""
        self.message = ""
        self.code = ""
        self.text = ""
        self.job: Any = None
        self.reportNode: Any = None
        self.textGrew = Signal("ReportTask.textGrew")
        self.progressed = Signal("ReportTask.progressed")
        self.noticed = Signal("ReportTask.noticed")
        self.offered = Signal("ReportTask.offered")
        self.finished = Signal("ReportTask.finished")
        self._said: list[str] = []
        self._store = store
        self._writing: SlicedWork | None = None

    def follow(self, job: Any) -> None:
        """Take up the job whose result this is about."""
        self.job = job
        job.textGrew.connect(self._onText)
        job.progressed.connect(self.progressed.emit)
        job.noticed.connect(self._onNotice)
        job.finished.connect(self._onJobFinished)

    @property
    def hasEnded(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    def cancel(self) -> None:
        """Stop it; ``finished`` follows and nothing is added to the scene."""
        if self.state == RUNNING and self.job is not None:
            self.job.cancel()
        elif self.state == WRITING and self._writing is not None:
            self._writing.cancel()
            self._end(CANCELLED)
        elif self.state == OFFERED:
            self.discard()

    def abandon(self) -> None:
        """Stop it and tell nobody; for when those who listen go."""
        self._dropListeners()
        self.cancel()
        self.state = CANCELLED

    def keep(self) -> None:
        """Put an offered result into the scene all the same."""
        if self.state == OFFERED:
            self._write()

    def discard(self) -> None:
        """Drop an offered result."""
        if self.state == OFFERED:
            self._end(DISCARDED)

    def fail(self, message: str, code: str = "") -> None:
        """End it with a sentence."""
        self.code = code
        self._end(FAILED, message)

    def _onText(self, text: str) -> None:
        """Words of one answer grow; the answer on another slice is put below."""
        if self._said and text.startswith(self._said[-1]):
            self._said[-1] = text
        elif text and text not in self._said[-1:]:
            self._said.append(text)
        self.text = "\n".join(self._said[-MOST_SAID:])
        self.textGrew.emit(self.text)

    def _onNotice(self, sentence: str) -> None:
        self.message = sentence
        self.noticed.emit(sentence)

    def _onJobFinished(self, job: Any) -> None:
        if self.hasEnded:
            return
        if job.state == jobs.CANCELLED:
            self._end(CANCELLED, job.message)
        elif job.state != jobs.DONE:
            self.code = job.code
            self._end(FAILED, job.message)
        else:
            self.problem = job.volumeChanged()
            if self.problem:
                self.state = OFFERED
                self.offered.emit(self)
            else:
                self._write()

    def _write(self) -> None:
        self.state = WRITING
        self._writing = SlicedWork(self._store(self), self._onWritten)

    def _onWritten(self, node: Any, error: Exception | None) -> None:
        self._writing = None
        if error is not None:
            self._end(FAILED, str(error))
            return
        self.reportNode = node
        self._end(STORED, self.message)

    def _end(self, state: str, message: str = "") -> None:
        if self.hasEnded:
            return
        self.state = state
        self.message = message
        self.finished.emit(self)
        self._dropListeners()

    def _dropListeners(self) -> None:
        for signal in (self.textGrew, self.progressed, self.noticed, self.offered, self.finished):
            signal.disconnectAll()
