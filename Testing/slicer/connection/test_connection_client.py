# SPDX-License-Identifier: Apache-2.0
"""Requests and event streams against a server that misbehaves on purpose."""

from __future__ import annotations

import itertools
import json
import time

import pytest
import qt
from UniBiomedSlicerLib import EventStream as streams
from UniBiomedSlicerLib.ConnectionTest import ConnectionTest
from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EventStream import EventStream
from UniBiomedSlicerLib.ServerAddress import AddressError

TOKEN = "a-token-of-twenty-four-c"


@pytest.fixture
def client(server):
    made = EngineClient(server.url, TOKEN)
    yield made
    made.close()


@pytest.fixture
def ask(host):
    """``ask(client, method, path, ...)`` -> [(failure, value)], one entry for each call of ``done``."""

    def ask(client, method, path, **more):
        told = []
        client.request(method, path, lambda failure, value: told.append((failure, value)), **more)
        assert told == []  # never from within
        host.spin(until=lambda: told)
        host.spin(seconds=0.03)
        return told

    return ask


def line(seq, event, **more):
    return json.dumps({"seq": seq, "event": event, **more}).encode() + b"\n"


def test_every_request_carries_token_protocol_and_session_and_is_answered_once(server, client, ask):
    server.answer["POST", "/v1/jobs"] = lambda handler: handler.json({"job": "1"}, 202)
    client.session = "s1"
    assert ask(client, "POST", "/v1/jobs", document={"text": "Gr\u00fc\u00dfe"}) == [(None, {"job": "1"})]
    _, _, headers, body = server.requests[0]
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["unibiomed-protocol"] == "1"
    assert headers["unibiomed-session"] == "s1"
    assert json.loads(body) == {"text": "Gr\u00fc\u00dfe"}


def test_the_greeting_carries_no_token(host, server, client):
    server.answer["GET", "/protocol"] = lambda handler: handler.json(
        {"name": "unibiomed", "protocol": 1, "version": "1"}
    )
    told = []
    client.greet(lambda *answer: told.append(answer))
    host.spin(until=lambda: told)
    assert told[0][0] is None
    assert "authorization" not in server.requests[0][2]


def test_a_server_of_another_version_is_told_in_words(host, server, client):
    server.answer["GET", "/protocol"] = lambda handler: handler.json(
        {"name": "unibiomed", "protocol": 2, "version": "4.5"}
    )
    told = []
    client.greet(lambda *answer: told.append(answer))
    host.spin(until=lambda: told)
    failure = told[0][0]
    assert failure.code == "protocol_mismatch"
    assert "4.5" in failure.message
    assert "protocol 2" in failure.message


