# SPDX-License-Identifier: Apache-2.0
"""An engine over a model that knows the answers, whose speed and memory the tests decide."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).with_name("engine_bench.py")


def _load_bench() -> ModuleType:
    name = "unibiomed_engine_bench"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCH)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """The module ``engine_bench.py`` beside this file."""
    return _load_bench()


@pytest.fixture
def rig(bench) -> Iterator:
    """An engine at work with the torso as its volume, in one session."""
    with bench.Rig() as made:
        yield made
