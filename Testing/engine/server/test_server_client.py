# SPDX-License-Identifier: Apache-2.0
"""A Python program uses an engine elsewhere as if it were here."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.server.client import Client, EngineError
from unibiomed.tasks import segment
from unibiomed.volumes import Volume


@pytest.fixture
def torso(bench):
    return Volume(bench.torso(), np.array(bench.AFFINE), "CT")


def test_a_result_from_elsewhere_is_the_one_made_here(served, serving, bench, torso):
    with Client(served.url, serving.TOKEN) as client:
        assert client.load_model("test")["name"] == "test"
        events = []
        there = client.run("segment", torso, on_event=events.append, targets=["liver", "spleen"])
        here = segment(bench.Model(), torso, ["liver", "spleen"])
        assert [item.mask for item in there.segments] == [item.mask for item in here.segments]
        assert there.provenance.source.sha256 == here.provenance.source.sha256
        assert events[-1]["event"] == "done"
        assert client.capabilities()["model"]["name"] == "test"
        held = len(served.engine.sessions)
    assert len(served.engine.sessions) == held - 1


def test_a_volume_is_sent_once_and_in_pieces(served, serving, bench, monkeypatch):
    monkeypatch.setattr("unibiomed.server.client._PIECE", 1000)
    array = bench.torso(size=7).astype(">i2")
    with Client(served.url, serving.TOKEN) as client:
        sent = client.send(Volume(array, np.array(bench.AFFINE), "CT"))
        np.testing.assert_array_equal(served.engine.volumes.get(client._session, sent).volume.array, array)
        assert client.send(Volume(array, np.array(bench.AFFINE), "CT")) == sent


def test_what_the_engine_refuses_and_how_a_job_fails_is_raised_in_its_words(served, serving, torso):
    with Client(served.url, serving.TOKEN) as client:
        with pytest.raises(EngineError, match="targets") as refused:
            client.run("segment", torso, targets=[])
        assert refused.value.code == "invalid_request"
        with pytest.raises(EngineError, match="did you mean") as failed:
            client.run("segment", torso, targets=["lever"])
        assert failed.value.code == "invalid_input"
    with pytest.raises(EngineError) as refused:
        Client(served.url, "another token of enough letters")
    assert refused.value.code == "wrong_token"


def test_a_listener_that_raises_cancels_the_job(served, serving, torso, bench):
    with Client(served.url, serving.TOKEN) as client:

        def stop(event):
            if event["event"] == "progress":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            client.run("segment", torso, on_event=stop, targets=["liver"])
        bench.wait_until(lambda: served.engine.jobs.is_idle)


def test_nobody_another_program_and_another_version_are_told_apart(served):
    with pytest.raises(InputError, match="does not answer"):
        Client("http://127.0.0.1:9", "x")
    with answering(b"<html>") as url, pytest.raises(InputError, match="not a UniBiomed engine"):
        Client(url, "x")
    with (
        answering(b'{"name":"unibiomed","protocol":2,"version":"9.0"}') as url,
        pytest.raises(InputError, match="speaks protocol 2"),
    ):
        Client(url, "x")


@contextmanager
def answering(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