def test_any_bytes_are_sent_and_received_unchanged(server, client, ask):
    server.answer["PUT", "/v1/x"] = lambda handler: handler.bytes(handler.body[::-1], kind="application/x")
    data = bytes(range(256)) * 4000
    ((failure, answer),) = ask(client, "PUT", "/v1/x", data=data, asBytes=True)
    assert failure is None
    assert answer == data[::-1]


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, {"error": {"code": "unauthorized", "message": "No."}}, "unauthorized", "token"),
        (410, {"error": {"code": "session_lost", "message": "This session has ended."}}, "session_lost", "ended"),
        (
            426,
            {"error": {"code": "protocol_mismatch", "message": "Client 1, server 2."}},
            "protocol_mismatch",
            "server 2",
        ),
        (422, {"error": {"code": "invalid_input", "message": "No such target."}}, "invalid_input", "No such target"),
        (502, None, "http_502", "502"),
        (404, None, "not_an_engine", "not a UniBiomed server"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words_or_ours(server, client, ask, status, body, code, words):
    def refuse(handler):
        handler.bytes(json.dumps(body).encode() if body else b"<html>Bad Gateway</html>", status)

    server.answer["GET", "/v1/models"] = refuse
    ((failure, value),) = ask(client, "GET", "/v1/models")
    assert (failure.code, failure.status, value) == (code, status, None)
    assert words in failure.message


def test_an_answer_that_is_no_json_is_told(server, client, ask):
    server.answer["GET", "/v1/models"] = lambda handler: handler.bytes(b"{cut")
    ((failure, _),) = ask(client, "GET", "/v1/models")
    assert failure.code == "not_an_engine"


def test_a_redirect_is_not_followed_so_the_token_stays_here(server, client, ask):
    server.answer["GET", "/v1/models"] = lambda handler: handler.bytes(b"", 307, Location=f"{server.url}/elsewhere")
    ((failure, _),) = ask(client, "GET", "/v1/models")
    assert failure.code == "not_an_engine"
    assert [path for _, path, _, _ in server.requests] == ["/v1/models"]


def test_a_server_that_is_silent_is_given_up(server, client, ask):
    server.answer["GET", "/v1/models"] = lambda handler: time.sleep(1.5)
    ((failure, _),) = ask(client, "GET", "/v1/models", seconds=0.2)
    assert failure.code == "unreachable"
    assert "did not answer" in failure.message


def test_nobody_there_is_told(ask, host):
    client = EngineClient("http://127.0.0.1:9", TOKEN)
    ((failure, _),) = ask(client, "GET", "/v1/models")
    assert failure.code == "unreachable"
    client.close()


def test_an_aborted_request_is_never_answered(host, server, client):
    server.answer["GET", "/v1/models"] = lambda handler: (time.sleep(0.1), handler.json([]))
    told = []
    reply = client.request("GET", "/v1/models", lambda *answer: told.append(answer))
    reply.abort()
    reply.abort()
    host.spin(seconds=0.3)
    assert told == []
    assert not client._pending


def test_closing_the_client_answers_nobody(host, server, client):
    server.answer["GET", "/v1/models"] = lambda handler: (time.sleep(0.1), handler.json([]))
    told = []
    for _ in range(10):
        client.request("GET", "/v1/models", lambda *answer: told.append(answer))
    client.close()
    host.spin(seconds=0.4)
    assert told == []


def test_a_lost_session_is_told_once_whoever_notices(server, client, ask):
    server.answer["GET", "/v1/x"] = lambda handler: handler.json(
        {"error": {"code": "session_lost", "message": "."}}, 410
    )
    lost = []
    client.sessionLost.connect(lambda: lost.append(1))
    client.session = "s1"
    ask(client, "GET", "/v1/x")
    ask(client, "GET", "/v1/x")
    assert lost == [1]
    assert client.session == ""


# Streams


@pytest.fixture
def follow(host, client):
    """``follow()`` opens the stream of job 1 and returns (events, failures)."""
    made = []

    def follow():
        events, failures = [], []
        stream = EventStream(client, "1", events.append, failures.append)
        stream.open()
        made.append(stream)
        return events, failures

    yield follow
    for stream in made:
        stream.close()


def test_lines_arrive_however_they_are_cut(host, server, follow):
    data = (
        line(1, "queued", position=0) + line(2, "text", text="\u00e4" * 50) + b'{"event":"alive"}\n' + line(3, "done")
    )

    def pieces(handler):
        handler.stream()
        for start in range(0, len(data), 7):
            handler.chunk(data[start : start + 7])
        handler.chunk(b"")

    server.answer["GET", "/v1/jobs/1/events"] = pieces
    events, failures = follow()
    host.spin(until=lambda: any(event["event"] == "done" for event in events))
    assert [event["event"] for event in events] == ["queued", "text", "done"]
    assert events[1]["text"] == "\u00e4" * 50
    assert failures == []


def test_a_dropped_stream_goes_on_after_the_last_event_without_repeating_any(host, server, follow):
    lines = [line(n, "progress", done=n) for n in range(1, 8)] + [line(8, "done")]
    drops = [2, 3, 0, 6]  # so many lines of the whole are sent, then half of the next, then the connection is cut

    def answer(handler):
        after = int(handler.path.split("after=")[1])
        handler.stream()
        until = drops.pop(0) if drops else 8
        for number in range(after, until):
            handler.chunk(lines[number])
        if until < 8:
            handler.chunk(lines[max(until, after)][:9])
            handler.drop()
        else:
            handler.chunk(b"")

    server.answer["GET", "/v1/jobs/1/events"] = answer
    events, failures = follow()
    host.spin(until=lambda: events and events[-1]["event"] == "done", timeout=20)
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert failures == []
    # Five, and more where Qt itself sends a request again whose connection was cut before its answer was read.
    assert 5 <= len(server.requests) <= 7


def test_a_stream_that_cannot_be_taken_up_again_fails_once(host, server, follow, monkeypatch):
    monkeypatch.setattr(streams, "RETRY_MS", (5, 5, 5))

    def answer(handler):
        handler.stream()
        handler.drop()

    server.answer["GET", "/v1/jobs/1/events"] = answer
    _events, failures = follow()
    host.spin(until=lambda: failures)
    host.spin(seconds=0.1)
    assert len(failures) == 1
    assert failures[0].code == "connection_dropped"
    assert len(server.requests) >= 4  # Qt may send one again by itself


def test_a_silent_stream_is_opened_anew(host, server, follow, monkeypatch):
    monkeypatch.setattr(streams, "SILENCE_MS", 200)
    calls = []

    def answer(handler):
        calls.append(1)
        handler.stream()
        if len(calls) == 1:
            handler.chunk(line(1, "started"))
            time.sleep(1.0)
        else:
            handler.chunk(line(2, "done"))
            handler.chunk(b"")

    server.answer["GET", "/v1/jobs/1/events"] = answer
    events, _failures = follow()
    host.spin(until=lambda: len(events) == 2)
    assert [event["event"] for event in events] == ["started", "done"]


def test_a_stream_of_a_lost_session_says_so_and_is_not_retried(host, server, client, follow):
    server.answer["GET", "/v1/jobs/1/events"] = lambda handler: handler.json(
        {"error": {"code": "session_lost", "message": "This session has ended."}}, 410
    )
    client.session = "s1"
    _events, failures = follow()
    host.spin(until=lambda: failures)
    assert failures[0].code == "session_lost"
    assert client.session == ""
    assert len(server.requests) == 1


def test_rubbish_in_a_stream_ends_it_with_a_reason(host, server, follow):
    def answer(handler):
        handler.stream()
        handler.chunk(line(1, "started") + b"<html>\n")
        handler.chunk(b"")

    server.answer["GET", "/v1/jobs/1/events"] = answer
    events, failures = follow()
    host.spin(until=lambda: failures)
    assert [event["event"] for event in events] == ["started"]
    assert failures[0].code == "not_an_engine"


def test_ten_thousand_events_at_once_leave_the_event_loop_free(host, server, follow):
    data = b"".join(line(n, "progress", done=n, total=10_000, stage="slices") for n in range(1, 10_001)) + line(
        10_001, "done"
    )

    def answer(handler):
        handler.stream()
        handler.chunk(data)
        handler.chunk(b"")

    server.answer["GET", "/v1/jobs/1/events"] = answer
    events, _failures = follow()
    handed = [0]
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: handed.append(len(events)))
    timer.start(0)
    host.spin(until=lambda: events and events[-1]["event"] == "done", timeout=30)
    timer.stop()
    assert [event["seq"] for event in events] == list(range(1, 10_002))
    assert max(after - before for before, after in itertools.pairwise(handed)) < 5000


