# SPDX-License-Identifier: Apache-2.0
"""The engine as a child process, as 3D Slicer starts it: ready soon, and gone when its parent is."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

COMMAND = [sys.executable, "-m", "unibiomed.cli", "serve", "--stdio"]
START = {"protocol": 1, "token": "0123456789abcdef-child", "model": "mini", "device": "cpu", "log_level": "warning"}


class Child:
    """An engine started over pipes."""

    def __init__(self, **start):
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.begun = time.monotonic()
        self.process.stdin.write(json.dumps({**START, **start}).encode() + b"\n")
        self.process.stdin.flush()
        self.answer = json.loads(self.process.stdout.readline())
        self.seconds = time.monotonic() - self.begun

    def __enter__(self):
        headers = {"Authorization": f"Bearer {START['token']}", "UniBiomed-Protocol": "1"}
        url = f"http://127.0.0.1:{self.answer.get('port', 1)}"
        self.client = httpx.Client(base_url=url, headers=headers, timeout=120)
        return self

    def __exit__(self, *error):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.process.stdin.close()
        self.process.stdout.close()

    def seconds_to_end_after(self, action):
        begun = time.monotonic()
        action()
        self.process.wait(30)
        return time.monotonic() - begun


def begin_a_long_job(child, array):
    """A job on 200 slices, at work."""
    client = child.client
    session = client.post("/v1/sessions").json()
    assert session["lease_seconds"] >= 600
    client.headers["UniBiomed-Session"] = session["session"]
    load = client.post("/v1/models/load", json={"model": "mini", "device": "cpu"}).json()["job"]
    request = {
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "ijk_to_ras": [[-2, 0, 0, 0], [0, -2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]],
        "modality": "CT",
        "bytes": array.nbytes,
    }
    volume = client.post("/v1/volumes", json=request).json()["volume"]
    sent = client.put(f"/v1/volumes/{volume}/data?offset=0", content=array.tobytes())
    assert sent.json()["complete"]
    with client.stream("GET", f"/v1/jobs/{load}/events") as stream:
        assert json.loads(list(stream.iter_lines())[-1])["event"] == "done"
    body = {"task": "segment", "volume": volume, "parameters": {"targets": ["liver", "spleen"]}}
    job = client.post("/v1/jobs", json=body).json()["job"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        for line in stream.iter_lines():
            if json.loads(line).get("done", 0) > 0:
                return


@pytest.fixture(scope="module")
def many_slices():
    import numpy as np

    return np.random.default_rng(0).integers(-1000, 400, (200, 128, 128)).astype(np.int16)


def test_the_engine_is_ready_soon_tells_its_port_and_ends_with_stdin():
    with Child() as child:
        assert child.answer == {**child.answer, "event": "ready", "protocol": 1, "pid": child.process.pid}
        assert child.client.get("/protocol").json()["protocol"] == 1
        assert psutil.Process(child.process.pid).memory_info().rss < 150 << 20
        assert child.seconds_to_end_after(child.process.stdin.close) < 3
        assert child.process.returncode == 0
        assert child.process.stdout.read() == b""


def test_only_the_agreed_token_is_taken_and_only_loopback_is_listened_on():
    with Child() as child:
        assert child.client.get("/v1/models", headers={"Authorization": "Bearer other"}).status_code == 401
        assert child.client.get("/v1/models").status_code == 200
        addresses = {item.laddr.ip for item in psutil.Process(child.process.pid).net_connections("inet")}
        assert addresses == {"127.0.0.1"}
        assert START["token"] not in " ".join(psutil.Process(child.process.pid).cmdline())


def test_stdin_closed_in_the_middle_of_a_job_ends_the_process_at_once(many_slices):
    with Child() as child:
        begin_a_long_job(child, many_slices)
        assert child.seconds_to_end_after(child.process.stdin.close) < 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_parent_takes_the_engine_with_it_even_if_a_sibling_holds_the_pipe(tmp_path: Path):
    script = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({COMMAND!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        f"p.stdin.write({(json.dumps(START) + chr(10)).encode()!r}); p.stdin.flush()\n"
        "p.stdout.readline()\n"
        "s = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], pass_fds=[p.stdin.fileno()])\n"
        "print(p.pid, s.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    engine, sibling = (int(word) for word in parent.stdout.readline().split())
    try:
        begun = time.monotonic()
        parent.kill()
        parent.wait(30)
        while psutil.pid_exists(engine) and psutil.Process(engine).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() - begun < 3
            time.sleep(0.02)
    finally:
        os.kill(sibling, signal.SIGKILL)
        parent.stdout.close()


def test_a_client_can_ask_for_the_end():
    with Child() as child:
        assert child.seconds_to_end_after(lambda: child.client.post("/v1/shutdown")) < 4
        assert child.process.returncode == 0


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ({"protocol": 2}, "protocol_mismatch"),
        ({"protocol": None}, "protocol_mismatch"),
        ({"token": "short"}, "bad_start"),
        ({"token": "a token with blanks"}, "bad_start"),
    ],
)
def test_another_protocol_or_a_weak_token_is_refused_in_words(start, code):
    with Child(**start) as child:
        assert (child.answer["event"], child.answer["code"]) == ("refused", code)
        assert child.process.wait(30) == 3


@pytest.mark.parametrize("line", [b"hello\n", b"", b"[1]\n"])
def test_a_start_line_that_is_none_is_refused(line):
    done = subprocess.run(COMMAND, input=line, capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["event"] == "refused"


def test_the_end_of_the_input_is_noticed_whatever_is_sent_before():
    from unibiomed.server.watching import wait_for_end_of_file

    reading, writing = os.pipe()
    watcher = threading.Thread(target=wait_for_end_of_file, args=(reading,))
    watcher.start()
    os.write(writing, b"more\n" * 1000)
    watcher.join(0.1)
    assert watcher.is_alive()
    os.close(writing)
    watcher.join(10)
    assert not watcher.is_alive()
    os.close(reading)
