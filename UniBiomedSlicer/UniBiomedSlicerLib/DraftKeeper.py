# SPDX-License-Identifier: Apache-2.0
"""Has work saved a short while after its last change, without getting into the way of who does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

import qt

LOOK_MS = 400
QUIET_SECONDS = 1.5
"""Nothing is saved while changes come faster than this."""
SHARE = 0.05
"""Part of the time that saving may take: after a save of 0.3 s the next one waits 6 s."""


class DraftKeeper:
    """Looks whether something has changed, and saves it once there is a pause and no mouse button is down.

    ``look()`` tells the state apart from others and is cheap; ``save()`` keeps it. Looking is what a pause costs: some
    microseconds a segment, and no event of the scene is needed for it.
    """

    def __init__(self, look: Callable[[], Hashable], save: Callable[[], None]) -> None:
        self._look, self._save = look, save
        self._saved: Hashable = None
        self._seen: Hashable = None
        self._changedAt = 0.0
        self._restsUntil = 0.0
        self._timer = qt.QTimer()
        self._timer.setInterval(LOOK_MS)
        self._timer.connect("timeout()", self._onTimeout)

    def start(self) -> None:
        """Watch from here on: the state now needs no saving."""
        self.settle()
        self._timer.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.stop()

    def cleanup(self) -> None:
        """Let go of everything."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._onTimeout)

    def settle(self) -> None:
        """The state now is kept in another way."""
        self._saved = self._seen = self._look()

    def doubt(self, wait: float = 0.0) -> None:
        """The state was not kept after all; save it at the next pause, not before ``wait`` seconds."""
        self._saved = None
        self._restsUntil = time.monotonic() + wait

    def isBehind(self) -> bool:
        """Whether ``flush`` would save something."""
        return bool(self._timer.active) and self._look() != self._saved

    def flush(self) -> None:
        """Save now what is not saved."""
        if not self.isBehind():
            return
        started = time.monotonic()
        self.settle()
        self._save()
        ended = time.monotonic()
        self._restsUntil = max(self._restsUntil, ended + (ended - started) / SHARE)

    def _onTimeout(self) -> None:
        now, state = time.monotonic(), self._look()
        if state != self._seen:
            self._seen, self._changedAt = state, now
        isQuiet = now - self._changedAt >= QUIET_SECONDS and now >= self._restsUntil
        # In the middle of a stroke, or of dragging anything, a pause is none.
        if state != self._saved and isQuiet and qt.QApplication.mouseButtons() == qt.Qt.NoButton:
            self.flush()
