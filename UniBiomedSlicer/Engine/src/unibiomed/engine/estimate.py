# SPDX-License-Identifier: Apache-2.0
"""How long a job will still take, from how fast its last slices went."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 12
_SOONEST_S = 0.3


class Estimate:
    """Seconds left of the current stage; a new stage starts anew."""

    def __init__(self) -> None:
        self._stage = ""
        self._points: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def seconds_left(self, stage: str, done: int, total: int, now: float) -> float | None:
        """Take note that ``done`` of ``total`` are done at time ``now`` (s); None while too little is known."""
        if stage != self._stage:
            self._stage = stage
            self._points.clear()
        if not self._points or done > self._points[-1][1]:
            self._points.append((now, done))
        if done >= total:
            return 0.0
        begun, first = self._points[0]
        latest, last = self._points[-1]
        if last == first or latest - begun < _SOONEST_S:
            return None
        # The time since the newest slice counts too, so that the figure falls while a slice is at work.
        left = (latest - begun) / (last - first) * (total - last) - (now - latest)
        return round(max(0.0, left), 1)
