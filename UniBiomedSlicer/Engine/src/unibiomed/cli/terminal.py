# SPDX-License-Identifier: Apache-2.0
"""What a command prints: results on stdout, everything else on stderr, and Ctrl-C as a polite stop."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_PIPE_WIDTH = 140
_SECONDS_BETWEEN_LINES = 0.2


class ProgressStyle(StrEnum):
    """How a command shows its progress."""

    BAR = "bar"
    LINES = "lines"


class Event(Protocol):
    """What a task tells of its progress (``unibiomed.tasks.progress.ProgressEvent``)."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Work:
    """The two callables that a long task takes: where it tells its progress, and whether to stop."""

    progress: Callable[[Event], None]
    cancelled: Callable[[], bool]


class Terminal:
    """One command's way to speak: ``as_json`` prints data only, ``quiet`` prints neither progress nor tables."""

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, progress: ProgressStyle = ProgressStyle.BAR
    ) -> None:
        self.progress = progress
        self.as_json = as_json
        self.quiet = quiet
        # Piped into a file, a table would be folded to 80 columns.
        self.out = Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)
        self.err = Console(stderr=True)

    def note(self, text: str) -> None:
        """A remark for the person in front of the screen."""
        if not self.quiet:
            self.err.print(text, style="dim", markup=False, highlight=False)

    def show(self, data: Any, *renderables: RenderableType) -> None:
        """The result: ``data`` as JSON where asked for, else the tables, else (quiet) nothing."""
        if self.as_json:
            print(json.dumps(data, indent=2, ensure_ascii=False))
        elif not self.quiet:
            for renderable in renderables:
                self.out.print(renderable)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner while something of unknown length runs."""
        if self.quiet or not self.err.is_terminal:
            yield
            return
        with self.err.status(text):
            yield

    @contextmanager
    def working(self, unit: str = "slices") -> Iterator[Work]:
        """A progress bar (done, total, time left) fed by a task's events; the first Ctrl-C asks the task to stop.

        A second Ctrl-C interrupts at once.
        """
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(compact=True),
            TimeElapsedColumn(),
            console=self.err,
            disable=self.quiet or not self.err.is_terminal,
        )
        tasks: dict[str, TaskID] = {}

        def progress(event: Event) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = bar.add_task(event.stage, total=event.total)
            bar.update(tasks[event.stage], completed=event.done, total=event.total)

        with _polite_interrupt() as asked_to_stop, bar:
            yield Work(progress, asked_to_stop.is_set)

    @contextmanager
    def bytes_bar(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar for (bytes done, bytes in all), or lines ``{"done": …, "total": …}`` on stderr."""
        if self.progress is ProgressStyle.LINES:
            yield _byte_lines()
            return
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=self.err,
            disable=self.quiet or not self.err.is_terminal,
        )
        task = bar.add_task(text, total=None)

        def progress(done: int, total: int) -> None:
            # Started by the first bytes, so that a question can be asked before them.
            bar.start()
            bar.update(task, completed=done, total=total)

        try:
            yield progress
        finally:
            bar.stop()


def _byte_lines() -> Callable[[int, int], None]:
    """Prints at most five lines a second, and the last one always."""
    printed = -_SECONDS_BETWEEN_LINES

    def progress(done: int, total: int) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= _SECONDS_BETWEEN_LINES or done >= total:
            printed = now
            print(json.dumps({"done": done, "total": total}), file=sys.stderr, flush=True)

    return progress


@contextmanager
def _polite_interrupt() -> Iterator[threading.Event]:
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
