# SPDX-License-Identifier: Apache-2.0
"""Carries one job through: read the volume, hand it over, run the task, follow it, fetch the result.

Every path ends in ``job.finish`` exactly once. Whatever the engine has lost meanwhile (the session, the volume) is
given to it again, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib import Job as jobs
from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EventStream import EventStream
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import DROPPED, SESSION_LOST, UNREACHABLE
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.Turns import Turns
from UniBiomedSlicerLib.VolumeTransfer import VolumeTransfer

CANCEL_MS = 10_000
LOSS_MS = 1500
LOST = (SESSION_LOST, "unknown_volume", "volume_incomplete")


class Host(Protocol):
    """What a runner needs of the service."""

    turns: Turns

    def whenReady(self, then: Callable[[Failure | None, EngineClient | None], None]) -> None: ...

    def knownHash(self, payload: Any) -> str: ...

    def rememberHash(self, payload: Any, sha256: str) -> None: ...

    def streamSlot(self, runner: JobRunner) -> bool: ...

    def runnerEnded(self, runner: JobRunner) -> None: ...


class JobRunner:
    """``readVolume`` is ``VolumeReader.readVolume``."""

    def __init__(self, host: Host, job: jobs.Job, readVolume: Callable[..., Any]) -> None:
        self.job = job
        self._host = host
        self._readVolume = readVolume
        self._payload: Any = None
        self._client: EngineClient | None = None
        self._session = ""
        self._serverId = ""
        self._current: Any = None  # the only thing under way; has cancel(), abort() or close()
        self._submitting = False
        self._cancelAsked = False
        self._retried = False
        self._cancelTimer: Any = None
        job.onCancel(self._cancel)

    def start(self) -> None:
        """Begin with the next turn of the event loop, so that its caller can connect to the job first."""
        qt.QTimer.singleShot(0, self._read)

    def engineEnded(self, failure: Failure) -> None:
        """There is no engine any more that could do it."""
        self._drop()
        self._finish(jobs.FAILED, failure)

    def sessionLost(self) -> None:
        """The engine has forgotten a session: if it is this job's, give it everything again."""
        if self._client is not None and self._client.session != self._session and not self.job.hasEnded:
            self._failed(Failure(SESSION_LOST, _("The engine has lost the session; start the task again.")))

    def openStream(self) -> None:
        """Follow the job that was submitted; called when there is a connection to spare."""
        if self._serverId and not self.job.hasEnded and self._current is None:
            self._current = EventStream(self._client, self._serverId, self._event, self._failed)
            self._current.open()

    # Reading

    def _read(self) -> None:
        if self.job.hasEnded:
            return
        if self._cancelAsked:
            self._finish(jobs.CANCELLED)
            return
        node = self.job.volumeNode()
        if node is None:
            self._finish(jobs.FAILED, Failure("volume", _("There is no volume to read; choose one.")))
            return
        try:
            self._payload = self._readVolume(node, self.job.modality, check=False)
        except ValueError as error:
            self._finish(jobs.FAILED, Failure("volume", str(error)))
            return
        for note in self._payload.notes:
            self.job.notice(note)
        if self._host.knownHash(self._payload):
            self._host.whenReady(self._ready)
            return
        self._current = SlicedWork(self._payload.checkSteps(), self._checked)

    def _checked(self, _value: Any, error: Exception | None) -> None:
        self._current = None
        if error is not None:
            self._finish(jobs.FAILED, Failure("volume", str(error)))
        elif not self._unchanged():
            self._finish(jobs.FAILED, Failure("volume_changed", self.job.volumeChanged()))
        else:
            self._host.whenReady(self._ready)

    def _unchanged(self) -> bool:
        return not self.job.volumeChanged()

    # Handing over

    def _ready(self, failure: Failure | None, client: EngineClient | None) -> None:
        if self.job.hasEnded or self._client is not None:
            return
        if failure is not None:
            self._finish(jobs.FAILED, failure)
            return
        self._client = client
        self._session = client.session
        self._host.turns.ask(self, self._beginTransfer)

    def _beginTransfer(self) -> None:
        client = self._client
        if client is None or self.job.hasEnded:
            return
        self.job.setState(jobs.UPLOADING)
        known = self._host.knownHash(self._payload)
        self._current = VolumeTransfer(client, self._payload, known, self._unchanged, self._progress, self._transferred)
        self._current.start()

    def _progress(self, stage: str, fraction: float) -> None:
        if not self.job.hasEnded:
            self.job.progressed.emit(stage, fraction, None)

    def _transferred(self, volumeId: str | None, failure: Failure | None) -> None:
        transfer, self._current = self._current, None
        self._host.turns.leave(self)
        if failure is not None:
            self._failed(failure)
            return
        self._host.rememberHash(self._payload, transfer.sha256)
        self._submitting = True
        document = {"task": self.job.task, "volume": volumeId, "parameters": self.job.parameters}
        self._current = self._client.request("POST", "/v1/jobs", self._submitted, document=document)

    # Running

    def _submitted(self, failure: Failure | None, answer: Any) -> None:
        self._submitting = False
        self._current = None
        if self.job.hasEnded:
            return
        if failure is not None:
            self._failed(failure)
            return
        self._serverId = self.job.id = str(answer["job"])
        if self._cancelAsked:
            self._askCancel()
        self.job.setState(jobs.QUEUED)
        if self._host.streamSlot(self):
            self.openStream()

    def _event(self, event: dict[str, Any]) -> None:
        job, kind = self.job, event["event"]
        if kind == "queued":
            job.setState(jobs.QUEUED)
        elif kind == "started":
            job.setState(jobs.RUNNING)
        elif kind == "progress":
            total = event.get("total") or 0
            fraction = min(1.0, event.get("done", 0) / total) if total else None
            job.progressed.emit(str(event.get("stage", "")), fraction, event.get("seconds_left"))
        elif kind == "text":
            job.textGrew.emit(str(event.get("text", "")))
        elif kind == "mask":
            job.maskArrived.emit({key: event.get(key) for key in ("target", "phrase", "slice", "mask")})
        elif kind == "notice":
            job.notice(str(event.get("message", "")))
        elif kind == "done":
            self._current = self._client.request("GET", f"/v1/jobs/{self._serverId}/result", self._fetched)
        elif kind == "failed":
            self._current = None
            self._failed(Failure(str(event.get("code", "failed")), str(event.get("message", ""))))
        elif kind == "cancelled":
            self._current = None
            if self._cancelAsked:
                self._finish(jobs.CANCELLED)
            else:  # not by us: either by somebody else, or because the session is lost
                path = f"/v1/sessions/{self._session}/heartbeat"
                self._current = self._client.request("POST", path, self._sessionChecked, document={})

    def _sessionChecked(self, failure: Failure | None, _answer: Any) -> None:
        self._current = None
        if failure is None:
            self._finish(jobs.CANCELLED)
        else:
            self._failed(failure)

    def _fetched(self, failure: Failure | None, result: Any) -> None:
        self._current = None
        if failure is not None:
            self._failed(failure)
        elif not isinstance(result, dict):
            self._failed(Failure("bad_result", _("The engine's result cannot be understood; repair the environment.")))
        else:
            self._client.request("DELETE", f"/v1/jobs/{self._serverId}", lambda failure, answer: None)
            self._finish(jobs.DONE, result=result)

    # Ends

    def _failed(self, failure: Failure) -> None:
        self._drop()
        self._submitting = False
        if failure.code in LOST and not self._retried and not self._cancelAsked and not self.job.hasEnded:
            self._retried = True
            self._serverId = ""
            self.job.setState(jobs.PREPARING)
            client, self._client = self._client, None
            if failure.code == SESSION_LOST:
                client.forgetSession(self._session)  # a new one is opened, and `whenReady` waits for it
            self._host.whenReady(self._ready)
            return
        if failure.code in (DROPPED, UNREACHABLE):
            # If the engine has ended, that is told within a moment and says more (`engineEnded`).
            qt.QTimer.singleShot(LOSS_MS, lambda: self._finish(jobs.FAILED, failure))
            return
        self._finish(jobs.FAILED, failure)

    def _cancel(self) -> None:
        if self._cancelAsked:
            return
        self._cancelAsked = True
        if self._submitting:
            return  # its number is not known yet: cancelled as soon as it is
        if self._serverId and self._current is not None and not isinstance(self._current, EventStream):
            self._serverId = ""  # it has ended there; only the result was still to come
        if self._serverId:
            self._askCancel()
            return
        qt.QTimer.singleShot(0, self._cancelHere)

    def _askCancel(self) -> None:
        self._cancelTimer = qt.QTimer()
        self._cancelTimer.connect("timeout()", self._cancelHere)
        self._cancelTimer.start(CANCEL_MS)
        path = f"/v1/jobs/{self._serverId}/cancel"
        self._client.request("POST", path, self._cancelAnswered, document={})

    def _cancelAnswered(self, failure: Failure | None, answer: Any) -> None:
        waits = isinstance(self._current, EventStream)  # its last event says that the engine is free again
        if failure is not None or not waits:
            self._cancelHere()

    def _cancelHere(self) -> None:
        self._drop()
        self._finish(jobs.CANCELLED)

    def _drop(self) -> None:
        current, self._current = self._current, None
        self._host.turns.leave(self)
        if current is not None:
            for name in ("cancel", "abort", "close"):
                if hasattr(current, name):
                    getattr(current, name)()
                    break

    def _finish(self, state: str, failure: Failure | None = None, result: dict[str, Any] | None = None) -> None:
        if self._cancelTimer is not None:
            self._cancelTimer.stop()
            self._cancelTimer.disconnect("timeout()", self._cancelHere)
            self._cancelTimer = None
        self._payload = None
        if self.job.hasEnded:
            return
        self._host.runnerEnded(self)
        if self._cancelAsked:
            state, failure, result = jobs.CANCELLED, None, None
        if state == jobs.CANCELLED:
            self.job.finish(state, _("Cancelled."), "cancelled")
        elif failure is not None:
            self.job.finish(state, failure.message, failure.code)
        else:
            self.job.finish(state, result=result)
