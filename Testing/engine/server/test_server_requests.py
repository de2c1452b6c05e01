# SPDX-License-Identifier: Apache-2.0
"""The protocol as a well-behaved client meets it, over a real socket."""

from __future__ import annotations

import json
from contextlib import closing

import httpx
import numpy as np
import pytest
import unibiomed
from unibiomed.tasks import from_json
from unibiomed.volumes import BoxMask


def test_the_versions_are_told_without_a_token(standing):
    body = httpx.get(f"{standing.url}/protocol").json()
    assert body == {"name": "unibiomed", "protocol": 1, "version": unibiomed.__version__}


@pytest.mark.parametrize("value", [None, "Bearer wrong", "Bearer", "Basic {token}", "{token}", "bearer\t{token}"])
def test_without_the_right_token_nothing_is_told(standing, serving, value):
    headers = {"UniBiomed-Protocol": "1"}
    if value is not None:
        headers["Authorization"] = value.format(token=serving.TOKEN)
    for path in ("/v1/capabilities", "/v1/openapi.json", "/nothing"):
        answer = httpx.get(standing.url + path, headers=headers)
        assert serving.error_of(answer) == (401, "wrong_token")


@pytest.mark.parametrize("spoken", [None, "2", "1.0", "one"])
def test_another_version_of_the_protocol_is_told_as_such(standing, serving, spoken):
    headers = {"Authorization": serving.HEADERS["Authorization"]}
    if spoken:
        headers["UniBiomed-Protocol"] = spoken
    answer = httpx.get(f"{standing.url}/v1/capabilities", headers=headers)
    assert serving.error_of(answer) == (426, "protocol_mismatch")
    assert f"protocol {spoken or 'none'}" in answer.json()["error"]["message"]


def test_web_pages_are_refused_and_never_invited(standing, serving):
    answer = standing.client.get("/v1/capabilities", headers={"Origin": "https://example.org"})
    assert serving.error_of(answer) == (403, "browser_refused")
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(f"{standing.url}/v1/jobs", headers=asked)
    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_the_capabilities_say_what_can_be_asked_for(standing):
    body = standing.client.get("/v1/capabilities").json()
    assert body["protocol"] == 1
    assert body["device"]["kind"] == "cpu"
    assert body["memory"]["rss"] > 0
    assert body["model"]["name"] == "test"
    assert {"segment", "interpret"} <= set(body["tasks"])
    assert len(body["modalities"]) == 10
    assert "ct-lung" in [window["name"] for window in body["windows"]]
    liver = body["targets"][0]
    assert (liver["phrase"], liver["kind"]) == ("liver in abdomen CT", "anatomy")
    assert liver["terminology"].count("~") >= 4
    assert all(0 <= part <= 255 for part in liver["rgb"])
    assert body["limits"]["lease_seconds"] == 60.0


def test_a_segmentation_from_upload_to_masks(served, bench):
    job = served.submit(targets=["liver", "liver tumor"])
    events = served.wait(job)
    assert events[-1]["event"] == "done"
    answer = served.client.get(f"/v1/jobs/{job}/result")
    assert answer.headers["content-type"] == "application/json"
    result = from_json(answer.content)
    full = result.segments[0].mask.to_full(bench.torso().shape)
    np.testing.assert_array_equal(full, (bench.torso() >= 100) & (bench.torso() <= 180))
    told = [BoxMask.from_json(event["mask"]) for event in events if event["event"] == "mask"]
    assert len(told) == 8 + 3
    state = served.client.get(f"/v1/jobs/{job}").json()
    assert (state["state"], state["result_bytes"]) == ("done", len(answer.content))
    assert [item["job"] for item in served.client.get("/v1/jobs").json()][-1] == job


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("recognise", {}),
        ("report", {"slice_index": 4}),
        ("answer", {"question": "What is this?"}),
        ("describe", {"region": [8, 6, 30, 26], "slice_index": 4}),
        ("interpret", {"anatomy": False}),
    ],
)
def test_every_other_task_answers(standing, task, parameters):
    job = standing.submit(task, **parameters)
    assert standing.wait(job)[-1]["event"] == "done"
    assert from_json(standing.client.get(f"/v1/jobs/{job}/result").content).provenance.task == task


