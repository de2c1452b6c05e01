# SPDX-License-Identifier: Apache-2.0
"""The module UniBiomed Report in the stand-in, with an engine whose answers a test gives."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "Testing" / "host"))
sys.path.append(str(ROOT / "UniBiomedReport"))

SHAPE = (14, 96, 110)


def phantomArray() -> np.ndarray:
    """Values in HU like those of a body: air, soft tissue, something brighter in it."""
    array = np.full(SHAPE, -1000, np.int16)
    k, j, i = np.indices(SHAPE)
    body = ((j - 48) / 40) ** 2 + ((i - 55) / 50) ** 2 < 1
    array[body] = 40
    array[body & (((j - 40) / 12) ** 2 + ((i - 40) / 14) ** 2 + ((k - 7) / 5) ** 2 < 1)] = 160
    array[:, :, 0] += np.arange(14, dtype=np.int16)[:, None]
    return array


@pytest.fixture
def engine(host):
    """The stand-in's engine; jobs go when the test says so (``engine.autoplay = True``: by themselves)."""
    import slicer
    from fake_engine import FakeEngineService

    service = FakeEngineService()
    service.autoplay = False
    slicer.modules.UniBiomedEngineService = service
    return service


@pytest.fixture
def volume(host, engine):
    """A CT-like volume, shown in the slice views."""
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    affine[:3, 3] = (110, 96, -35)
    node = host.addVolume(phantomArray(), affine, name="CT phantom")
    host.showVolume(node)
    return node


@pytest.fixture
def module(host, engine, volume):
    """The module's widget with the volume chosen, and what is in it by short names."""
    widget = host.loadModule("UniBiomedReport")
    ui = widget.ui
    assert ui.volumeSelector.currentNode() is volume
    return SimpleNamespace(
        widget=widget, ui=ui, logic=widget.logic, read=widget.readPanel, report=widget.reportPanel,
        view=widget.reportPanel.view, table=widget.reportPanel.table,
    )  # fmt: skip
