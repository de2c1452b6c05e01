# SPDX-License-Identifier: Apache-2.0
"""One question to the engine that is answered once, whatever becomes of the engine meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EngineReply import EngineReply
from UniBiomedSlicerLib.Failure import Failure


class EngineErrand:
    """``send(client, done)`` makes the request; ``callback(value, mediaType, failure)`` gets what comes of it."""

    def __init__(
        self,
        send: Callable[[EngineClient, Callable[[Failure | None, Any], None]], EngineReply],
        callback: Callable[[Any, str, Failure | None], None],
        ended: Callable[[EngineErrand], None],
    ) -> None:
        self._send = send
        self._callback: Callable[[Any, str, Failure | None], None] | None = callback
        self._ended = ended
        self._reply: EngineReply | None = None

    def ready(self, failure: Failure | None, client: EngineClient | None) -> None:
        """There is an engine now, or there will be none."""
        if self._callback is None:
            return
        if failure is not None:
            self._finish(None, failure)
        else:
            self._reply = self._send(client, self._answered)

    def engineEnded(self, failure: Failure) -> None:
        """There is no engine any more that could answer."""
        if self._reply is not None:
            self._reply.abort()
        self._finish(None, failure)

    def _answered(self, failure: Failure | None, value: Any) -> None:
        self._finish(value, failure)

    def _finish(self, value: Any, failure: Failure | None) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._ended(self)
            callback(value, self._reply.mediaType if self._reply is not None else "", failure)
