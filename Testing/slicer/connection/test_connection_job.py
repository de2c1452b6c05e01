# SPDX-License-Identifier: Apache-2.0
"""Whole jobs with the real engine and the bundled model: what comes, in which order, how they end."""

from __future__ import annotations

import os
import random
import signal

import numpy as np
import pytest
from UniBiomedSlicerLib import EngineClient as clients
from UniBiomedSlicerLib import EngineProcess as processes
from UniBiomedSlicerLib.BoxMask import decode
from UniBiomedSlicerLib.EngineClient import EngineClient

SEGMENT = {"targets": ["liver", "spleen", "kidney tumor"], "site": "abdomen"}
READY_SECONDS = 150


def dice(one, other):
    return 2 * np.logical_and(one, other).sum() / (one.sum() + other.sum())


def test_an_engine_starts_loads_its_model_and_says_so(host, service):
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=READY_SECONDS)
    assert service.history == ["starting", "loading", "ready"]
    assert "Mini" in service.stateText
    assert service.capabilities["model"]["name"] == "mini"
    assert any(target["name"] == "liver" for target in service.targets)
    assert service.pid > 0
    pid = service.pid
    service.stop()
    host.spin(until=lambda: service.state == "stopped")
    assert service.pid == 0
    assert service.targets  # completion goes on working
    service.restart()
    host.spin(until=lambda: service.state == "ready", timeout=READY_SECONDS)
    assert service.pid not in (0, pid)


def test_a_whole_job_comes_back_on_the_right_voxels(shared, run, volumeNode, phantom):
    told = run(shared, "segment", volumeNode, SEGMENT)
    assert told.ends == ["done"], told.job.message
    assert told.states == ["preparing", "uploading", "queued", "running", "done"]
    assert told.job.volumeChanged() == ""
    result = told.job.result
    assert result["format"] == "unibiomed.result/1"
    assert np.allclose(result["provenance"]["ijk_to_ras"], phantom.volume.ijk_to_ras)
    segments = {segment["target"]: segment for segment in result["segments"]}
    offset, box = decode(segments["liver"]["mask"])
    full = np.zeros(phantom.volume.shape, bool)
    full[tuple(slice(o, o + n) for o, n in zip(offset, box.shape, strict=True))] = box
    assert dice(full, phantom.masks["liver"]) > 0.7
    assert {mask["target"] for mask in told.masks} >= set(segments)
    fractions = [fraction for stage, fraction, _left in told.progress if stage not in ("preparing", "uploading")]
    assert fractions[-1] == 1.0


def test_the_same_volume_is_not_sent_twice(host, shared, run, volumeNode):
    assert run(shared, "segment", volumeNode, SEGMENT).ends == ["done"]
    again = run(shared, "segment", volumeNode, SEGMENT)
    assert again.ends == ["done"]
    assert not [told for told in again.progress if told[0] in ("preparing", "uploading")]


@pytest.mark.parametrize(
    ("task", "parameters", "kind"),
    [
        ("report", {"slice_index": 5}, "report"),
        ("answer", {"anatomy": "liver", "slice_index": 5}, "answer"),
        ("describe", {"region": [20, 20, 60, 60], "slice_index": 5}, "region"),
        ("recognise", {}, "recognition"),
        ("interpret", {}, "interpretation"),
    ],
)
def test_every_task_gives_its_result_and_its_text_grows(shared, run, volumeNode, task, parameters, kind):
    told = run(shared, task, volumeNode, parameters, timeout=120)
    assert told.ends == ["done"], told.job.message
    assert told.job.result["type"] == kind
    if task == "report":
        assert told.texts[-1] == told.job.result["text"]


def test_a_wrong_target_fails_with_the_engines_own_words(shared, run, volumeNode):
    told = run(shared, "segment", volumeNode, {"targets": ["left antenna"]})
    assert told.ends == ["failed"]
    assert "left antenna" in told.job.message
    assert told.job.result is None


@pytest.mark.parametrize("case", ["no volume", "empty", "constant", "not a number", "label map"])
def test_an_unusable_volume_fails_the_job_in_words_and_nothing_is_raised(host, shared, run, case):
    slicer = host.slicer
    node = None
    if case == "empty":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    elif case == "constant":
        node = host.addVolume(np.full((4, 40, 40), 3, np.int16))
    elif case == "not a number":
        array = np.zeros((4, 40, 40), np.float32)
        array[0, 0, 0], array[1, 1, 1] = np.nan, 1
        node = host.addVolume(array)
    elif case == "label map":
        node = host.addVolume(np.eye(40, dtype=np.uint8)[None].repeat(3, 0), className="vtkMRMLLabelMapVolumeNode")
    told = run(shared, "segment", node, SEGMENT)
    assert told.ends == ["failed"]
    assert told.job.code == "volume"
    assert told.job.message.endswith(".")


