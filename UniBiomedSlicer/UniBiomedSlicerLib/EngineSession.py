# SPDX-License-Identifier: Apache-2.0
"""A session at the engine, kept alive by a heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import SESSION_LOST
from UniBiomedSlicerLib.Signal import Signal

MAX_INTERVAL_SECONDS = 20.0
MISSES = 3


class EngineSession:
    """Opens, renews and closes ``client.session``. ``unreachable(failure)``: three heartbeats had no answer."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._missed = 0
        self._beating = False
        self.unreachable = Signal("EngineSession.unreachable")
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._beat)

    def open(self, done: Callable[[Failure | None], None]) -> None:
        """Ask for a new session."""

        def answered(failure: Failure | None, answer: Any) -> None:
            if failure is None:
                self._client.session = str(answer["session"])
                self._missed = 0
                lease = float(answer.get("lease_seconds") or 60.0)
                self._timer.start(round(1000 * min(MAX_INTERVAL_SECONDS, lease / 3)))
            done(failure)

        self._client.request("POST", "/v1/sessions", answered, document={})

    def close(self) -> None:
        """Give the session back, so that what it holds is freed at once; the answer is not waited for."""
        self._timer.stop()
        session, self._client.session = self._client.session, ""
        if session:
            self._client.request("DELETE", f"/v1/sessions/{session}", lambda failure, answer: None, seconds=5.0)

    def cleanup(self) -> None:
        """No more heartbeats."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._beat)
        self.unreachable.disconnectAll()

    def _beat(self) -> None:
        session = self._client.session
        if not session:
            self._timer.stop()
        elif not self._beating:
            self._beating = True
            self._client.request("POST", f"/v1/sessions/{session}/heartbeat", self._beaten, document={}, seconds=15.0)

    def _beaten(self, failure: Failure | None, answer: Any) -> None:
        self._beating = False
        if failure is None or failure.code == SESSION_LOST:
            self._missed = 0
            return
        self._missed += 1
        if self._missed >= MISSES:
            self._missed = 0
            self._timer.stop()
            self.unreachable.emit(failure)