def test_a_region_is_sent_as_a_mask_of_the_volume(standing):
    mask = BoxMask((3, 12, 10), np.ones((2, 5, 5), bool)).to_json()
    job = standing.submit("describe", region=mask)
    assert standing.wait(job)[-1]["event"] == "done"


def test_the_text_grows_while_it_is_written(standing):
    texts = [event for event in standing.wait(standing.submit("report", slice_index=4)) if event["event"] == "text"]
    assert texts[-1]["final"]
    assert texts[-1]["text"] == "liver tumor. a small hypodense tumor is seen in the liver."
    assert texts[0]["text"] != texts[-1]["text"]
    assert not texts[0]["final"]


def test_the_same_volume_again_is_complete_at_once_also_for_another_session(served, serving, bench):
    request = serving.request_for(bench.torso())
    again = served.client.post("/v1/volumes", json=request).json()
    assert (again["volume"], again["complete"]) == (served.volume, True)
    with closing(served.other_client()) as other:
        theirs = other.post("/v1/volumes", json=request).json()
        assert theirs["complete"]
        assert theirs["volume"] != served.volume
        assert serving.error_of(other.get(f"/v1/volumes/{served.volume}")) == (404, "unknown_volume")


def test_a_compressed_volume_is_taken_in_pieces(served, bench, serving):
    array = bench.torso(size=3)
    told, body = bench.describe_zlib(array)
    request = serving.request_for(array, encoding="zlib", bytes=len(body))
    volume = served.client.post("/v1/volumes", json=request).json()["volume"]
    for start in range(0, len(body), 100):
        last = served.client.put(f"/v1/volumes/{volume}/data?offset={start}", content=body[start : start + 100])
    assert last.json() == {"volume": volume, "complete": True, "received": len(body), "bytes": len(body)}
    assert told.sha256 == request["sha256"]
    assert volume in [item["volume"] for item in served.client.get("/v1/volumes").json()]
    assert served.client.delete(f"/v1/volumes/{volume}").status_code == 204
    assert served.client.get(f"/v1/volumes/{volume}").status_code == 404


def test_a_job_is_cancelled_within_one_call_of_the_model(served):
    job = served.start_and_hold()
    calls = len(served.model.sizes)
    assert served.client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "running"
    served.model.hold.set()
    assert served.wait(job)[-1]["event"] == "cancelled"
    assert len(served.model.sizes) == calls
    assert served.client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert served.client.get(f"/v1/jobs/{job}/result").status_code == 409
    assert served.serves()


def test_a_job_that_is_deleted_is_gone(served, serving):
    job = served.submit()
    served.wait(job)
    assert served.client.delete(f"/v1/jobs/{job}").status_code == 204
    assert serving.error_of(served.client.get(f"/v1/jobs/{job}")) == (404, "unknown_job")


def test_events_are_resumed_after_any_number(standing):
    job = standing.submit()
    events = standing.wait(job)
    for after in (0, 1, len(events) - 1, len(events), 10**12):
        assert standing.wait(job, after) == events[after:]


def test_a_session_that_was_closed_is_told_as_lost(served, serving):
    job = served.start_and_hold()
    assert served.client.post(f"/v1/sessions/{served.session}/heartbeat").json()["session"] == served.session
    assert served.client.delete(f"/v1/sessions/{served.session}").status_code == 204
    served.model.hold.set()
    for answer in (
        served.client.get(f"/v1/jobs/{job}"),
        served.client.get("/v1/volumes"),
        served.client.post(f"/v1/sessions/{served.session}/heartbeat"),
    ):
        assert serving.error_of(answer) == (410, "session_lost")
    served.open_session(served.client)
    served.volume = served.send(np.pad(np.arange(200, dtype=np.int16).reshape(2, 10, 10), 4))
    assert served.wait(served.submit("report"))[-1]["event"] == "done"


def test_models_are_known_by_name_only(served, serving):
    names = [entry["name"] for entry in served.client.get("/v1/models").json()]
    assert {"mini", "test"} <= set(names)
    for name in ("/etc", "../models/mini", "https://example.org/x", "Nobody/Nothing"):
        answer = served.client.post("/v1/models/load", json={"model": name})
        assert serving.error_of(answer) == (404, "unknown_model")
    assert served.client.post("/v1/models/unload").status_code == 204
    answer = served.client.post("/v1/jobs", json={"task": "report", "volume": served.volume, "parameters": {}})
    assert serving.error_of(answer) == (409, "no_model")