def test_a_volume_that_is_changed_while_it_is_sent_is_not_taken_for_the_old_one(host, shared, record):
    array = np.random.default_rng(1).integers(0, 900, (64, 256, 256)).astype(np.int16)
    node = host.addVolume(array)
    told = record(shared.submit("segment", node, SEGMENT, "CT"))
    host.spin(until=lambda: told.job.state == "uploading", timeout=30)
    node.SetOrigin(3, 2, 1)
    host.spin(until=lambda: told.ends, timeout=60)
    assert told.ends == ["failed"]
    assert told.job.code == "volume_changed"


def test_a_volume_deleted_under_way_leaves_the_scene_intact_and_the_result_says_so(host, shared, record, volumeNode):
    told = record(shared.submit("interpret", volumeNode, {}, "CT"))
    host.spin(until=lambda: told.job.state == "running", timeout=60)
    host.newScene()
    host.spin(until=lambda: told.ends, timeout=120)
    assert told.ends == ["done"]
    assert "deleted" in told.job.volumeChanged()
    assert told.job.volumeNode() is None


def test_two_submitters_at_once_both_get_their_own(host, shared, record, volumeNode, phantom):
    other = host.addVolume(np.array(phantom.volume.array)[::-1].copy(), phantom.volume.ijk_to_ras, "Other")
    first = record(shared.submit("segment", volumeNode, {"targets": ["liver"], "site": "abdomen"}, "CT"))
    second = record(shared.submit("segment", other, {"targets": ["spleen"], "site": "abdomen"}, "CT"))
    third = record(shared.submit("report", volumeNode, {"slice_index": 4}, "CT"))
    host.spin(until=lambda: first.ends and second.ends and third.ends, timeout=120)
    assert [told.ends for told in (first, second, third)] == [["done"]] * 3
    assert {mask["target"] for mask in first.masks} <= {"liver"}
    assert {mask["target"] for mask in second.masks} <= {"spleen"}
    assert first.job.result["provenance"]["source"] != second.job.result["provenance"]["source"]


def test_two_jobs_on_one_new_volume_send_it_once_and_a_cancelled_one_does_not_stop_the_other(
    host, shared, record, phantom
):
    voxels = np.array(phantom.volume.array).repeat(5, 1).repeat(5, 2).repeat(4, 0)  # 22 MB, several chunks
    for number, cancels in enumerate((False, True, True)):
        voxels[0, 0, 0] = number
        node = host.addVolume(voxels, phantom.volume.ijk_to_ras)
        first = record(shared.submit("report", node, {"slice_index": 20}, "CT"))
        second = record(shared.submit("report", node, {"slice_index": 22}, "CT"))
        if cancels:
            sent = []
            first.job.progressed.connect(
                lambda stage, done, left, sent=sent: stage == "uploading" and sent.append(done)
            )
            host.spin(until=lambda sent=sent: sent and sent[-1] > 0, timeout=60)
            first.job.cancel()
        host.spin(until=lambda first=first, second=second: first.ends and second.ends, timeout=120)
        assert first.ends == (["cancelled"] if cancels else ["done"]), first.job.message
        assert second.ends == ["done"], second.job.message
        if not cancels:
            assert not [told for told in second.progress if told[0] == "uploading"]
        host.slicer.mrmlScene.RemoveNode(node)


def test_more_jobs_than_connections_all_end(host, shared, record, volumeNode):
    told = [record(shared.submit("report", volumeNode, {"slice_index": k}, "CT")) for k in range(12)]
    host.spin(until=lambda: all(one.ends for one in told), timeout=120)
    assert [one.ends for one in told] == [["done"]] * 12


def test_a_job_can_be_cancelled_at_any_moment_and_the_next_one_works(host, shared, record, run, phantom):
    generator = random.Random(4)
    seen = set()
    for number in range(16):
        array = np.array(phantom.volume.array)
        array[0, 0, 0] = number  # new to the engine every time
        node = host.addVolume(array, phantom.volume.ijk_to_ras)
        told = record(shared.submit("interpret", node, {}, "CT"))
        if number >= 2:
            host.spin(seconds=generator.random() ** 2 * 1.5)
        seen.add(told.job.state)
        ended = bool(told.ends)
        told.job.cancel()
        told.job.cancel()
        host.spin(until=lambda told=told: told.ends, timeout=30)
        assert told.ends == (["done"] if ended else ["cancelled"])
        events = len(told.progress) + len(told.masks) + len(told.texts)
        host.spin(seconds=0.02)
        assert events == len(told.progress) + len(told.masks) + len(told.texts)
        host.slicer.mrmlScene.RemoveNode(node)
    assert len(seen) >= 2
    node = host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras)
    assert run(shared, "segment", node, SEGMENT).ends == ["done"]


