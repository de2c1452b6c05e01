# SPDX-License-Identifier: Apache-2.0
"""Clients that break off, lie, repeat themselves and come in crowds: the others are served, and memory returns."""

from __future__ import annotations

import gc
import hashlib
import json
import socket
import threading
import zlib
from contextlib import closing

import httpx
import numpy as np
import psutil
import pytest

MIB = 1 << 20


def raw_head(served, serving, method, path, *headers):
    """The head of a request as bytes, so that a test can break off or lie where a library would not."""
    own = {**serving.HEADERS, "UniBiomed-Session": served.session}
    lines = [f"{method} {path} HTTP/1.1", "Host: engine", *(f"{name}: {value}" for name, value in own.items())]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def connect(served):
    return socket.create_connection(("127.0.0.1", served.port), timeout=30)


def declare(served, serving, array, **changes):
    answer = served.client.post("/v1/volumes", json=serving.request_for(array, **changes))
    assert answer.status_code == 201, answer.text
    return answer.json()["volume"]


def test_an_upload_that_breaks_off_keeps_what_arrived_and_goes_on(served, serving, bench):
    array = np.random.default_rng(0).integers(0, 255, (4, 512, 512), dtype=np.uint8)
    body, volume = array.tobytes(), declare(served, serving, array)
    with connect(served) as broken:
        path = f"/v1/volumes/{volume}/data?offset=0"
        broken.sendall(raw_head(served, serving, "PUT", path, f"Content-Length: {len(body)}") + body[:300_000])
    bench.wait_until(lambda: served.client.get(f"/v1/volumes/{volume}").json()["received"] == 300_000)

    def sent_on():
        answer = served.client.put(f"/v1/volumes/{volume}/data?offset=300000", content=body[300_000:])
        return answer.json().get("complete")

    bench.wait_until(sent_on)
    assert served.engine.volumes.get(served.session, volume).volume.array.tobytes() == body


def test_a_stream_that_breaks_off_is_taken_up_again_without_a_gap(served, bench):
    job = served.start_and_hold()
    with served.client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        first = json.loads(next(stream.iter_lines()))
    log = served.engine.jobs.get(served.session, job).log
    bench.wait_until(lambda: not log._watchers)
    served.model.hold.set()
    assert [event["seq"] for event in [first, *served.wait(job, first["seq"])]][:3] == [1, 2, 3]


def test_an_upload_that_stalls_is_given_up_and_another_can_go_on(serving, bench):
    with serving.Served(stall_seconds=0.3) as served:
        array = bench.torso(size=2)
        body, volume = array.tobytes(), declare(served, serving, array)
        with connect(served) as slow:
            path = f"/v1/volumes/{volume}/data?offset=0"
            slow.sendall(raw_head(served, serving, "PUT", path, f"Content-Length: {len(body)}") + body[:100])
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
        assert b" 408 " in answer
        assert b'"stalled"' in answer
        again = served.client.put(f"/v1/volumes/{volume}/data?offset=100", content=body[100:])
        assert again.json()["complete"]


def test_a_zip_bomb_takes_no_more_memory_than_was_declared(served, serving):
    array = np.zeros((4, 64, 64), np.uint8)
    bomb = zlib.compress(bytes(400 * MIB), 9)
    small = zlib.compress(array.tobytes(), 9)
    told = {"encoding": "zlib", "bytes": array.nbytes + 900, "sha256": hashlib.sha256(bytes(400 * MIB)).hexdigest()}
    volume = declare(served, serving, array, **told)
    before = psutil.Process().memory_info().rss
    for body in (bomb[: told["bytes"]], small + bytes(told["bytes"] - len(small)), bomb):
        answer = served.client.put(f"/v1/volumes/{volume}/data?offset=0", content=body)
        assert serving.error_of(answer)[0] == 422
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 50 * MIB
    assert served.serves()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (lambda body: body + b"!", "size_mismatch"),
        (lambda body: b"!" + body[1:], "hash_mismatch"),
    ],
)
def test_lies_about_a_volume_are_found_and_the_data_dropped(served, serving, bench, sent, code):
    array = bench.torso(size=4)
    volume = declare(served, serving, array)
    answer = served.client.put(f"/v1/volumes/{volume}/data?offset=0", content=sent(array.tobytes()))
    assert serving.error_of(answer) == (422, code)
    assert served.client.get(f"/v1/volumes/{volume}").json()["received"] == 0
    job = {"task": "report", "volume": volume, "parameters": {}}
    assert serving.error_of(served.client.post("/v1/jobs", json=job)) == (409, "volume_incomplete")


def test_what_was_sent_before_is_not_taken_again(served, serving, bench):
    array = bench.torso(size=5)
    body, volume = array.tobytes(), declare(served, serving, array)
    url = f"/v1/volumes/{volume}/data?offset=0"
    assert served.client.put(url, content=body[:1000]).json()["received"] == 1000
    assert serving.error_of(served.client.put(url, content=body[:1000])) == (409, "wrong_offset")
    assert served.client.put(url.replace("=0", "=1000"), content=body[1000:]).json()["complete"]
    assert serving.error_of(served.client.put(url, content=body)) == (409, "already_complete")


