# SPDX-License-Identifier: Apache-2.0
"""The same service with a server that was started by hand: TLS, token, consent, and all that can be wrong with it."""

from __future__ import annotations

import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

TOKEN = "remote-token-0123456789abcdef"
ADDRESS = "127.0.0.2"  # reached without a network, and not this computer in the sense of the consent
SEGMENT = {"targets": ["liver"], "site": "abdomen"}


@pytest.fixture(scope="session")
def gpuBox(tmp_path_factory):
    """`unibiomed serve` with TLS, Mini loaded at its start; ``.url``, ``.certificate``."""
    folder = tmp_path_factory.mktemp("server")
    key, certificate, token = folder / "key.pem", folder / "cert.pem", folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=box -addext subjectAltName=IP:{ADDRESS}"
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    arguments = ["--host", ADDRESS, "--port", str(port), "--token-file", str(token), "--device", "cpu"]
    arguments += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "unibiomed.cli", "serve", *arguments], stderr=log, stdout=log)
    try:
        yield SimpleNamespace(url=f"https://{ADDRESS}:{port}", certificate=str(certificate), log=folder / "log")
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def remote(host, makeService, settings, gpuBox):
    """A service whose settings point to the server; not started."""
    settings.useRemote = True
    settings.remoteUrl = gpuBox.url
    settings.remoteHost = gpuBox.url.removeprefix("https://")
    settings.remoteToken = TOKEN
    settings.remoteCaFile = gpuBox.certificate
    service = makeService(None)

    def start(state="ready"):
        """Until the server is up its port answers nobody: try again, as a user would."""
        for _ in range(100):
            service.start()
            host.spin(until=lambda: service.state in (state, "ready", "unreachable", "stopped"), timeout=60)
            if service.state == state or "No UniBiomed server answers" not in service.stateText:
                break
            host.spin(seconds=0.5)
        assert service.state == state, service.stateText

    service.reach = start
    return service


@pytest.mark.slow
def test_a_job_on_a_remote_server_is_done_after_consent_and_leaves_nothing_there(host, remote, run, phantom, gpuBox):
    asked = []
    remote.consentHook = lambda name, answer: (asked.append(name), answer(True))
    remote.reach()
    assert asked
    assert set(asked) == {gpuBox.url.removeprefix("https://")}
    assert remote.isRemote
    assert remote.pid == 0
    assert ADDRESS in remote.stateText
    larger = np.array(phantom.volume.array).repeat(4, 1).repeat(4, 2)
    node = host.addVolume(larger, phantom.volume.ijk_to_ras, "Larger")
    told = run(remote, "segment", node, {**SEGMENT, "slices": [5, 6]}, timeout=120)
    assert told.ends == ["done"], told.job.message
    assert np.allclose(told.job.result["provenance"]["ijk_to_ras"], phantom.volume.ijk_to_ras)
    assert "compressing" in {stage for stage, _fraction, _left in told.progress}
    remote.stop()
    assert remote.state == "stopped"
    host.spin(until=lambda: not any(client._pending for client in remote.supervisor._parting), timeout=10)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["refused", "nobody asks"])
def test_without_consent_nothing_is_sent(host, remote, record, volumeNode, case):
    if case == "refused":
        remote.consentHook = lambda name, answer: answer(False)
    told = record(remote.submit("segment", volumeNode, SEGMENT, "CT"))
    host.spin(until=lambda: told.ends)
    assert told.ends == ["failed"]
    assert told.job.code == "consent"
    assert remote.supervisor.connection is None
    assert remote.state == "stopped"


@pytest.mark.slow
def test_a_wrong_token_is_told_in_words(host, remote, settings):
    settings.consentGiven = lambda name: True
    remote.reach()
    remote.stop()
    settings.remoteToken = "wrong-token-0123456789abcdef"
    remote.reach("unreachable")
    assert "did not accept the access token" in remote.stateText


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted_is_told_in_words(host, remote, settings):
    settings.consentGiven = lambda name: True
    settings.remoteCaFile = ""
    remote.reach("unreachable")
    assert "certificate" in remote.stateText


def test_a_remote_server_of_another_version_is_told_in_words(host, makeService, settings, server, volumeNode, record):
    server.answer["GET", "/protocol"] = lambda handler: handler.json(
        {"name": "unibiomed", "protocol": 2, "version": "2.0.0"}
    )
    settings.useRemote, settings.remoteUrl, settings.remoteToken = True, server.url, TOKEN
    service = makeService(None)
    told = record(service.submit("segment", volumeNode, SEGMENT, "CT"))
    host.spin(until=lambda: told.ends)
    assert service.state == "unreachable"
    assert told.job.code == "protocol_mismatch"
    assert "2.0.0" in told.job.message
    assert [path for _, path, _, _ in server.requests] == ["/protocol"]


@pytest.mark.parametrize("url", ["", "http://gpu.example.org:8443", "not an address"])
def test_an_address_that_cannot_be_used_is_told_in_words(host, makeService, settings, url):
    settings.useRemote, settings.remoteUrl = True, url
    service = makeService(None)
    service.start()
    assert service.state == "unreachable"
    assert service.stateText.endswith(".")


def test_a_server_that_goes_away_is_noticed_by_its_missing_heartbeat(host, makeService, settings, server):
    from UniBiomedSlicerLib import EngineSession as module

    answers = {
        ("GET", "/protocol"): {"name": "unibiomed", "protocol": 1, "version": "0.1.0"},
        ("POST", "/v1/sessions"): {"session": "s1", "lease_seconds": 0.15},
        ("GET", "/v1/capabilities"): {"model": {"name": "mini", "title": "Mini"}, "device": {}, "targets": []},
        ("POST", "/v1/sessions/s1/heartbeat"): {},
    }
    for key, document in answers.items():
        server.answer[key] = lambda handler, document=document: handler.json(document)
    settings.useRemote, settings.remoteUrl, settings.remoteToken = True, server.url, TOKEN
    service = makeService(None)
    service.start()
    host.spin(until=lambda: service.state == "ready")
    beats = lambda: [path for _, path, _, _ in server.requests if path.endswith("heartbeat")]  # noqa: E731
    host.spin(until=lambda: len(beats()) >= 2)
    server.answer["POST", "/v1/sessions/s1/heartbeat"] = lambda handler: handler.drop()
    host.spin(until=lambda: service.state == "unreachable", timeout=20)
    assert service.capabilities is None
    assert module.MISSES == 3
