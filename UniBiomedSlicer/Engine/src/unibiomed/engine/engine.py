# SPDX-License-Identifier: Apache-2.0
"""The engine as its clients see it: open a session, send a volume, submit a job, follow it, fetch the result."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unibiomed.engine.events import EventLog
from unibiomed.engine.jobs import Job, Work
from unibiomed.engine.ladder import climb, load_where_it_fits
from unibiomed.engine.limits import Limits
from unibiomed.engine.memory import give_back
from unibiomed.engine.models import Loader, ModelChoice, ModelKeeper, load_from_folder
from unibiomed.engine.parameters import Parameters, parse_parameters
from unibiomed.engine.queue import JobQueue
from unibiomed.engine.refusal import Refused
from unibiomed.engine.sessions import Sessions
from unibiomed.engine.volume_store import StoredVolume, VolumeStore
from unibiomed.engine.work import run_task

_LOG = logging.getLogger("unibiomed.engine")


class Engine:
    """All methods may be called from several threads; none but ``close`` waits for a job."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        loader: Loader = load_from_folder,
        folders: Mapping[str, Path] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``loader`` opens a model folder; ``folders`` are models that clients may load by name, beside the store's.

        ``clock`` (s) is what leases are measured with.
        """
        self.limits = limits or Limits()
        self.sessions = Sessions(self.limits, clock)
        self.volumes = VolumeStore(self.limits)
        self.jobs = JobQueue(self.limits)
        self.models = ModelKeeper(loader, folders)
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._watch_leases, name="unibiomed-leases", daemon=True)

    def start(self) -> None:
        """Begin to work on jobs and to look after leases."""
        self.jobs.start()
        self._keeper.start()

    def close(self, seconds: float = 1.0) -> bool:
        """Cancel everything; returns whether all has ended within ``seconds``."""
        self._closing.set()
        return self.jobs.close(seconds)

    def close_session(self, session: str) -> None:
        """Cancel a session's jobs and free its volumes, results, and what the model kept of its pictures."""
        self.sessions.close(session)
        self._free(session)

    def free_lost_sessions(self) -> None:
        """Close the sessions whose lease has run out; done every few seconds while the engine is at work."""
        for session in self.sessions.take_lost():
            _LOG.info("A session was lost; what it left is freed")
            self._free(session)

    def load(self, session: str, choice: ModelChoice) -> Job:
        """A job that replaces the loaded model; Refused at once for an unknown name."""
        self.models.folder(choice.model)

        def work(job: Job) -> tuple[bytes, dict[str, Any]]:
            job.reporter.tell("loading the model", 0, 1)
            load_where_it_fits(self.models, choice, job.notice)
            described = self.models.describe()
            job.reporter.tell("loading the model", 1, 1)
            return json.dumps(described).encode("ascii"), {"type": "model", "model": described["name"]}

        return self.jobs.put(self._job(session, "load", work))

    def unload(self) -> None:
        """Drop the model; Refused while a job waits or runs."""
        if not self.jobs.is_idle:
            raise Refused("busy", "Jobs are waiting or running; cancel them before the model is unloaded.")
        self.models.unload()

    def submit(self, session: str, task: str, volume: str, parameters: Parameters | Mapping[str, Any]) -> Job:
        """A job for ``task`` on a volume of the session; Refused for anything that can be seen now to be wrong."""
        checked = parameters if isinstance(parameters, Parameters) else parse_parameters(task, parameters)
        stored = self.volumes.get(session, volume)
        if not stored.complete:
            raise Refused("volume_incomplete", "The volume has not arrived whole yet; send the rest of its data first.")
        if self.models.model is None and not self.jobs.expects("load"):
            raise Refused("no_model", "No model is loaded; load one first.")
        data, window = stored.volume, stored.description.window

        def work(job: Job) -> tuple[bytes, dict[str, Any]]:
            if self.models.model is None:
                raise Refused("no_model", "No model is loaded; load one first.")

            def attempt(model: Any, batch_size: int | None) -> tuple[bytes, dict[str, Any]]:
                return run_task(task, model, data, checked, job, batch_size=batch_size, window=window)

            return climb(self.models, attempt, getattr(checked, "batch_size", None), job.notice)

        job = self._job(session, task, work, stored)
        stored.jobs.add(job.id)
        try:
            return self.jobs.put(job)
        except Refused:
            stored.jobs.discard(job.id)
            raise

    def _job(self, session: str, task: str, work: Work, stored: StoredVolume | None = None) -> Job:
        return Job(session, task, work, EventLog(self.limits.event_bytes), stored)

    def _watch_leases(self) -> None:
        interval = min(5.0, self.limits.lease_seconds / 4)
        while not self._closing.wait(interval):
            self.free_lost_sessions()

    def _free(self, session: str) -> None:
        self.jobs.drop_session(session)
        self.volumes.drop_session(session)
        self.models.forget_pictures()
        give_back()
