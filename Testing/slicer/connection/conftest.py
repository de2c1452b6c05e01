# SPDX-License-Identifier: Apache-2.0
"""The real engine with the bundled model as a child process, and volumes to send to it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from slicerhost import host as stand_in
from UniBiomedSlicerLib.EngineService import EngineService


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


READY_SECONDS = 150  # a loaded machine; a second or two otherwise


def plainSettings():
    """What the service reads of the settings, for an engine of this computer on the CPU."""
    return SimpleNamespace(
        useRemote=False,
        remoteUrl="",
        remoteToken="",
        remoteCaFile="",
        remoteHost="",
        model="mini",
        device="cpu",
        logLevel="info",
        modelsFolder="",
        hubEndpoint="",
        offline=False,
        proxy="",
        consentGiven=lambda host: False,
    )


@pytest.fixture
def settings():
    """Settings that a test changes freely."""
    return plainSettings()


@pytest.fixture
def makeService(host, settings):
    """Services that leave no process behind; ``makeService(python=...)``."""
    made = []

    def make(python: str | None = sys.executable, own: object = None) -> EngineService:
        service = EngineService(own or settings, lambda: python)
        service.history = []
        service.stateChanged.connect(lambda: service.history.append(service.state))
        made.append(service)
        return service

    yield make
    pids = [service.pid for service in made if service.pid]
    for service in made:
        service.cleanup()
    host.spin(until=lambda: not any(alive(pid) for pid in pids), timeout=5)


@pytest.fixture
def service(makeService):
    """A service whose engine was not started yet."""
    return makeService()


@pytest.fixture
def ready(host, service):
    """A service of its own whose engine is ready."""
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=READY_SECONDS)
    return service


@pytest.fixture(scope="session")
def sharedService():
    """One engine for all the tests that leave it as it was."""
    service = EngineService(plainSettings(), lambda: sys.executable)
    yield service
    service.stop()
    # The session ends behind this, and with it the event loop in which Qt sees that the child has ended.
    stand_in.start().spin(until=lambda: not service.pid, timeout=20)
    service.cleanup()


@pytest.fixture
def shared(host, sharedService):
    """The shared engine, ready."""
    sharedService.start()
    host.spin(until=lambda: sharedService.state == "ready", timeout=READY_SECONDS)
    yield sharedService
    host.spin(until=lambda: sharedService.isIdle, timeout=60)


def torso(shape=(12, 96, 96), seed=3):
    """A CT phantom of the abdomen: voxels, matrix, truth."""
    from unibiomed.phantoms import generate_volume

    return generate_volume("CT", seed, shape)


@pytest.fixture(scope="session")
def phantom():
    """One CT phantom for the whole session."""
    return torso()


@pytest.fixture
def volumeNode(host, phantom):
    """The phantom in the scene."""
    return host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras, "Torso")


class Record:
    """What a job told, in order."""

    def __init__(self, job):
        self.job = job
        self.progress, self.texts, self.masks, self.notices, self.ends, self.states = [], [], [], [], [], [job.state]
        job.stateChanged.connect(lambda job: self.states.append(job.state))
        job.progressed.connect(lambda *told: self.progress.append(told))
        job.textGrew.connect(self.texts.append)
        job.maskArrived.connect(self.masks.append)
        job.noticed.connect(self.notices.append)
        job.finished.connect(lambda job: self.ends.append(job.state))


@pytest.fixture
def record():
    """``record(job)`` listens to a job."""
    return Record


@pytest.fixture
def run(host):
    """``run(service, task, node, parameters)``: submit, listen, wait for the end."""

    def run(service, task, node, parameters=None, modality="CT", timeout=60):
        told = Record(service.submit(task, node, parameters, modality))
        host.spin(until=lambda: told.ends, timeout=timeout)
        return told

    return run


os.environ.setdefault("OMP_NUM_THREADS", "1")


class ScriptedServer:
    """An HTTP server whose answers a test writes: ``answer[method, path] = function(handler)``."""

    def __init__(self, context: ssl.SSLContext | None = None):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                """Nothing to the terminal."""

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                outer.requests.append(
                    (self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, self.body)
                )
                path = self.path.split("?")[0]
                action = outer.answer.get((self.command, path))
                if action is None:
                    self.json({"error": {"code": "not_found", "message": "Not here."}}, 404)
                else:
                    action(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def json(self, document, status=200):
                self.bytes(json.dumps(document).encode(), status)

            def bytes(self, data, status=200, kind="application/json", **headers):
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def stream(self):
                """Begin a chunked answer; ``chunk`` goes on, b"" ends it."""
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def chunk(self, data):
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def drop(self):
                """Cut the connection."""
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        self.answer: dict = {}
        self.requests: list = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    """A scripted HTTP server on loopback."""
    made = ScriptedServer()
    yield made
    made.close()


@pytest.fixture
def tlsServer(tmp_path):
    """The same over TLS, with a certificate for 127.0.0.1 that nobody knows (``.certificate``)."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    outputs = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *outputs], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made = ScriptedServer(context)
    made.certificate = str(certificate)
    yield made
    made.close()
