# SPDX-License-Identifier: Apache-2.0
"""The stand-in for the engine that the modules' own tests use behaves as the real service does."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest
from fake_engine import FakeEngineService, decodeMask, recordedResult
from UniBiomedSlicerLib.BoxMask import decode
from UniBiomedSlicerLib.EngineService import EngineService

# What only the service's own parts use.
INSIDE = {
    "settings",
    "supervisor",
    "turns",
    "whenReady",
    "knownHash",
    "rememberHash",
    "streamSlot",
    "runnerEnded",
    "isIdle",
}
TASKS = ["segment", "recognise", "report", "answer", "describe", "interpret"]


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_it_has_all_that_the_real_one_has(host, settings):
    real, fake = EngineService(settings, lambda: sys.executable), FakeEngineService()
    assert public(real) - INSIDE <= public(fake)
    for name in public(real) - INSIDE:
        if inspect.ismethod(getattr(real, name)):
            theirs = inspect.signature(getattr(fake, name)).parameters
            assert list(inspect.signature(getattr(real, name)).parameters) == list(theirs), name
    real.cleanup()


@pytest.mark.parametrize("task", TASKS)
def test_a_job_plays_itself_and_ends_once_after_submit_has_returned(host, record, task):
    fake = FakeEngineService(interval=0)
    node = host.addVolume(np.random.default_rng(0).integers(0, 99, (7, 40, 50)).astype(np.int16))
    told = record(fake.submit(task, node, {}))
    assert told.ends == []
    host.spin(until=lambda: told.ends)
    host.spin(seconds=0.05)
    assert told.ends == ["done"]
    for segment in told.job.result.get("segments", []):
        offset, box = decode(segment["mask"])
        assert all(at + size <= most for at, size, most in zip(offset, box.shape, (7, 40, 50), strict=True))
        assert box.sum() == segment["voxels"] > 0
        assert decodeMask(segment["mask"])[0] == tuple(offset)
    assert len(told.masks) == sum(len(segment["slices"]) for segment in told.job.result.get("segments", []))


def test_a_test_can_drive_cancel_and_crash_it(host, record):
    fake = FakeEngineService(autoplay=False)
    node = host.addVolume(np.arange(4 * 20 * 20, dtype=np.int16).reshape(4, 20, 20))
    first, second, third = (record(fake.submit("report", node, {})) for _ in range(3))
    first.job.progress("slices", 0.5, 3.0)
    first.job.growText("liver")
    first.job.finishWith()
    second.job.cancel()
    host.spin(until=lambda: second.ends)
    fake.crash("The engine ended unexpectedly.")
    assert [one.ends for one in (first, second, third)] == [["done"], ["cancelled"], ["failed"]]
    assert (first.progress, first.texts) == ([("slices", 0.5, 3.0)], ["liver"])
    assert third.job.message == "The engine ended unexpectedly."
    assert fake.state == "crashed"
    fake.start()
    host.spin(until=lambda: fake.state == "ready")


def test_its_documents_are_what_the_engine_writes_today():
    from unibiomed.tasks import schema

    for task in TASKS:
        schema.from_json(recordedResult(task))
