# SPDX-License-Identifier: Apache-2.0
"""Works through a catalogue: claim, annotate, write down, next. One coordinator a catalogue, however many workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import AUTOMATIC, Catalogue
from unibiomed.cohort.failures import CASE_ERRORS, reason_of
from unibiomed.cohort.records import Outcome
from unibiomed.errors import Cancelled, InputError
from unibiomed.volumes.atomic import sweep

LOCK = ".coordinator.lock"


@dataclass(frozen=True)
class CaseEvent:
    """A case came to its end: ``reason`` is empty unless it failed. ``done`` of ``total`` cases of this run."""

    case: Case
    outcome: Outcome | None
    reason: str
    done: int
    total: int
    seconds_left: float | None


Told = Callable[[CaseEvent], None]


class Runner(Protocol):
    """Something that annotates claimed cases, one or many at a time."""

    def __call__(self, catalogue: Catalogue, told: Told, cancelled: Callable[[], bool]) -> None:
        """Work until no case waits or ``cancelled()``; every claimed case is finished, failed or given back."""


@contextmanager
def coordinating(catalogue: Catalogue) -> Iterator[None]:
    """The right to hand out cases of this catalogue. What a killed coordinator left running waits again.

    The system gives the lock back when its holder dies, at whatever moment. InputError when another process has it.
    """
    lock = FileLock(catalogue.folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"Another process is annotating {catalogue.folder}; wait for it, or stop it.") from error
    try:
        catalogue.wait_again(["running"], reviewed=True)
        sweep(catalogue.folder / AUTOMATIC)
        yield
    finally:
        lock.release()


#: Annotates one case (``annotate.Annotator``); raises one of ``CASE_ERRORS``, or Cancelled.
Annotate = Callable[[Case, Callable[[], bool]], Outcome]


def annotate_here(annotator: Annotate) -> Runner:
    """A runner in this process: one case after the other."""

    def run(catalogue: Catalogue, told: Told, cancelled: Callable[[], bool]) -> None:
        clock = Clock(catalogue.counts()["waiting"])
        while not cancelled() and (case := catalogue.claim()) is not None:
            try:
                outcome = annotator(case, cancelled)
            except Cancelled:
                catalogue.give_back(case.id)
                return
            except CASE_ERRORS as error:
                reason = reason_of(error)
                catalogue.fail(case.id, reason)
                told(clock.tick(case, None, reason))
            else:
                catalogue.finish(case.id, outcome)
                told(clock.tick(case, outcome, ""))

    return run


class Clock:
    """Counts cases and estimates the time left from the pace so far."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._started = total, 0, time.monotonic()

    def tick(self, case: Case, outcome: Outcome | None, reason: str) -> CaseEvent:
        """One more case came to its end."""
        self._done += 1
        pace = (time.monotonic() - self._started) / self._done
        left = pace * max(self._total - self._done, 0)
        return CaseEvent(case, outcome, reason, self._done, max(self._total, self._done), round(left, 1))


def work(catalogue: Catalogue, runner: Runner, told: Told, cancelled: Callable[[], bool]) -> None:
    """Annotate every waiting case of ``catalogue`` with ``runner``; alone on it."""
    with coordinating(catalogue):
        runner(catalogue, told, cancelled)


def default_folder(cohort: Path) -> Path:
    """Where results go when nobody says: BIDS' place for what was derived from a data set."""
    return cohort / "derivatives" / "unibiomed"
