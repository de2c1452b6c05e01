# SPDX-License-Identifier: Apache-2.0
"""A server in a thread, and a client of it."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, Self

import httpx
import numpy as np
from unibiomed.server.app import create_app
from unibiomed.server.running import listen, make_server

bench = sys.modules["unibiomed_engine_bench"]
TOKEN = "0123456789abcdef-test"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "UniBiomed-Protocol": "1"}


def request_for(array: np.ndarray, **changes: Any) -> dict[str, Any]:
    """The JSON of POST /v1/volumes for an array that will be sent as it is."""
    told = bench.describe(array)
    return {
        "sha256": told.sha256,
        "shape": list(told.shape),
        "dtype": told.dtype,
        "ijk_to_ras": [list(row) for row in told.ijk_to_ras],
        "modality": "CT",
        "spatial": True,
        "name": "torso",
        "window_hint": None,
        "encoding": "raw",
        "bytes": told.encoded_bytes,
        **changes,
    }


class Served:
    """A rig (see ``engine_bench``) behind a socket; ``client`` speaks the protocol in a session of its own."""

    def __init__(self, model: Any = None, *, prepared: bool = True, shutdown: bool = False, **limits: Any) -> None:
        self.rig = bench.Rig(model, **limits)
        self.engine, self.model = self.rig.engine, self.rig.model
        self.asked_to_stop = threading.Event()
        self._prepared = prepared
        app = create_app(self.engine, token=TOKEN, shutdown=self.asked_to_stop.set if shutdown else None)
        ready = threading.Event()
        self._socket = listen("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self._server = make_server(
            app, lambda port: ready.set(), connections=self.engine.limits.connections, log_level="error"
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        assert ready.wait(bench.PATIENCE_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.client = httpx.Client(base_url=self.url, headers=HEADERS, timeout=bench.PATIENCE_S)
        if self._prepared:
            self.session = self.open_session(self.client)
            self.wait(self.client.post("/v1/models/load", json={"model": "test"}).json()["job"])
            self.volume = self.send(bench.torso())
        return self

    def __exit__(self, *error: object) -> None:
        self.model.hold.set()
        self.client.close()
        self._server.stop()
        self._thread.join(bench.PATIENCE_S)
        assert not self._thread.is_alive()

    @staticmethod
    def open_session(client: httpx.Client) -> str:
        session = client.post("/v1/sessions").json()["session"]
        client.headers["UniBiomed-Session"] = session
        return session

    def other_client(self) -> httpx.Client:
        """A client in a session of its own."""
        client = httpx.Client(base_url=self.url, headers=HEADERS, timeout=bench.PATIENCE_S)
        self.open_session(client)
        return client

    def send(self, array: np.ndarray) -> str:
        volume = self.client.post("/v1/volumes", json=request_for(array)).json()
        if not volume["complete"]:
            self.client.put(f"/v1/volumes/{volume['volume']}/data?offset=0", content=array.tobytes()).raise_for_status()
        return volume["volume"]

    def submit(self, task: str = "segment", **parameters: Any) -> str:
        if task == "segment":
            parameters.setdefault("targets", ["liver"])
        body = {"task": task, "volume": self.volume, "parameters": parameters}
        answer = self.client.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["job"]

    def wait(self, job: str, after: int = 0) -> list[dict[str, Any]]:
        """The events of a job, followed to its end."""
        with self.client.stream("GET", f"/v1/jobs/{job}/events?after={after}") as stream:
            return [event for line in stream.iter_lines() if (event := json.loads(line))["event"] != "alive"]

    def start_and_hold(self, task: str = "segment", **parameters: Any) -> str:
        self.rig.hold()
        job = self.submit(task, **parameters)
        assert self.model.reached.wait(bench.PATIENCE_S)
        return job

    def serves(self) -> bool:
        """Whether a whole job can still be done."""
        return self.wait(self.submit())[-1]["event"] == "done"


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that must be an error in the documented form."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    message = body["error"]["message"]
    assert message.endswith(".")
    assert "\n" not in message
    assert "Traceback" not in message
    return answer.status_code, body["error"]["code"]
