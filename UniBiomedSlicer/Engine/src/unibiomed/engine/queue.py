# SPDX-License-Identifier: Apache-2.0
"""The jobs of all sessions, in the order in which they came, and the one thread that does them."""

from __future__ import annotations

import logging
import threading
from collections import deque

from unibiomed.engine.jobs import Job
from unibiomed.engine.limits import Limits
from unibiomed.engine.memory import give_back, is_out_of_memory
from unibiomed.engine.refusal import Refused
from unibiomed.errors import Cancelled, CheckpointError, UniBiomedError

_LOG = logging.getLogger("unibiomed.engine")


class JobQueue:
    """Safe to use from several threads. One job runs at a time, so the device is never shared."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="unibiomed-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self, seconds: float) -> bool:
        """Cancel everything and wait; returns whether the worker has ended in that time."""
        with self._changed:
            self._closing = True
            for job in list(self._jobs.values()):
                self._cancel(job)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        with self._changed:
            return self._running is None and not self._waiting

    def expects(self, task: str) -> bool:
        """Whether a job of ``task`` waits or runs."""
        with self._changed:
            return any(job.task == task and not job.is_over for job in self._jobs.values())

    def put(self, job: Job) -> Job:
        """Take a job on; Refused where too many wait."""
        with self._changed:
            if self._closing:
                raise Refused("shutting_down", "The engine is shutting down; start it again.")
            own = sum(1 for other in self._waiting if other.session == job.session)
            if len(self._waiting) >= self._limits.queued_jobs or own >= self._limits.queued_jobs_per_session:
                raise Refused("queue_full", f"{len(self._waiting)} jobs are waiting already; wait, or cancel some.")
            self._jobs[job.id] = job
            self._waiting.append(job)
            job.queue_at(len(self._waiting) - 1 + (self._running is not None))
            self._forget_oldest(job.session)
            self._changed.notify_all()
        return job

    def get(self, session: str, job_id: str) -> Job:
        """The job; Refused where the session has none of that id."""
        job = self._jobs.get(job_id)
        if job is None or job.session != session:
            raise Refused("unknown_job", f"There is no job {job_id[:40]!r} in this session.")
        return job

    def of_session(self, session: str) -> list[Job]:
        """The session's jobs, the oldest first."""
        with self._changed:
            return [job for job in self._jobs.values() if job.session == session]

    def cancel(self, job: Job) -> None:
        """A waiting job ends now, a running one within a slice, an ended one stays as it is."""
        with self._changed:
            self._cancel(job)

    def drop(self, job: Job) -> None:
        """Cancel and forget."""
        with self._changed:
            self._cancel(job)
            self._jobs.pop(job.id, None)

    def drop_session(self, session: str) -> None:
        """Cancel and forget all jobs of a session."""
        with self._changed:
            for job in self.of_session(session):
                self.drop(job)

    def _cancel(self, job: Job) -> None:
        job.stop.set()
        if job in self._waiting:
            self._waiting.remove(job)
            self._end(job, "cancelled")
            self._renumber()

    def _renumber(self) -> None:
        ahead = int(self._running is not None)
        for place, job in enumerate(self._waiting):
            job.queue_at(place + ahead)

    def _forget_oldest(self, session: str) -> None:
        over = [job for job in self._jobs.values() if job.is_over]
        held = sum(job.size for job in over)
        own = [job for job in over if job.session == session]
        for job in own[: max(0, len(own) - self._limits.kept_jobs_per_session)]:
            held -= job.size
            over.remove(job)
            del self._jobs[job.id]
        while held > self._limits.kept_bytes and over:
            oldest = over.pop(0)
            held -= oldest.size
            del self._jobs[oldest.id]

    @staticmethod
    def _end(job: Job, state: str, **fields: object) -> None:
        if job.stored is not None:
            job.stored.jobs.discard(job.id)
        job.end(state, **fields)

    def _work(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        # A method of its own, so that the thread holds no job while it waits for the next.
        job = self._next()
        if job is None:
            return False
        self._do(job)
        with self._changed:
            self._running = None
            self._forget_oldest(job.session)
            self._renumber()
        return True

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            self._running = job = self._waiting.popleft()
            job.start()
            self._renumber()
            return job

    def _do(self, job: Job) -> None:
        try:
            result, summary = job.work(job)
        except Cancelled:
            self._end(job, "cancelled")
        except Refused as error:
            self._end(job, "failed", code=error.code, message=str(error))
        except CheckpointError as error:
            self._end(job, "failed", code="model_unusable", message=str(error))
        except UniBiomedError as error:
            self._end(job, "failed", code="invalid_input", message=str(error))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in one job, the next ones are done
            if is_out_of_memory(error):
                said = "The memory was not enough; close other programs, or choose a smaller model or image."
                self._end(job, "failed", code="out_of_memory", message=said)
            else:
                _LOG.exception("Job %s (%s) failed", job.id, job.task)
                said = f"The job failed inside the engine ({type(error).__name__}); its log says more."
                self._end(job, "failed", code="internal", message=said)
        else:
            job.result = result
            self._end(job, "done", result_bytes=len(result), summary=summary)
        if job.state != "done":
            give_back()
