# SPDX-License-Identifier: Apache-2.0
"""The managed environment for real: uv, PyTorch, the engine of this extension, and its ready hand-shake."""

from __future__ import annotations

import json

import pytest
from UniBiomedSlicerLib.EngineService import EngineService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_from_nothing_to_an_engine_that_answers_and_back_to_nothing(environment, host, store, root, wheels, outcome):
    store.wheelsFolder = str(wheels)
    told = []
    environment.progressed.connect(lambda text, fraction: told.append((text, fraction)))
    with host.stallMeter() as meter:
        ok, message = outcome(environment.finished, environment.install, 500)
    assert ok, message + "\n" + "\n".join(environment.log[-30:])
    assert meter.own < 0.25
    assert any("Installing PyTorch" in text for text, _fraction in told)
    assert json.loads((root / "environment.json").read_text())["environment"]["variant"] == "cpu"
    assert environment.state().kind == "ready"

    service = EngineService(store, environment.pythonPath)
    service.start()
    host.spin(until=lambda: service.state == "ready" or service.state == "crashed", timeout=90)
    assert service.state == "ready", service.stateText + service.log
    assert service.capabilities["version"] == environment.version()
    assert service.capabilities["model"]["name"] == "mini"
    service.stop()
    host.spin(until=lambda: service.state == "stopped", timeout=15)
    service.cleanup()

    # What is in the cache makes the second environment in seconds, beside the first until it is complete.
    before = environment.pythonPath()
    ok, message = outcome(environment.finished, environment.install, 200)
    assert ok, message
    assert environment.pythonPath() != before
    assert len(list(root.glob("env-*"))) == 1

    ok, message = outcome(environment.finished, environment.remove, 200)
    assert ok, message
    assert [path.name for path in root.iterdir()] == ["install.log"]


def test_a_real_installation_that_is_cancelled_leaves_no_environment(environment, host, store, root, wheels, outcome):
    store.wheelsFolder = str(wheels)
    lines = []
    environment.lineArrived.connect(lines.append)

    def cancelAmidPackages():
        environment.install()
        host.spin(until=lambda: any("torch" in line and "pip install" in line for line in lines), timeout=60)
        host.spin(seconds=0.5)
        environment.cancel()

    ok, message = outcome(environment.finished, cancelAmidPackages, 60)
    assert not ok
    assert message.startswith("Cancelled")
    assert not list(root.glob("env-*")) + list(root.glob(".removing-*"))
    assert environment.pythonPath() is None


def test_without_a_network_the_real_uv_says_why(environment, store, root, wheels, outcome):
    store.indexUrl = "http://127.0.0.1:9/simple"
    store.wheelsFolder = str(wheels)
    ok, message = outcome(environment.finished, environment.install, 120)
    assert not ok
    assert message.startswith("Installing PyTorch failed: ")
    assert "127.0.0.1:9" in message
    assert "Connection refused" in message or "connect" in message
    assert "Check the network" in message
    assert "\n" not in message
    assert not list(root.glob("env-*"))


def test_uv_is_fetched_by_slicers_pip_after_consent(environment, store, root, outcome, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name, *rest, **more: None)
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nowhere")
    monkeypatch.setenv("HOME", str(root.parent))
    assert environment.needsUv()
    store.uvConsent = True
    # An index that is not there: only the fetching of uv itself is of interest.
    store.torchIndexUrl = "http://127.0.0.1:9/whl"
    ok, message = outcome(environment.finished, environment.install, 200)
    assert not ok
    if message.startswith("Fetching uv failed"):
        pytest.skip("no package index can be reached from here")
    assert not environment.needsUv()
    assert list((root / "tools").glob("bin/uv*"))
