# SPDX-License-Identifier: Apache-2.0
"""Parameters are checked before a job is taken on; events are numbered and kept; the time left is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from unibiomed.engine import Refused
from unibiomed.engine.estimate import Estimate
from unibiomed.engine.events import EventLog
from unibiomed.engine.parameters import TASKS, decode_region, parse_parameters
from unibiomed.engine.reporter import Reporter
from unibiomed.tasks import PartialMask, ProgressEvent
from unibiomed.volumes import BoxMask

WRONG = [
    ("segment", {}, "targets"),
    ("segment", {"targets": []}, "targets"),
    ("segment", {"targets": ["liver"], "path": "/etc/passwd"}, "path"),
    ("segment", {"targets": ["liver"], "slices": [-1]}, "slices.0"),
    ("segment", {"targets": ["liver"], "slices": []}, "slices"),
    ("segment", {"targets": ["liver"], "axis": "oblique"}, "axis"),
    ("segment", {"targets": ["liver"], "key_slice": 3}, "propagate"),
    ("segment", {"targets": ["x" * 201]}, "targets.0"),
    ("segment", {"targets": ["\ud800"]}, "targets.0"),
    ("answer", {}, "question or anatomy"),
    ("answer", {"question": "a", "anatomy": "b"}, "question or anatomy"),
    ("answer", {"question": "a", "history": "x" * 20_001}, "history"),
    ("report", {"slice_index": "first"}, "slice_index"),
    ("describe", {}, "region"),
    ("describe", {"region": [1, 2, 3]}, "region"),
    ("interpret", {"batch_size": 0}, "batch_size"),
    ("segment", "liver", "dictionary"),
    ("segment", None, "dictionary"),
]


@pytest.mark.parametrize(("task", "parameters", "said"), WRONG)
def test_wrong_parameters_are_refused_with_the_one_that_is_wrong(task, parameters, said):
    with pytest.raises(Refused) as refused:
        parse_parameters(task, parameters)
    assert refused.value.code == "invalid_parameters"
    assert said in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_an_unknown_task_is_refused_with_those_that_are_known():
    with pytest.raises(Refused, match="segment, recognise, report"):
        parse_parameters("train", {})


def test_a_region_beyond_the_volume_is_refused_before_it_is_unpacked():
    mask = BoxMask.from_full(np.ones((2, 3, 4), bool)).to_json()
    given = parse_parameters("describe", {"region": mask})
    assert decode_region(given.region, (2, 3, 4)).voxel_count == 24
    with pytest.raises(Refused, match="outside"):
        decode_region(given.region, (2, 3, 3))
    huge = parse_parameters("describe", {"region": {**mask, "shape": [900_000, 900_000, 900_000]}})
    with pytest.raises(Refused, match="outside"):
        decode_region(huge.region, (2, 3, 4))


def test_the_parameters_are_the_keyword_arguments_of_the_tasks():
    import inspect

    from unibiomed import tasks

    for name, parameters in TASKS.items():
        known = set(inspect.signature(getattr(tasks, name)).parameters)
        assert set(parameters.model_fields) == known - {"model", "volume", "progress", "cancelled"}


def test_events_can_be_taken_up_anywhere_and_none_follows_the_last():
    log = EventLog(10_000)
    woken = []
    log.watch(lambda: woken.append(1))
    for number in range(5):
        log.add("progress", done=number)
    log.add("done", last=True)
    assert not log.add("progress", done=9)
    lines, closed = log.after(3)
    assert [json.loads(line)["seq"] for line in lines] == [4, 5, 6]
    assert closed
    assert log.after(6) == ([], True)
    assert log.after(10**9) == ([], True)
    assert len(woken) == 6


def test_beyond_the_limit_masks_are_left_out_and_it_is_said_once():
    log = EventLog(400)
    reporter = Reporter(log, clock=lambda: 0.0)
    mask = BoxMask.from_full(np.ones((1, 9, 9), bool))
    for index in range(30):
        reporter(ProgressEvent("segment", index, 30, partial=PartialMask("liver in abdomen CT", index, mask)))
    events = [json.loads(line) for line in log.after(0)[0]]
    assert 0 < sum(event["event"] == "mask" for event in events) < 5
    assert [event["code"] for event in events if event["event"] == "notice"] == ["masks_not_streamed"]


def test_progress_and_text_are_told_at_most_some_times_a_second_and_the_end_always():
    now = [0.0]
    log = EventLog(1 << 20)
    reporter = Reporter(log, clock=lambda: now[0])
    for done in range(1001):
        now[0] = done * 0.001
        reporter(ProgressEvent("segment", done, 1000, text="x" * done))
    events = [json.loads(line) for line in log.after(0)[0]]
    progress = [event for event in events if event["event"] == "progress"]
    assert len(progress) <= 13
    assert (progress[0]["done"], progress[-1]["done"]) == (0, 1000)
    assert sum(event["event"] == "text" for event in events) <= 21


def test_the_time_left_is_right_for_even_work_and_unknown_at_first():
    estimate = Estimate()
    assert estimate.seconds_left("segment", 0, 10, 100.0) is None
    assert estimate.seconds_left("segment", 1, 10, 101.0) == 9.0
    assert estimate.seconds_left("segment", 2, 10, 102.0) == 8.0
    assert estimate.seconds_left("segment", 2, 10, 102.5) == 7.5
    assert estimate.seconds_left("segment", 10, 10, 110.0) == 0.0
    assert estimate.seconds_left("next", 0, 10, 110.0) is None