def test_a_lost_session_is_opened_anew_and_the_job_is_done_all_the_same(host, shared, record, volumeNode):
    client = shared.supervisor.connection.client
    told = record(shared.submit("interpret", volumeNode, {}, "CT"))
    host.spin(until=lambda: told.job.state == "running", timeout=60)
    lost = client.session
    gone = []
    client.request("DELETE", f"/v1/sessions/{lost}", lambda *answer: gone.append(answer))
    host.spin(until=lambda: told.ends, timeout=120)
    assert told.ends == ["done"], told.job.message
    assert client.session not in ("", lost)


def test_stopping_fails_what_runs_in_words_and_a_new_job_starts_the_engine_again(host, ready, record, run, volumeNode):
    told = record(ready.submit("interpret", volumeNode, {}, "CT"))
    host.spin(until=lambda: told.job.state == "running", timeout=60)
    ready.stop()
    assert told.ends == ["failed"]
    assert told.job.code == "engine_stopped"
    assert run(ready, "segment", volumeNode, SEGMENT, timeout=READY_SECONDS).ends == ["done"]


def test_a_model_that_is_not_there_is_told_and_the_other_one_can_be_loaded_again(host, ready, run, volumeNode):
    ready.loadModel("no-such-model")
    host.spin(until=lambda: ready.state == "ready", timeout=60)
    assert "no-such-model" in ready.stateText
    stages = []
    ready.progressed.connect(lambda *told: stages.append(told))
    ready.loadModel("mini")
    told = run(ready, "segment", volumeNode, SEGMENT, timeout=READY_SECONDS)  # waits for the model
    assert told.ends == ["done"], told.job.message
    assert stages
    models = []
    ready.requestModels(lambda *answer: models.append(answer))
    host.spin(until=lambda: models)
    assert [model["loaded"] for model in models[0][0] if model["name"] == "mini"] == [True]


def test_questions_under_way_when_the_engine_dies_are_answered_once_with_the_reason(host, ready):
    answers = []
    for _ in range(3):
        ready.exportDocument("html", {"text": "x" * 100_000}, lambda *answer: answers.append(answer))
        ready.requestModels(lambda *answer: answers.append(answer))
    os.kill(ready.pid, signal.SIGKILL)
    host.spin(until=lambda: ready.state == "crashed" and len(answers) == 6)
    host.spin(seconds=0.2)
    assert len(answers) == 6
    assert all(answer[-1].endswith(".") for answer in answers)


def test_an_export_comes_back_as_bytes_or_with_a_reason(host, shared, run, volumeNode):
    told = run(shared, "report", volumeNode, {"slice_index": 4})
    answers = []
    shared.exportDocument(
        "text", {"text": told.job.result["text"], "result": told.job.result}, lambda *a: answers.append(a)
    )
    shared.exportDocument("no such kind", {}, lambda *a: answers.append(a))
    host.spin(until=lambda: len(answers) == 2, timeout=30)
    data, _media, error = next(answer for answer in answers if not answer[2])
    assert told.job.result["text"].split(".")[0] in data.decode()
    assert error == ""
    assert next(answer for answer in answers if answer[2])[0] == b""


def test_the_real_engine_refuses_a_wrong_token_and_another_protocol_in_words(host, shared, monkeypatch):
    url, answers = shared.supervisor.connection.client.baseUrl, []
    stranger = EngineClient(url, "not-the-token-0123456789")
    stranger.request("GET", "/v1/capabilities", lambda failure, value: answers.append(failure))
    host.spin(until=lambda: len(answers) == 1)
    monkeypatch.setattr(clients, "PROTOCOL", 99)
    shared.supervisor.connection.client.request(
        "GET", "/v1/capabilities", lambda failure, value: answers.append(failure)
    )
    host.spin(until=lambda: len(answers) == 2)
    stranger.close()
    assert [failure.code for failure in answers] == ["unauthorized", "protocol_mismatch"]
    assert "token" in answers[0].message
    assert "99" in answers[1].message
    assert shared.state == "ready"


def test_a_real_engine_of_another_protocol_is_not_used_and_told_in_words(
    host, service, volumeNode, record, monkeypatch
):
    monkeypatch.setattr(processes, "PROTOCOL", 99)
    told = record(service.submit("segment", volumeNode, SEGMENT, "CT"))
    host.spin(until=lambda: told.ends, timeout=60)
    assert service.state == "crashed"
    assert told.job.code == "protocol_mismatch"
    assert "protocol" in service.stateText
    assert "repair the environment" in service.stateText
    host.spin(seconds=0.3)
    assert service.pid == 0