def test_a_report_is_exported(standing):
    job = standing.submit("report", slice_index=4)
    standing.wait(job)
    document = {"result": standing.client.get(f"/v1/jobs/{job}/result").json()}
    text = standing.client.post("/v1/exports", json={"kind": "text", "document": document})
    assert text.status_code == 200, text.text
    assert "hypodense tumor" in text.text
    page = standing.client.post("/v1/exports", json={"kind": "html", "document": document})
    assert page.headers["content-type"].startswith("text/html")
    wrong = standing.client.post("/v1/exports", json={"kind": "text", "document": {"path": "/etc/passwd"}})
    assert wrong.status_code == 422


def test_the_end_is_asked_for_only_where_it_is_allowed(served, serving):
    assert serving.error_of(served.client.post("/v1/shutdown")) == (403, "not_allowed")
    with serving.Served(prepared=False, shutdown=True) as own:
        assert own.client.post("/v1/shutdown").status_code == 202
        assert own.asked_to_stop.wait(10)


WRONG = [
    ("POST", "/v1/jobs", {"task": "segment", "volume": "x", "parameters": {"targets": []}}, "targets"),
    ("POST", "/v1/jobs", {"task": "segment", "volume": "x", "parameters": {}}, "targets"),
    ("POST", "/v1/jobs", {"task": "dance", "volume": "x"}, "segment"),
    ("POST", "/v1/jobs", {"task": "report", "volume": "x", "more": 1}, "more"),
    ("POST", "/v1/jobs", {"task": "report", "parameters": {}}, "volume"),
    ("POST", "/v1/jobs", [], "body"),
    ("POST", "/v1/models/load", {"model": "mini", "folder": "/"}, "folder"),
    ("POST", "/v1/volumes", {"sha256": "x"}, "sha256"),
]


@pytest.mark.parametrize(("method", "path", "body", "said"), WRONG)
def test_a_request_that_is_not_as_documented_is_refused_in_one_sentence(standing, serving, method, path, body, said):
    answer = standing.client.request(method, path, json=body)
    assert serving.error_of(answer) == (422, "invalid_request")
    assert said in answer.json()["error"]["message"]


VOLUMES = [
    {"shape": [12, 40]},
    {"shape": [12, 40, 48, 4]},
    {"shape": [0, 40, 48]},
    {"shape": [10**9, 10**9, 10**9]},
    {"dtype": "object"},
    {"dtype": "complex64"},
    {"ijk_to_ras": [[0.0] * 4] * 4},
    {"ijk_to_ras": [[1e300] * 4] * 4},
    {"ijk_to_ras": [[1.0, 0.9, 0, 0], [0, 1.0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
    {"modality": "telepathy"},
    {"window_hint": "dark"},
    {"bytes": 5},
    {"encoding": "zlib", "bytes": 10**9},
    {"encoding": "pickle"},
    {"sha256": "../../etc/passwd"},
    {"source": {"path": "/etc/passwd"}},
    {"source": {"series_uid": "1.2; rm"}},
    {"url": "https://example.org/scan.nii"},
]


@pytest.mark.parametrize("change", VOLUMES)
def test_a_volume_that_cannot_be_is_refused_before_it_is_sent(standing, serving, bench, change):
    held = standing.engine.volumes.bytes_held
    answer = standing.client.post("/v1/volumes", json=serving.request_for(bench.torso(size=1), **change))
    assert serving.error_of(answer)[0] in (413, 422)
    assert standing.engine.volumes.bytes_held == held


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"task":NaN}', b'{"task":"\\ud800"}', json.dumps("x").encode()]
)
def test_what_is_not_json_is_refused(standing, serving, body):
    answer = standing.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert serving.error_of(answer)[0] in (400, 422)


def test_unknown_paths_and_methods_have_the_form_of_all_errors(standing, serving):
    assert serving.error_of(standing.client.get("/v1/nothing")) == (404, "not_found")
    assert serving.error_of(standing.client.get("/docs")) == (404, "not_found")
    assert serving.error_of(standing.client.patch("/v1/jobs")) == (405, "method_not_allowed")
