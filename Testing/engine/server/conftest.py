# SPDX-License-Identifier: Apache-2.0
"""The real server on a loopback socket, over an engine whose model the tests control."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def _load(path: Path, name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """The torso, its model and the engine around them."""
    return _load(Path(__file__).parents[1] / "engine" / "engine_bench.py", "unibiomed_engine_bench")


@pytest.fixture(scope="session")
def serving(bench) -> ModuleType:
    """The module ``serving.py`` beside this file."""
    return _load(Path(__file__).with_name("serving.py"), "unibiomed_serving")


@pytest.fixture
def served(serving) -> Iterator:
    """A server with a session, a loaded model and the torso."""
    with serving.Served() as made:
        yield made


@pytest.fixture(scope="module")
def standing(serving) -> Iterator:
    """The same for all tests of a module, which must leave it as it was."""
    with serving.Served() as made:
        yield made
