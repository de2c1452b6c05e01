# SPDX-License-Identifier: Apache-2.0
"""One piece of work for a client: what is asked, how far it is, what came of it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from unibiomed.engine.events import EventLog
from unibiomed.engine.refusal import Refused
from unibiomed.engine.reporter import Reporter
from unibiomed.engine.volume_store import StoredVolume

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
Work = Callable[["Job"], tuple[bytes, dict[str, Any]]]


@dataclass(eq=False)
class Job:
    """``work(job)`` is called once by the worker thread and returns the result's JSON and a summary."""

    session: str
    task: str
    work: Work | None
    log: EventLog
    stored: StoredVolume | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "queued"
    position: int = 0
    result: bytes | None = None
    code: str | None = None
    message: str | None = None
    submitted: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    reporter: Reporter | None = None

    def __post_init__(self) -> None:
        self.volume_id = self.stored.id if self.stored else None
        self.reporter = Reporter(self.log)

    @property
    def is_over(self) -> bool:
        """Whether the job will not change any more."""
        return self.state in ENDED

    @property
    def size(self) -> int:
        """Bytes kept of it."""
        return self.log.size + len(self.result or b"")

    def notice(self, code: str, message: str) -> None:
        """Tell the client something that does not end the job."""
        self.log.add("notice", code=code, message=message)

    def queue_at(self, position: int) -> None:
        """``position`` jobs are before it."""
        if self.log.size == 0 or position != self.position:
            self.position = position
            self.log.add("queued", position=position)

    def start(self) -> None:
        """The worker has taken it."""
        self.state, self.position, self.started = "running", 0, time.time()
        self.log.add("started")

    def end(self, state: State, **fields: Any) -> None:
        """Note how it ended; what it held is let go."""
        self.ended = time.time()
        self.code, self.message = fields.get("code"), fields.get("message")
        self.work = self.stored = None
        self.state = state
        self.log.add(state, last=True, **fields)

    def result_document(self) -> bytes:
        """The result's JSON; Refused unless the job is done."""
        if self.result is None:
            raise Refused("no_result", f"The job is {self.state}; only a job that is done has a result.")
        return self.result

    def to_json(self) -> dict[str, Any]:
        """What a client sees of it."""
        reporter = self.reporter
        return {
            "job": self.id,
            "task": self.task,
            "volume": self.volume_id,
            "state": self.state,
            "position": self.position,
            "stage": reporter.stage or None,
            "done": reporter.done,
            "total": reporter.total,
            "seconds_left": reporter.seconds_left if self.state == "running" else None,
            "submitted": self.submitted,
            "started": self.started,
            "ended": self.ended,
            "result_bytes": None if self.result is None else len(self.result),
            "code": self.code,
            "message": self.message,
        }
