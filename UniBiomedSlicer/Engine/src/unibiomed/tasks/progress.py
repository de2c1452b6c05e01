# SPDX-License-Identifier: Apache-2.0
"""How a task tells where it is, and how it is stopped."""

from __future__ import annotations

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
        """What a model is given to tell its answer while it writes it: without tags, and a stop is heeded."""
        return lambda answer: self.tell(stage, 0, 1, text=parse_answer(answer).text)
