# SPDX-License-Identifier: Apache-2.0
"""Who is connected: a session lives as long as its client makes requests, and what it leaves is freed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from unibiomed.engine.limits import Limits
from unibiomed.engine.refusal import Refused


class Sessions:
    """Safe to use from several threads."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def open(self) -> str:
        """A new session's id, not to be guessed; Refused where too many are open."""
        with self._lock:
            if len(self._seen) >= self._limits.sessions:
                raise Refused("too_many_sessions", f"{len(self._seen)} sessions are open already; close one, or wait.")
            session = secrets.token_hex(16)
            self._seen[session] = self._clock()
        return session

    def touch(self, session: str) -> None:
        """Renew the lease; Refused where the session was lost, closed, or never was."""
        with self._lock:
            if session not in self._seen:
                raise Refused("session_lost", "This session has ended; open a new one and send what is needed again.")
            self._seen[session] = self._clock()

    def close(self, session: str) -> None:
        """Forget a session."""
        with self._lock:
            self._seen.pop(session, None)

    def take_lost(self) -> list[str]:
        """Forget, and return, the sessions whose lease has run out."""
        now = self._clock()
        with self._lock:
            lost = [name for name, seen in self._seen.items() if now - seen > self._limits.lease_seconds]
            for name in lost:
                del self._seen[name]
        return lost

    def __len__(self) -> int:
        return len(self._seen)
