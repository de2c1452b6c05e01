# SPDX-License-Identifier: Apache-2.0
"""Cases on a Ray cluster: one actor a GPU (or as many as asked for), each with its own model, one catalogue.

Ray's actors hold the model between cases, restart elsewhere when their machine is lost, and take pre-emption; only the
coordinator writes to the catalogue, as each case comes back. Images and results are files that all machines see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.failures import CASE_ERRORS, reason_of
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.run import Clock, Runner, Told
from unibiomed.errors import InputError

#: A case whose worker was lost so often is itself the likely reason (it may not fit into memory).
MOST_LOSSES = 3
#: Cases in a worker's hands: one at work and one waiting, so that a worker never idles and little is lost with it.
IN_HAND = 2
_PATIENCE = 1.0
_CPUS = 1


def annotate_on_ray(address: str, plan: Plan, cohort: Path, folder: Path, *, workers: int | None = None) -> Runner:
    """A runner on the cluster at ``address`` ("auto": the one of this machine; "local": a new one, ended afterwards).

    ``cohort`` and ``folder`` must be the same paths on every machine. ``workers`` None: one for each GPU, or one.
    InputError when Ray is not installed or the cluster cannot be reached.
    """
    ray = _ray()

    def run(catalogue: Catalogue, told: Told, cancelled: Callable[[], bool]) -> None:
        _connect(ray, address)
        try:
            gpus = int(ray.cluster_resources().get("GPU", 0))
            count = workers or max(gpus, 1)
            actor = ray.remote(num_gpus=1 if gpus else 0, num_cpus=_CPUS)(Worker)
            pool = _Pool(ray, lambda: actor.remote(plan, cohort, folder), count)
            _drive(pool, catalogue, told, cancelled)
        finally:
            # Ends a cluster that was started here, and leaves one that was not.
            ray.shutdown()

    return run


class Worker:
    """What runs on a machine of the cluster. The model is loaded with the first case, so that starting is quick."""

    def __init__(self, plan: Plan, cohort: Path, folder: Path) -> None:
        self._plan, self._cohort, self._folder = plan, cohort, folder
        self._annotate: Callable[[Case], Outcome] | None = None

    def annotate(self, case: Case) -> tuple[Outcome | None, str]:
        """The outcome, or the reason why there is none; an exception of the case never ends the worker."""
        try:
            if self._annotate is None:
                self._annotate = self._load()
            return self._annotate(case), ""
        except CASE_ERRORS as error:
            return None, reason_of(error)

    def _load(self) -> Callable[[Case], Outcome]:
        import torch

        from unibiomed.cohort.annotate import Annotator
        from unibiomed.model import load

        # Ray says so too, but not where the user's environment already sets OMP_NUM_THREADS: workers with more threads
        # than processors wait for one another.
        torch.set_num_threads(_CPUS)
        return Annotator(load(self._plan.model, device=self._plan.device), self._plan, self._cohort, self._folder)


@dataclass(frozen=True, eq=False)
class _Loss:
    """A case whose worker is gone; ``at_work``: it was the one being worked on, not one that waited in line."""

    at_work: bool


class _Pool:
    """Actors with what they have in hand; a lost one is replaced."""

    def __init__(self, ray: Any, make: Callable[[], Any], count: int) -> None:
        self.ray, self._make = ray, make
        self._actors = [make() for _ in range(count)]
        self._in_hand: dict[Any, tuple[Case, Any]] = {}

    @property
    def idle(self) -> bool:
        """Nothing is in anybody's hands."""
        return not self._in_hand

    def free(self) -> Any | None:
        """The least busy actor with room for a case."""
        loads = dict.fromkeys(self._actors, 0)
        for _, actor in self._in_hand.values():
            loads[actor] = loads.get(actor, 0) + 1
        least = min(self._actors, key=loads.__getitem__)
        return least if loads[least] < IN_HAND else None

    def give(self, actor: Any, case: Case) -> None:
        """Put a case into an actor's hands."""
        self._in_hand[actor.annotate.remote(case)] = (case, actor)

    def take(self) -> list[tuple[Case, tuple[Outcome | None, str] | _Loss]]:
        """Cases that came back within a second, with their result or the loss of their worker."""
        ready, _ = self.ray.wait(list(self._in_hand), timeout=_PATIENCE)
        back: list[tuple[Case, tuple[Outcome | None, str] | _Loss]] = []
        for reference in ready:
            if reference not in self._in_hand:
                continue
            case, actor = self._in_hand.pop(reference)
            try:
                back.append((case, self.ray.get(reference)))
            except (self.ray.exceptions.RayActorError, self.ray.exceptions.WorkerCrashedError):
                back.append((case, _Loss(at_work=True)))
                back.extend((other, _Loss(at_work=False)) for other in self._replace(actor))
        return back

    def _replace(self, lost: Any) -> list[Case]:
        """A new actor in place of a lost one; returns what else that had in hand."""
        self._actors[self._actors.index(lost)] = self._make()
        orphans = [reference for reference, (_, actor) in self._in_hand.items() if actor is lost]
        return [self._in_hand.pop(reference)[0] for reference in orphans]

    def close(self) -> list[Case]:
        """End the actors; returns what they had in hand."""
        for actor in self._actors:
            self.ray.kill(actor, no_restart=True)
        return [case for case, _ in self._in_hand.values()]


def _drive(pool: _Pool, catalogue: Catalogue, told: Told, cancelled: Callable[[], bool]) -> None:
    clock = Clock(catalogue.counts()["waiting"])
    losses: dict[str, int] = {}
    try:
        while not cancelled():
            while (actor := pool.free()) is not None and (case := catalogue.claim()) is not None:
                pool.give(actor, case)
            if pool.idle:
                break
            for case, result in pool.take():
                if isinstance(result, _Loss):
                    losses[case.id] = losses.get(case.id, 0) + result.at_work
                    if losses[case.id] < MOST_LOSSES:
                        catalogue.give_back(case.id)
                        continue
                    result = None, f"The worker was lost {MOST_LOSSES} times on this case; it may not fit into memory."
                outcome, reason = result
                if outcome is None:
                    catalogue.fail(case.id, reason)
                else:
                    catalogue.finish(case.id, outcome)
                told(clock.tick(case, outcome, reason))
    finally:
        for case in pool.close():
            catalogue.give_back(case.id)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError('--ray needs Ray; install it with: pip install "unibiomed[cluster]"') from error
    return ray


def _connect(ray: Any, address: str) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "ignore_reinit_error": True}
    if address != "local":
        options = {"address": address, "log_to_driver": False, "ignore_reinit_error": True}
    try:
        ray.init(**options)
    except ConnectionError as error:
        raise InputError(f"No Ray cluster answers at {address}; start one with: ray start --head") from error
