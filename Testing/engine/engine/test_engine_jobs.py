# SPDX-License-Identifier: Apache-2.0
"""Jobs: in order, told as they go, stopped when asked, failing alone."""

from __future__ import annotations

import json

import pytest
from unibiomed.engine import Refused
from unibiomed.engine.jobs import ENDED
from unibiomed.tasks import from_json, segment
from unibiomed.volumes import BoxMask, Volume

ALL_TASKS = {
    "segment": {"targets": ["liver", "spleen"], "slices": [3, 4, 5]},
    "recognise": {"slices": [3, 4, 5]},
    "report": {"slice_index": 4},
    "answer": {"anatomy": "liver", "slice_index": 4},
    "describe": {"region": [8, 6, 30, 26], "slice_index": 4},
    "interpret": {},
}


@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_task_ends_with_a_result_that_keeps_to_the_schema(rig, task):
    job = rig.submit(task, **ALL_TASKS[task])
    events = rig.finish(job)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [events[0]["event"], events[1]["event"], events[-1]["event"]] == ["queued", "started", "done"]
    document = json.loads(job.result_document())
    assert from_json(document).provenance.task == task
    assert events[-1]["result_bytes"] == len(job.result_document())
    assert events[-1]["summary"]["type"] == document["type"]
    if document.get("text"):
        last = [event for event in events if event["event"] == "text"][-1]
        assert last == {**last, "text": document["text"], "final": True}


def test_a_result_is_that_of_the_task_itself(rig, bench):
    job = rig.submit(targets=["liver", "spleen"], modality="CT")
    rig.finish(job)
    volume = Volume(bench.torso(), bench.AFFINE, "CT")
    expected = segment(bench.Model(), volume, ["liver", "spleen"], modality="CT")
    got = from_json(job.result_document())
    assert [item.mask for item in got.segments] == [item.mask for item in expected.segments]
    assert got.provenance.source.sha256 == expected.provenance.source.sha256


def test_the_masks_told_on_the_way_are_those_of_the_result(rig, bench):
    job = rig.submit(targets=["liver", "spleen"])
    masks = [event for event in rig.finish(job) if event["event"] == "mask"]
    document = json.loads(job.result_document())
    for record in document["segments"]:
        own = [BoxMask.from_json(event["mask"]) for event in masks if event["phrase"] == record["phrase"]]
        assert BoxMask.union_of(own) == BoxMask.from_json(record["mask"])
    assert {event["target"] for event in masks} == {"liver", "spleen"}


def test_the_window_told_with_the_volume_is_that_of_jobs_that_name_none(rig, bench):
    array = bench.torso()
    told = bench.describe(array, window="ct-lung")
    item = rig.engine.volumes.declare(rig.session, told)
    assert item.complete
    windows = []
    for parameters in ({}, {"window": "full"}):
        job = rig.submit("report", volume=item.id, **parameters)
        rig.finish(job)
        windows.append(from_json(job.result_document()).provenance.window["name"])
    assert windows == ["ct-lung", "full"]


def test_jobs_are_done_in_order_and_told_how_many_are_before_them(rig):
    first = rig.start_and_hold()
    second, third = rig.submit(), rig.submit()
    assert [job.position for job in (first, second, third)] == [0, 1, 2]
    rig.model.hold.set()
    rig.finish(third)
    places = [event["position"] for event in rig.events(third) if event["event"] == "queued"]
    assert places == [2, 1, 0]
    assert first.ended <= second.started
    assert second.ended <= third.started


def test_cancelling_a_waiting_job_ends_it_at_once_and_moves_the_others_up(rig):
    rig.start_and_hold()
    second, third = rig.submit(), rig.submit()
    rig.engine.jobs.cancel(second)
    assert (second.state, third.position) == ("cancelled", 1)
    assert rig.events(second)[-1]["event"] == "cancelled"
    rig.model.hold.set()
    assert rig.finish(third)[-1]["event"] == "done"


