# SPDX-License-Identifier: Apache-2.0
"""How soon the engine may be started again after it ended by itself; never a loop."""

from __future__ import annotations

import time
from collections.abc import Callable

DELAYS = (0.0, 2.0, 10.0)
STABLE_SECONDS = 300.0


class RestartPolicy:
    """Counts ends in a row. An engine that ran for five minutes counts as sound again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._startedAt: float | None = None

    @property
    def failures(self) -> int:
        """Ends in a row so far."""
        return self._failures

    def started(self) -> None:
        """It is up."""
        self._startedAt = self._clock()

    def failed(self) -> None:
        """It ended by itself."""
        if self._startedAt is not None and self._clock() - self._startedAt >= STABLE_SECONDS:
            self._failures = 0
        self._startedAt = None
        self._failures += 1

    def reset(self) -> None:
        """The user asked for it: begin to count anew."""
        self._failures = 0

    def delay(self) -> float | None:
        """Seconds to wait before the next start; None: no start without the user's asking."""
        if self._failures == 0:
            return 0.0
        return DELAYS[self._failures - 1] if self._failures <= len(DELAYS) else None
