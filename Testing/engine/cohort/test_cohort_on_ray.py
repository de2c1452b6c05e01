# SPDX-License-Identifier: Apache-2.0
"""A cohort on a local Ray cluster of two workers, one of them killed in mid-run."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from unibiomed.cohort.annotate import AUTOMATIC, RESULT
from unibiomed.cohort.cases import Case, find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.run import work
from unibiomed.phantoms import generate

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")


def _workers() -> list:
    """The processes of this machine in which an actor of ours lives."""
    return [p for p in psutil.Process().children(recursive=True) if "ray::Worker" in " ".join(p.cmdline())]


@pytest.mark.slow
def test_the_cases_of_a_killed_worker_are_done_by_another(tmp_path):
    from unibiomed.cohort.ray_runner import annotate_on_ray

    cohort, folder = tmp_path / "skin", tmp_path / "catalogue"
    cohort.mkdir()
    for number in range(10):
        Image.fromarray(generate("dermoscopy", 10_510_000 + number).image).save(cohort / f"{number:02d}.png")
    Image.new("L", (3, 3), 7).save(cohort / "constant.png")
    plan = Plan(targets=("lesion",), modality="dermoscopy", device="cpu")
    killed: list[int] = []
    told: list[str] = []

    def on_case(event) -> None:
        told.append(event.case.id)
        if not killed:
            victim = _workers()[0]
            victim.send_signal(signal.SIGKILL)
            killed.append(victim.pid)

    with Catalogue.create(folder, cohort, plan, find_cases(cohort)) as catalogue:
        work(catalogue, annotate_on_ray("local", plan, cohort, Path(folder), workers=2), on_case, lambda: False)
        counts = catalogue.counts()
        records = list(catalogue.records())
    assert killed
    assert counts == {"waiting": 0, "running": 0, "done": 10, "failed": 1}
    assert sorted(told) == sorted(record.case.id for record in records)
    assert all((folder / AUTOMATIC / record.case.id / RESULT).is_file() for record in records if record.state == "done")
    assert not _workers()


def test_a_worker_computes_on_the_one_processor_that_ray_reckons_with(tmp_path, monkeypatch):
    """Also where OMP_NUM_THREADS of the user's environment says otherwise."""
    import torch
    from unibiomed.cohort.ray_runner import Worker

    blind = SimpleNamespace(cache=SimpleNamespace(clear=lambda: None))
    monkeypatch.setattr("unibiomed.model.load", lambda name, device: blind)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        worker = Worker(Plan(targets=("lesion",), modality="dermoscopy", device="cpu"), tmp_path, tmp_path)
        assert worker.annotate(Case("gone", "gone", "gone.png"))[0] is None
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
