# SPDX-License-Identifier: Apache-2.0
"""Too little memory is met step by step, and what nobody needs any more is given back."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import psutil
import pytest
from unibiomed.engine import Refused

MIB = 1 << 20


def codes(events):
    return [event["code"] for event in events if event["event"] == "notice"]


def test_when_a_batch_does_not_fit_the_job_goes_on_slice_by_slice_and_says_so(bench):
    with bench.Rig(bench.Model("cuda:0", most=1)) as rig:
        events = rig.finish(rig.submit(batch_size=4))
        assert events[-1]["event"] == "done"
        assert codes(events) == ["out_of_memory_smaller_batch"]
        assert rig.model.sizes[0] == 4
        assert set(rig.model.sizes[1:]) == {1}


def test_when_one_slice_does_not_fit_the_job_goes_on_on_the_cpu_and_the_next_tries_the_device_again(bench):
    with bench.Rig(bench.Model("cuda:0", most=0)) as rig:
        job = rig.submit()
        events = rig.finish(job)
        assert events[-1]["event"] == "done"
        assert codes(events) == ["out_of_memory_smaller_batch", "out_of_memory_cpu"]
        assert rig.loads == ["auto", "cpu"]
        assert json.loads(job.result_document())["provenance"]["device"] == "cpu"
        rig.model.most = None
        assert codes(rig.finish(rig.submit())) == []


def test_a_model_too_large_for_the_device_is_loaded_on_the_cpu_unless_the_device_was_asked_for(rig, bench):
    rig.too_small = {"auto", "cuda"}
    events = rig.finish(rig.engine.load(rig.session, bench.ModelChoice("test")))
    assert (codes(events), events[-1]["event"]) == (["out_of_memory_cpu"], "done")
    assert rig.loads == ["auto", "auto", "cpu"]
    failed = rig.finish(rig.engine.load(rig.session, bench.ModelChoice("test", "cuda")))[-1]
    assert (failed["event"], failed["code"]) == ("failed", "out_of_memory")
    assert rig.engine.models.describe() is None


@pytest.mark.parametrize("task", ["report", "answer"])
def test_tasks_on_one_slice_climb_down_too(bench, task):
    with bench.Rig(bench.Model("cuda:0", most=0)) as rig:
        parameters = {"anatomy": "liver"} if task == "answer" else {}
        events = rig.finish(rig.submit(task, **parameters))
        assert (codes(events)[-1], events[-1]["event"]) == ("out_of_memory_cpu", "done")


def test_when_nothing_fits_the_job_fails_in_words_and_the_next_is_done(bench):
    with bench.Rig(bench.Model(most=0)) as rig:
        failed = rig.finish(rig.submit())[-1]
        assert (failed["event"], failed["code"]) == ("failed", "out_of_memory")
        rig.model.most = None
        assert rig.finish(rig.submit())[-1]["event"] == "done"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes")]
)
def test_other_ways_to_say_out_of_memory_are_understood(rig, error):
    rig.model.error = error
    assert rig.finish(rig.submit())[-1]["code"] == "out_of_memory"


def test_an_error_that_is_not_about_memory_is_not_tried_again(rig):
    rig.model.error = RuntimeError("shapes do not match")
    events = rig.finish(rig.submit())
    assert (codes(events), events[-1]["code"]) == ([], "internal")
    assert len(rig.model.sizes) == 1


def test_a_lost_session_is_freed_with_its_jobs_volumes_and_pictures(rig, bench):
    running, waiting = rig.start_and_hold(), rig.submit()
    rig.model.cache["picture"] = 1
    data = weakref.ref(rig.engine.volumes.get(rig.session, rig.volume).volume)
    rig.now += 61
    rig.engine.free_lost_sessions()
    assert len(rig.engine.sessions) == 0
    assert rig.engine.volumes.bytes_held == 0
    assert not rig.model.cache
    assert rig.engine.jobs.of_session(rig.session) == []
    assert waiting.state == "cancelled"
    rig.model.hold.set()
    assert rig.finish(running)[-1]["event"] == "cancelled"
    del running, waiting
    bench.wait_until(lambda: gc.collect() >= 0 and data() is None)
    with pytest.raises(Refused) as refused:
        rig.engine.sessions.touch(rig.session)
    assert refused.value.code == "session_lost"


def test_a_session_that_is_heard_of_is_kept_and_a_silent_one_is_noticed_by_itself(bench):
    with bench.Rig(lease_seconds=0.2) as rig:
        for _ in range(5):
            rig.now += 0.15
            rig.engine.sessions.touch(rig.session)
            rig.engine.free_lost_sessions()
        assert rig.engine.volumes.get(rig.session, rig.volume).complete
        rig.now += 0.25
        bench.wait_until(lambda: rig.engine.volumes.bytes_held == 0)


def test_the_memory_of_big_volumes_comes_back_when_their_session_ends(bench):
    with bench.Rig(volume=False) as rig:
        process = psutil.Process()
        before = process.memory_info().rss
        for seed in range(3):
            rig.send(np.random.default_rng(seed).integers(0, 9, (64, 1024, 1024), dtype=np.uint8))
        gc.collect()
        held = process.memory_info().rss
        assert rig.engine.volumes.bytes_held == 192 * MIB
        assert held - before > 150 * MIB
        rig.engine.close_session(rig.session)
        assert rig.engine.volumes.bytes_held == 0
        assert process.memory_info().rss - before < 40 * MIB


def test_finished_jobs_do_not_hold_their_volume(rig, bench):
    job = rig.submit()
    rig.finish(job)
    data = weakref.ref(rig.engine.volumes.get(rig.session, rig.volume).volume)
    rig.engine.volumes.drop(rig.session, rig.volume)
    bench.wait_until(lambda: gc.collect() >= 0 and data() is None)
    assert job.result_document()
