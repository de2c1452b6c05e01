# SPDX-License-Identifier: Apache-2.0
"""Settings in a file of their own, and environments in a folder of their own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import qt
from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.Settings import Settings


@pytest.fixture
def store(host, tmp_path):
    return Settings(qt.QSettings(str(tmp_path / "Slicer.ini"), qt.QSettings.IniFormat))


@pytest.fixture
def root(tmp_path):
    """A folder with a blank and an umlaut in its name, as users' folders have them."""
    return tmp_path / "Slicer data ä" / "UniBiomed"


@pytest.fixture
def environment(host, store, root, monkeypatch):
    monkeypatch.delenv("UNIBIOMED_INTERPRETER", raising=False)
    # uv of the tests' own environment, as a user has it on PATH.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    made = Environment(store, root)
    yield made
    made.cleanup()


@pytest.fixture
def outcome(host):
    """Waits for a ``finished(ok, message)`` signal: ``outcome(signal, action, timeout) -> (ok, message)``."""

    def wait(signal, action, timeout=30.0):
        results = []
        listener = signal.connect(lambda *arguments: results.append(arguments))
        action()
        try:
            host.spin(until=lambda: results, timeout=timeout)
        finally:
            signal.disconnect(listener)
        host.spin()
        assert len(results) == 1
        return results[0]

    return wait


@pytest.fixture(scope="session")
def wheels():
    """A folder with PyTorch's wheel for the processor; tests that install for real are skipped without one."""
    folder = Path(os.environ.get("UNIBIOMED_TEST_WHEELS", os.environ.get("PIP_FIND_LINKS", "/nowhere")))
    if not list(folder.glob("torch-*.whl")):
        pytest.skip("no torch wheel at hand (UNIBIOMED_TEST_WHEELS)")
    if shutil.which("uv", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("no uv in the tests' environment")
    return folder
