# SPDX-License-Identifier: Apache-2.0
"""How a task tells where it is, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from unibiomed.errors import Cancelled
from unibiomed.tasks.answers import parse_answer
from unibiomed.volumes.masks import BoxMask


@dataclass(frozen=True)
class PartialMask:
    """A slice's mask of one target, as soon as it is known (before its neighbours have been seen)."""

    target: str
    slice: int
    mask: BoxMask


@dataclass(frozen=True)
class ProgressEvent:
    """``done`` of ``total`` slices in the step named ``stage``; ``text`` is the newest sentence, if any."""

    stage: str
    done: int
    total: int
    text: str = ""
    partial: PartialMask | None = None


_CHEAP_S = 0.002
_COSTLY = 20

Progress = Callable[[ProgressEvent], None]
CancelCheck = Callable[[], bool]


@dataclass(frozen=True)
class Run:
    """The caller's two callables, either of which may be absent."""

    progress: Progress | None = None
    cancelled: CancelCheck | None = None

    def check(self) -> None:
        """Raise Cancelled if the caller wants to stop; called before every picture."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("Stopped on request; nothing was written.")

    def tell(self, stage: str, done: int, total: int, text: str = "", partial: PartialMask | None = None) -> None:
        """Pass an event on, then check for a stop."""
        if self.progress is not None:
            self.progress(ProgressEvent(stage, done, total, text, partial))
        self.check()

    def writing(self, stage: str) -> Callable[[str], None]:
        """What a model is given to tell its answer while it writes it: without tags, and a stop is heeded.

        An answer that takes long to take apart (an endless one) is told less often, so that telling costs little.
        """
        next_at = 0.0

        def take(answer: str) -> None:
            nonlocal next_at
            begun = time.monotonic()
            if begun < next_at:
                self.check()
                return
            self.tell(stage, 0, 1, text=parse_answer(answer).text)
            ended = time.monotonic()
            next_at = ended + (_COSTLY * (ended - begun) if ended - begun > _CHEAP_S else 0.0)

        return take
