# SPDX-License-Identifier: Apache-2.0
"""Long work in Slicer's one thread, a few milliseconds at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import qt

BUDGET_SECONDS = 0.008


class SlicedWork:
    """Runs ``steps``, a generator whose steps are short, between the other events of the event loop.

    ``progress(value)`` gets what it yielded last, once a turn; ``done(value, None)`` its return value, or
    ``done(None, error)`` the exception of a type in ``expected`` that it raised. After ``cancel`` nothing is called.
    """

    def __init__(
        self,
        steps: Generator[Any, None, Any],
        done: Callable[[Any, Exception | None], None],
        progress: Callable[[Any], None] | None = None,
        expected: tuple[type[Exception], ...] = (ValueError,),
    ) -> None:
        self._steps: Generator[Any, None, Any] | None = steps
        self._done = done
        self._progress = progress
        self._expected = expected
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._onTimeout)
        self._timer.start(0)

    def cancel(self) -> None:
        """Drop the work."""
        self._stop()

    def _onTimeout(self) -> None:
        steps = self._steps
        if steps is None:
            return
        until = time.perf_counter() + BUDGET_SECONDS
        value = None
        try:
            while time.perf_counter() < until:
                value = next(steps)
        except StopIteration as finished:
            self._stop()
            self._done(finished.value, None)
            return
        except self._expected as error:
            self._stop()
            self._done(None, error)
            return
        if self._progress is not None:
            self._progress(value)

    def _stop(self) -> None:
        steps, self._steps = self._steps, None
        if steps is not None:
            self._timer.stop()
            self._timer.disconnect("timeout()", self._onTimeout)
            steps.close()
