# SPDX-License-Identifier: Apache-2.0
"""A task's progress as the events of its job: not too many, none that matters left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from unibiomed.engine.estimate import Estimate
from unibiomed.engine.events import EventLog

if TYPE_CHECKING:
    from unibiomed.tasks.progress import PartialMask, ProgressEvent

_PROGRESS_EVERY_S = 0.1
_TEXT_EVERY_S = 0.05


class Reporter:
    """Takes a task's :class:`ProgressEvent` and appends to ``log``. Called by the worker thread alone."""

    def __init__(self, log: EventLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._estimate = Estimate()
        self._told: tuple[str, int, int] | None = None
        self._told_at = self._said_at = float("-inf")
        self._said = ""
        self._masks_left_out = False
        self.stage = ""
        self.done = self.total = 0
        self.seconds_left: float | None = None

    def __call__(self, event: ProgressEvent) -> None:
        """Append what is new in ``event``."""
        now = self._clock()
        if event.partial is not None:
            self._mask(event.partial)
        if event.text and event.text != self._said and now - self._said_at >= _TEXT_EVERY_S:
            self._said, self._said_at = event.text, now
            self._log.add("text", text=event.text, final=False)
        self.tell(event.stage, event.done, event.total)

    def tell(self, stage: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` are done in ``stage``."""
        now = self._clock()
        self.stage, self.done, self.total = stage, done, total
        self.seconds_left = self._estimate.seconds_left(stage, done, total, now)
        state = (stage, done, total)
        if state == self._told:
            return
        new_stage = self._told is None or self._told[0] != self.stage
        if new_stage or self.done >= self.total or now - self._told_at >= _PROGRESS_EVERY_S:
            self._told, self._told_at = state, now
            self._log.add(
                "progress", stage=self.stage, done=self.done, total=self.total, seconds_left=self.seconds_left
            )

    def _mask(self, partial: PartialMask) -> None:
        # The tasks cost a second to import, and are there once a mask is.
        from unibiomed.tasks.phrases import parse_phrase

        kept = self._log.add(
            "mask",
            droppable=True,
            target=parse_phrase(partial.target).target,
            phrase=partial.target,
            slice=partial.slice,
            mask=partial.mask.to_json(),
        )
        if not kept and not self._masks_left_out:
            self._masks_left_out = True
            self._log.add(
                "notice",
                code="masks_not_streamed",
                message="There are too many masks to show them as they come; the result will hold all of them.",
            )
