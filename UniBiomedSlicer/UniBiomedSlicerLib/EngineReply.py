# SPDX-License-Identifier: Apache-2.0
"""One request under way, whose end is told exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import qt

from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import ABORTED, failureOf, notUnderstood, timedOut

Done = Callable[["Failure | None", Any], None]


class EngineReply:
    """Owns a QNetworkReply until it has finished; keep it referenced till then (the client does).

    ``done(failure, value)`` is called once: with None and the JSON value (or bytes), or with the failure and None;
    after ``abort`` never. Without any byte moving for ``seconds`` the request is given up.
    """

    def __init__(
        self,
        reply: Any,
        done: Done,
        *,
        host: str,
        seconds: float,
        asBytes: bool = False,
        sent: Callable[[int], None] | None = None,
        released: Callable[[EngineReply], None] | None = None,
    ) -> None:
        self._reply = reply
        self._done: Done | None = done
        self._host = host
        self._seconds = seconds
        self._asBytes = asBytes
        self._sent = sent
        self._released = released
        self._late = False
        self.mediaType = ""
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._onTimeout)
        reply.connect("finished()", self._onFinished)
        reply.connect("uploadProgress(qint64,qint64)", self._onSent)
        reply.connect("downloadProgress(qint64,qint64)", self._onReceived)
        self._timer.start(round(seconds * 1000))

    def abort(self) -> None:
        """Give it up; ``done`` will not be called."""
        if self._done is not None:
            self._done = None
            self._reply.abort()  # finished() comes from within, and lets go of it

    def _onSent(self, sent: int, total: int) -> None:
        self._alive()
        if self._sent is not None and self._done is not None and total > 0:
            self._sent(int(sent))

    def _onReceived(self, received: int, total: int) -> None:
        self._alive()

    def _alive(self) -> None:
        if self._done is not None:
            self._timer.start(round(self._seconds * 1000))

    def _onTimeout(self) -> None:
        self._timer.stop()
        done = self._done  # kept while abort() runs: it may be all that keeps the client, whose manager owns the reply
        if done is not None:
            self._late = True
            self._reply.abort()

    def _onFinished(self) -> None:
        reply, done = self._reply, self._done
        if reply is None:
            return
        self._reply = self._done = None
        self._timer.stop()
        self._timer.disconnect("timeout()", self._onTimeout)
        reply.disconnect("finished()", self._onFinished)
        reply.disconnect("uploadProgress(qint64,qint64)", self._onSent)
        reply.disconnect("downloadProgress(qint64,qint64)", self._onReceived)
        status = int(reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute) or 0)
        body = reply.readAll().data() if reply.isOpen() else b""  # closed where it was aborted
        error, errorText = reply.error(), reply.errorString()
        self.mediaType = str(reply.header(qt.QNetworkRequest.ContentTypeHeader) or "")
        reply.deleteLater()
        if self._released is not None:
            self._released(self)
        if done is None:
            return
        failure = failureOf(status, body, error, errorText, self._host)
        if failure is not None and self._late and failure.code == ABORTED:
            failure = timedOut(self._host, self._seconds)
        if failure is not None:
            done(failure, None)
            return
        if self._asBytes:
            done(None, body)
            return
        try:
            value = json.loads(body) if body else None
        except ValueError:
            done(notUnderstood(self._host), None)
            return
        done(None, value)