def test_cancelling_a_running_job_takes_effect_within_one_call_of_the_model(rig):
    job = rig.start_and_hold()
    rig.engine.jobs.cancel(job)
    calls = len(rig.model.sizes)
    rig.model.hold.set()
    assert rig.finish(job)[-1]["event"] == "cancelled"
    assert len(rig.model.sizes) == calls
    assert rig.finish(rig.submit())[-1]["event"] == "done"


@pytest.mark.parametrize("task", ["report", "answer", "describe"])
def test_a_text_is_stopped_while_it_is_written(rig, task):
    job = rig.start_and_hold(task, **ALL_TASKS[task])
    rig.engine.jobs.cancel(job)
    rig.model.hold.set()
    assert rig.finish(job)[-1]["event"] == "cancelled"


def test_a_failing_job_fails_alone_and_says_what_is_known(rig):
    rig.model.error = ZeroDivisionError("made for tests")
    failed = rig.finish(rig.submit())[-1]
    assert (failed["event"], failed["code"]) == ("failed", "internal")
    assert "ZeroDivisionError" in failed["message"]
    rig.model.error = None
    assert rig.finish(rig.submit())[-1]["event"] == "done"


def test_what_only_the_task_can_know_to_be_wrong_fails_in_words(rig):
    failed = rig.finish(rig.submit(targets=["lever"]))[-1]
    assert failed["code"] == "invalid_input"
    assert "liver" in failed["message"]


def test_too_many_waiting_jobs_are_refused_and_the_next_is_taken_when_there_is_room(bench):
    with bench.Rig(queued_jobs=3, queued_jobs_per_session=2) as rig:
        rig.start_and_hold()
        waiting = [rig.submit(), rig.submit()]
        with pytest.raises(Refused, match="waiting") as refused:
            rig.submit()
        assert refused.value.code == "queue_full"
        assert not any(job.id == "x" for job in waiting)
        rig.engine.jobs.cancel(waiting[0])
        assert rig.submit().state == "queued"


def test_a_job_of_another_session_is_not_seen(rig):
    job = rig.submit()
    other = rig.engine.sessions.open()
    with pytest.raises(Refused, match="no job"):
        rig.engine.jobs.get(other, job.id)
    with pytest.raises(Refused, match="no volume"):
        rig.engine.submit(other, "segment", rig.volume, {"targets": ["liver"]})


def test_the_oldest_finished_jobs_go_when_there_are_too_many(bench):
    with bench.Rig(kept_jobs_per_session=2) as rig:
        jobs = [rig.submit("report") for _ in range(5)]
        rig.finish(jobs[-1])
        bench.wait_until(lambda: len(rig.engine.jobs.of_session(rig.session)) <= 2)
        assert rig.engine.jobs.get(rig.session, jobs[-1].id).result_document()
        with pytest.raises(Refused, match="no job"):
            rig.engine.jobs.get(rig.session, jobs[0].id)


def test_without_a_model_a_job_is_refused_unless_one_is_being_loaded(rig, bench):
    rig.engine.unload()
    with pytest.raises(Refused) as refused:
        rig.submit()
    assert refused.value.code == "no_model"
    rig.engine.load(rig.session, bench.ModelChoice("test"))
    assert rig.finish(rig.submit())[-1]["event"] == "done"


def test_a_model_is_not_unloaded_under_a_job(rig):
    rig.start_and_hold()
    with pytest.raises(Refused) as refused:
        rig.engine.unload()
    assert refused.value.code == "busy"


def test_closing_cancels_all_and_waits_no_longer_than_asked(bench):
    with bench.Rig() as rig:
        running, waiting = rig.start_and_hold(), rig.submit()
        assert not rig.engine.close(0.05)
        assert waiting.state == "cancelled"
        with pytest.raises(Refused) as refused:
            rig.submit()
        assert refused.value.code == "shutting_down"
        rig.model.hold.set()
        assert rig.finish(running)[-1]["event"] in ENDED