def test_a_body_beyond_the_limit_is_refused_by_its_declared_size_and_by_what_arrives(serving):
    with serving.Served(json_bytes=200_000) as served:
        body = b'{"model":"' + b"x" * 300_000 + b'"}'
        headers = {"Content-Type": "application/json"}
        declared = served.client.post("/v1/models/load", content=body, headers=headers)
        assert serving.error_of(declared) == (413, "too_large")
        pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
        streamed = served.client.post("/v1/models/load", content=pieces, headers=headers)
        assert serving.error_of(streamed) == (413, "too_large")
        assert served.serves()


def test_too_many_sessions_and_jobs_are_refused_and_the_others_go_on(serving):
    with serving.Served(sessions=3, queued_jobs=4, queued_jobs_per_session=4) as served:
        with closing(served.other_client()), closing(served.other_client()):
            assert serving.error_of(served.client.post("/v1/sessions")) == (429, "too_many_sessions")
        served.start_and_hold()
        body = {"task": "segment", "volume": served.volume, "parameters": {"targets": ["liver"]}}
        answers = [served.client.post("/v1/jobs", json=body).status_code for _ in range(12)]
        assert answers == [202] * 4 + [429] * 8
        for job in served.client.get("/v1/jobs").json():
            served.client.post(f"/v1/jobs/{job['job']}/cancel")
        served.model.hold.set()
        assert served.serves()


def test_a_flood_of_connections_leaves_the_server_serving(serving):
    with serving.Served(connections=24) as served:
        idle = [connect(served) for _ in range(60)]
        served.client.close()
        for connection in idle:
            connection.close()
        served.client = httpx.Client(base_url=served.url, headers=serving.HEADERS, timeout=30)
        served.client.headers["UniBiomed-Session"] = served.session
        statuses = []

        def ask():
            with httpx.Client(base_url=served.url, headers=serving.HEADERS, timeout=30) as client:
                statuses.extend(client.get("/v1/models").status_code for _ in range(4))

        crowd = [threading.Thread(target=ask) for _ in range(12)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert served.serves()


def test_garbage_instead_of_http_is_answered_or_closed(served):
    for garbage in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"\x16\x03\x01\x02\x00\x01"):
        with connect(served) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
    assert served.serves()


def test_a_lost_session_is_freed_and_a_listening_one_kept(served, serving, bench, monkeypatch):
    monkeypatch.setattr("unibiomed.server.routes_jobs.ALIVE_SECONDS", 0.05)
    job = served.start_and_hold()
    with served.client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        for _ in range(3):
            served.rig.now += 50
            while json.loads(next(lines))["event"] != "alive":
                pass
            next(lines)
            served.engine.free_lost_sessions()
        assert served.engine.volumes.bytes_held
    log = served.engine.jobs.get(served.session, job).log
    bench.wait_until(lambda: not log._watchers)
    served.rig.now += 61
    served.engine.free_lost_sessions()
    assert served.engine.volumes.bytes_held == 0
    assert serving.error_of(served.client.get("/v1/volumes")) == (410, "session_lost")


def test_a_hundred_jobs_and_broken_streams_leave_no_memory_behind(served):
    process = psutil.Process()

    def some(count):
        for number in range(count):
            job = served.submit("report", slice_index=number % 12)
            with served.client.stream("GET", f"/v1/jobs/{job}/events") as stream:
                next(stream.iter_lines())
            served.wait(job)
            served.client.get(f"/v1/jobs/{job}/result")
            served.client.delete(f"/v1/jobs/{job}")
        gc.collect()
        return process.memory_info().rss

    before = some(20)
    assert some(80) - before < 16 * MIB


def test_clients_that_send_ask_and_cancel_at_random_all_get_an_end_to_every_job(serving, bench):
    with serving.Served(queued_jobs=200, queued_jobs_per_session=50) as served:
        endings, faults = [], []

        def live(seed):
            chance = np.random.default_rng(seed)
            try:
                with closing(served.other_client()) as client:
                    array = bench.torso(size=int(chance.integers(1, 4)))
                    volume = client.post("/v1/volumes", json=serving.request_for(array)).json()
                    path = f"/v1/volumes/{volume['volume']}"
                    if not volume["complete"]:
                        client.put(f"{path}/data?offset=0", content=array.tobytes()).raise_for_status()
                    for _ in range(8):
                        task = {"task": "segment", "volume": volume["volume"], "parameters": {"targets": ["liver"]}}
                        job = client.post("/v1/jobs", json=task).json()["job"]
                        with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
                            lines = stream.iter_lines()
                            for _ in range(int(chance.integers(0, 6))):
                                next(lines)
                            if chance.random() < 0.5:
                                client.post(f"/v1/jobs/{job}/cancel")
                            endings.append(json.loads(list(lines)[-1])["event"])
                    client.delete(f"/v1/sessions/{client.headers['UniBiomed-Session']}")
            except Exception as error:  # noqa: BLE001 - told by the test, not lost in a thread
                faults.append(error)

        crowd = [threading.Thread(target=live, args=(seed,)) for seed in range(4)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join(bench.PATIENCE_S)
        assert faults == []
        assert len(endings) == 32
        assert set(endings) <= {"done", "cancelled"}
        served.client.delete(f"/v1/sessions/{served.session}")
        assert len(served.engine.sessions) == 0
        assert served.engine.volumes.bytes_held == 0
        bench.wait_until(lambda: served.engine.jobs.is_idle)
