# SPDX-License-Identifier: Apache-2.0
"""A job's events as they come, one by one and each once, over as many connections as it takes."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import qt

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import SESSION_LOST, dropped, failureOf, notUnderstood

LAST = ("done", "failed", "cancelled")
RETRY_MS = (100, 300, 1000, 2000, 4000, 8000)
SILENCE_MS = 35_000  # the engine sends a line every 10 s
SLICE_SECONDS = 0.008
MAX_LINE_BYTES = 64 << 20


class EventStream:
    """Calls ``event(dict)`` for every event in order, until one of ``LAST``; or ``broken(failure)`` once.

    A dropped connection is taken up again after the last event seen. Many events at once are handed out over several
    turns of the event loop, a few milliseconds each.
    """

    def __init__(
        self,
        client: EngineClient,
        jobId: str,
        event: Callable[[dict[str, Any]], None],
        broken: Callable[[Failure], None],
    ) -> None:
        self._client = client
        self._path = f"/v1/jobs/{jobId}/events"
        self._event = event
        self._broken = broken
        self._session = ""
        self._seen = 0
        self._attempt = 0
        self._reply: Any = None
        self._rest = b""
        self._lines: deque[bytes] = deque()
        # How the connection ended, until its lines are handed out: HTTP status, and the failure where there was one.
        self._ended: tuple[int, Failure | None] | None = None
        self._handing = False
        self._over = False
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._onTimeout)

    def open(self) -> None:
        """Begin, or go on after a dropped connection."""
        if self._over or self._reply is not None:
            return
        self._rest = b""
        self._ended = None
        self._session = self._client.session
        self._reply = self._client.openStream(f"{self._path}?after={self._seen}")
        self._reply.connect("readyRead()", self._onReadyRead)
        self._reply.connect("finished()", self._onFinished)
        self._timer.start(SILENCE_MS)

    def close(self) -> None:
        """Stop; nothing is called any more."""
        if self._over:
            return
        self._over = True
        self._timer.stop()
        self._timer.disconnect("timeout()", self._onTimeout)
        self._lines.clear()
        if self._reply is not None:
            self._reply.abort()  # finished() comes from within, and lets go of it

    def _onReadyRead(self) -> None:
        if self._reply is None or self._over:
            return
        if int(self._reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute) or 0) != 200:
            return  # an error: its body is read when it has finished
        self._timer.start(SILENCE_MS)
        *lines, self._rest = (self._rest + self._reply.readAll().data()).split(b"\n")
        self._lines.extend(line for line in lines if line.strip())
        if len(self._rest) > MAX_LINE_BYTES:
            self._end(notUnderstood(self._client.host))
            return
        self._beginHandingOut()

    def _beginHandingOut(self) -> None:
        if not self._handing:  # else the next turn of the event loop goes on with it
            self._handOut()

    def _handOut(self) -> None:
        self._handing = False
        until = time.perf_counter() + SLICE_SECONDS
        while self._lines and not self._over:
            self._take(self._lines.popleft())
            if time.perf_counter() > until:
                break
        if self._over:
            return
        if self._lines:
            self._handing = True
            qt.QTimer.singleShot(0, self._handOut)
        elif self._ended is not None:
            status, failure = self._ended
            self._ended = None
            self._connectionEnded(status, failure)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, seq = event["event"], int(event.get("seq", 0))
        except (ValueError, TypeError, KeyError):
            self._end(notUnderstood(self._client.host))
            return
        if kind == "alive" or seq <= self._seen:
            return
        self._seen = seq
        self._attempt = 0
        last = kind in LAST
        if last:
            self.close()
        self._event(event)

    def _onFinished(self) -> None:
        reply, self._reply = self._reply, None
        if reply is None:
            return
        reply.disconnect("readyRead()", self._onReadyRead)
        reply.disconnect("finished()", self._onFinished)
        status = int(reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute) or 0)
        body = reply.readAll().data() if reply.isOpen() else b""  # closed where it was aborted
        reply.deleteLater()
        if self._over:
            return
        self._timer.stop()
        if status == 200:
            self._lines.extend(line for line in (self._rest + body).split(b"\n")[:-1] if line.strip())
            self._rest = b""
            self._ended = (status, None)
        else:
            self._ended = (status, failureOf(status, body, reply.error(), reply.errorString(), self._client.host))
        self._beginHandingOut()

    def _connectionEnded(self, status: int, failure: Failure | None) -> None:
        if status >= 300:
            self._end(failure or notUnderstood(self._client.host))
            if failure is not None and failure.code == SESSION_LOST:
                self._client.forgetSession(self._session)
        elif self._attempt >= len(RETRY_MS):
            self._end(failure or dropped(self._client.host))
        else:
            self._timer.start(RETRY_MS[self._attempt])
            self._attempt += 1

    def _onTimeout(self) -> None:
        self._timer.stop()
        if self._over:
            return
        if self._reply is not None:
            self._reply.abort()  # silent for too long
        else:
            self.open()

    def _end(self, failure: Failure) -> None:
        if not self._over:
            self.close()
            self._broken(failure)