# TLS


def test_an_unknown_certificate_is_refused_and_said(tlsServer, ask):
    tlsServer.answer["GET", "/v1/models"] = lambda handler: handler.json([])
    client = EngineClient(tlsServer.url, TOKEN)
    ((failure, _),) = ask(client, "GET", "/v1/models")
    assert failure.code == "certificate"
    assert tlsServer.requests == []  # the token did not leave
    client.close()


def test_a_certificate_given_by_file_is_accepted(tlsServer, ask):
    tlsServer.answer["GET", "/v1/models"] = lambda handler: handler.json([])
    client = EngineClient(tlsServer.url, TOKEN, tlsServer.certificate)
    assert ask(client, "GET", "/v1/models") == [(None, [])]
    client.close()


def test_a_certificate_file_that_is_none_is_told(tmp_path):
    (tmp_path / "a.pem").write_text("nothing")
    for name in ("a.pem", "absent.pem"):
        with pytest.raises(AddressError, match=r"a\.pem|absent\.pem"):
            EngineClient("https://gpu.example.org", TOKEN, str(tmp_path / name))


# Test connection


@pytest.mark.parametrize("case", ["well", "wrong token", "no server", "no address", "another version"])
def test_the_test_of_a_connection_tells_one_sentence(host, server, settings, case):
    server.answer["GET", "/protocol"] = lambda handler: handler.json(
        {"name": "unibiomed", "protocol": 3 if case == "another version" else 1, "version": "0.1.0"}
    )
    refused = {"error": {"code": "unauthorized", "message": "No."}}
    server.answer["GET", "/v1/capabilities"] = lambda handler: (
        handler.json(refused, 401)
        if case == "wrong token"
        else handler.json({"version": "0.1.0", "model": {"title": "UniBiomed-Mini"}, "device": {"name": "CPU"}})
    )
    settings.remoteUrl = {"no address": "", "no server": "127.0.0.1:9"}.get(case, server.url)
    settings.remoteToken = TOKEN
    told = []
    ConnectionTest(settings, lambda ok, sentence: told.append((ok, sentence))).start()
    host.spin(until=lambda: told)
    ((ok, sentence),) = told
    assert ok == (case == "well")
    expected = {
        "well": "UniBiomed-Mini",
        "wrong token": "token",
        "no server": "127.0.0.1:9",
        "no address": "address",
        "another version": "protocol 3",
    }
    assert expected[case] in sentence
