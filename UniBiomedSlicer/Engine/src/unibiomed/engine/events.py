# SPDX-License-Identifier: Apache-2.0
"""What a job tells, numbered and kept, so that a client that lost its connection can go on where it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any


class EventLog:
    """The lines of one job as NDJSON bytes. Safe to use from several threads.

    The first line has ``seq`` 1 and there are no gaps. Lines that may be left out are dropped beyond ``byte_limit``.
    """

    def __init__(self, byte_limit: int) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0
        self._byte_limit = byte_limit
        self._closed = False
        self._watchers: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Whether the last event was added."""
        return self._closed

    def add(self, event: str, *, droppable: bool = False, last: bool = False, **fields: Any) -> bool:
        """Append an event; returns whether it was kept. After the ``last`` one none is."""
        with self._lock:
            if self._closed:
                return False
            record = {"seq": len(self._lines) + 1, "event": event, **fields}
            line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
            if droppable and self._bytes + len(line) > self._byte_limit:
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self._closed = last
            watchers = list(self._watchers)
        for wake in watchers:
            wake()
        return True

    def after(self, seq: int) -> tuple[list[bytes], bool]:
        """The lines whose number is above ``seq``, and whether no more will follow."""
        with self._lock:
            return self._lines[max(0, seq) :], self._closed

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` (from any thread, must be quick) after each new line, until ``unwatch``."""
        with self._lock:
            self._watchers.add(wake)

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Stop calling ``wake``."""
        with self._lock:
            self._watchers.discard(wake)
