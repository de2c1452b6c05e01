# SPDX-License-Identifier: Apache-2.0
"""Plain Python callbacks, used where Qt signals on Python objects are not safe in Slicer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class Signal:
    """Calls its listeners in the order in which they were connected.

    An exception of one listener is logged and the others are still called, so that a broken panel never stops a job.
    A listener may connect and disconnect (itself, others) while the signal is being emitted.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._listeners: list[Callable[..., Any]] = []

    def connect(self, listener: Callable[..., Any]) -> Callable[..., Any]:
        """Call ``listener`` at every emission from now on; connecting it twice has no effect. Returns it."""
        if listener not in self._listeners:
            self._listeners.append(listener)
        return listener

    def disconnect(self, listener: Callable[..., Any]) -> None:
        """Stop calling ``listener``; it need not be connected."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def disconnectAll(self) -> None:
        """Stop calling anybody."""
        self._listeners.clear()

    def emit(self, *arguments: Any) -> None:
        """Call every listener with ``arguments``."""
        for listener in list(self._listeners):
            if listener not in self._listeners:  # disconnected by a listener before it
                continue
            try:
                listener(*arguments)
            except Exception:
                logging.exception("UniBiomed: a listener of %r failed", self._name or "a signal")
