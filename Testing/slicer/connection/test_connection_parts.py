# SPDX-License-Identifier: Apache-2.0
"""The small parts, each alone."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import pytest
from UniBiomedSlicerLib.CrashAdvice import howItEnded, suggestion
from UniBiomedSlicerLib.Job import CANCELLED, DONE, FAILED, Job
from UniBiomedSlicerLib.LogRing import LogRing
from UniBiomedSlicerLib.RestartPolicy import STABLE_SECONDS, RestartPolicy
from UniBiomedSlicerLib.ServerAddress import AddressError, usableAddress
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.Turns import Turns
from UniBiomedSlicerLib.VolumeReader import identify
from UniBiomedSlicerLib.VoxelSteps import VolumeEdited, bytesOf, compressSteps, hashSteps


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(caplog):
    signal, heard = Signal("tested"), []
    signal.connect(lambda: 1 / 0)
    signal.connect(lambda: heard.append(1))
    signal.emit()
    assert heard == [1]
    assert "tested" in caplog.text


def test_a_listener_may_go_while_it_is_being_told():
    signal, heard = Signal(), []

    def first():
        heard.append("first")
        signal.disconnect(first)
        signal.disconnect(second)

    def second():
        heard.append("second")

    signal.connect(first)
    signal.connect(second)
    signal.connect(second)
    signal.emit()
    signal.emit()
    assert heard == ["first"]


def test_a_job_ends_once_and_lets_its_listeners_go(host):
    job, ends = Job("segment"), []
    job.finished.connect(lambda job: ends.append((job.state, job.message)))
    job.finish(FAILED, "Why.", "code")
    job.finish(DONE, result={})
    job.finish(CANCELLED)
    job.setState("running")
    job.notice("late")
    assert ends == [("failed", "Why.")]
    assert (job.state, job.code, job.message, job.result) == ("failed", "code", "Why.", None)
    assert job.finished._listeners == []


def test_a_job_says_when_its_volume_was_edited_moved_or_deleted(host):
    node = host.addVolume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), name="Head")
    job = Job("segment", node, identify=identify)
    assert job.volumeChanged() == ""
    node.SetName("Renamed")
    assert job.volumeChanged() == ""
    node.SetOrigin(1, 2, 3)
    assert "Head" in job.volumeChanged()
    node.SetOrigin(0, 0, 0)
    assert job.volumeChanged() == ""
    host.slicer.util.arrayFromVolume(node)[0] = 7
    host.slicer.util.arrayFromVolumeModified(node)
    assert "changed" in job.volumeChanged()
    host.slicer.mrmlScene.RemoveNode(node)
    assert "deleted" in job.volumeChanged()


def test_another_volume_with_the_same_id_is_not_taken_for_it(host):
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    job = Job("segment", host.addVolume(array), identify=identify)
    host.newScene()
    again = host.addVolume(array)
    assert again.GetID() == job.volumeId
    assert "deleted" in job.volumeChanged()


def test_the_log_is_cut_into_lines_wherever_its_bytes_are_cut():
    ring = LogRing(lines=3)
    data = "eins\nzwei\r\ndr\u00e4i\nvier\nf\u00fcnf".encode()
    for start in range(0, len(data), 1):
        ring.feed(data[start : start + 1])
    ring.flush()
    assert ring.last(9) == ["dr\u00e4i", "vier", "f\u00fcnf"]


def test_a_line_without_end_does_not_fill_the_memory():
    ring = LogRing()
    for _ in range(400):
        ring.feed(b"x" * 10_000)
    assert sum(len(line) for line in ring.last(10_000)) < 1_000_000


def test_restarts_slow_down_and_then_stop():
    now = [0.0]
    policy = RestartPolicy(lambda: now[0])
    waits = []
    for _ in range(5):
        waits.append(policy.delay())
        policy.started()
        now[0] += 1
        policy.failed()
    assert waits == [0.0, 0.0, 2.0, 10.0, None]
    policy.reset()
    assert policy.delay() == 0.0


def test_an_engine_that_ran_for_long_counts_as_sound():
    now = [0.0]
    policy = RestartPolicy(lambda: now[0])
    for _ in range(10):
        policy.started()
        now[0] += STABLE_SECONDS
        policy.failed()
    assert policy.failures == 1


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "Memory"),
        ("ModuleNotFoundError: No module named 'unibiomed'", "no UniBiomed engine"),
        ("ImportError: DLL load failed while importing _C", "repair"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "permissions"),
        ("RuntimeError: CUDA error: no kernel image is available", "driver"),
    ],
)
def test_the_last_lines_tell_what_to_do(line, word):
    assert word.lower() in suggestion(1, False, ["Traceback", line]).lower()


def test_a_killed_engine_is_told_as_killed():
    assert howItEnded(9, True) == "SIGKILL"
    assert "memory" in suggestion(9, True, []).lower()


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        (" gpu.example.org:8443/ ", "https://gpu.example.org:8443"),
        ("https://gpu.example.org/unibiomed/", "https://gpu.example.org/unibiomed"),
        ("127.0.0.1:8791", "http://127.0.0.1:8791"),
        ("http://localhost:8791", "http://localhost:8791"),
    ],
)
def test_an_address_is_understood_as_people_type_it(typed, url):
    assert usableAddress(typed) == url


@pytest.mark.parametrize("typed", ["", "http://gpu.example.org", "ftp://a", "https://user:secret@a", "https://", "::"])
def test_an_address_that_is_unsafe_or_none_is_refused(typed):
    with pytest.raises(AddressError):
        usableAddress(typed)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_voxels_are_hashed_and_compressed_as_they_lie_in_memory(dtype):
    array = np.random.default_rng(0).integers(0, 200, (5, 700, 900)).astype(dtype)

    def result(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    assert result(hashSteps(array, lambda: True)) == hashlib.sha256(array.tobytes()).hexdigest()
    assert zlib.decompress(result(compressSteps(array, lambda: True))) == array.tobytes()
    assert bytesOf(array).obj.base is not None  # a view


def test_a_volume_edited_under_way_is_not_hashed_to_the_end():
    answers = iter([True, True, False])
    steps = hashSteps(np.zeros((9, 1024, 1024), np.int16), lambda: next(answers))
    with pytest.raises(VolumeEdited):
        list(steps)


def test_long_work_leaves_the_event_loop_free_and_can_be_dropped(host):
    ticks, ends = [], []

    def steps():
        total = 0
        for number in range(2000):
            total += sum(range(2000))
            yield number
        return total

    work = SlicedWork(steps(), lambda value, error: ends.append((value, error)), ticks.append)
    host.spin(until=lambda: ends, timeout=60)
    assert ends == [(2000 * sum(range(2000)), None)]
    assert len(ticks) > 2
    dropped = SlicedWork(steps(), lambda value, error: ends.append("never"))
    host.spin(seconds=0.02)
    dropped.cancel()
    host.spin(seconds=0.1)
    assert len(ends) == 1
    del work


def test_what_goes_wrong_in_long_work_is_told(host):
    ends = []

    def steps():
        yield 0
        raise VolumeEdited("gone")

    SlicedWork(steps(), lambda value, error: ends.append(type(error)))
    host.spin(until=lambda: ends)
    assert ends == [VolumeEdited]


def test_turns_are_taken_one_after_the_other_and_can_be_left_while_waiting(host):
    turns, begun = Turns(), []
    for name in "abcd":
        turns.ask(name, lambda name=name: begun.append(name))
    turns.leave("c")
    assert begun == ["a"]
    turns.leave("a")
    turns.leave("a")
    host.spin(until=lambda: begun == ["a", "b"])
    turns.leave("b")
    host.spin(until=lambda: begun == ["a", "b", "d"])
    turns.leave("d")
    turns.ask("e", lambda: begun.append("e"))
    assert begun[-1] == "e"
