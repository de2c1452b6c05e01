# SPDX-License-Identifier: Apache-2.0
"""How long Slicer's event loop stands still at most during a whole job on a volume of 512 x 512 x 100 voxels."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6 import QtCore

pytestmark = pytest.mark.slow

SHAPE = (100, 512, 512)
LIMIT = 0.05


def waitedForAProcessor() -> float:
    """Seconds that this thread was ready to run and no processor was free; 0 where the system does not tell."""
    path = Path("/proc/thread-self/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.is_file() else 0.0


@contextmanager
def stalls():
    """``longest``: seconds between two turns of the event loop, less what other programs took from this one."""
    found = SimpleNamespace(longest=0.0, wall=0.0)
    last = [(time.perf_counter(), waitedForAProcessor())]
    timer = QtCore.QTimer()
    timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)

    def tick() -> None:
        now = (time.perf_counter(), waitedForAProcessor())
        wall = now[0] - last[0][0] - 0.001
        found.wall = max(found.wall, wall)
        found.longest = max(found.longest, wall - (now[1] - last[0][1]))
        last[0] = now

    timer.timeout.connect(tick)
    timer.start(1)
    yield found
    tick()
    timer.stop()


@pytest.fixture
def big(host):
    """The volume, as noise in Hounsfield units."""
    voxels = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    node = host.addVolume(voxels, np.diag([-0.7, -0.7, 2.0, 1.0]), "CTAbdomen")
    host.showVolume(node)
    return node


def told(record_property, what: str, found: SimpleNamespace) -> None:
    record_property(f"longest_stall_{what}", f"{1000 * found.longest:.0f} ms")
    print(f"{what}: longest stall {1000 * found.longest:.0f} ms ({1000 * found.wall:.0f} ms on this loaded machine)")


def leastOf(attempts: int, measure: Any) -> SimpleNamespace:
    """The least of some measurements: what other programs do can only make a stall longer."""
    best = measure()
    for _again in range(attempts - 1):
        if best.longest > LIMIT:
            best = min(best, measure(), key=lambda found: found.longest)
    return best


def test_masks_arrive_and_the_result_is_written_without_a_stall(host, fake, big, openPanel, record_property):
    panel = openPanel()

    def measure() -> SimpleNamespace:
        remaining = panel.applied("liver, spleen, liver tumor").steps()

        def send() -> None:
            if remaining:
                remaining.pop(0)()
                QtCore.QTimer.singleShot(5, send)

        with stalls() as found:
            send()
            host.spin(until=lambda: panel.ui.applyButton.text == "Apply", timeout=240)
            host.spin(seconds=0.3)
        assert panel.names()[:3] == ["liver", "spleen", "liver tumor"]
        return found

    found = leastOf(3, measure)
    told(record_property, "segment_masks", found)
    assert found.longest <= LIMIT


def test_the_volume_is_handed_over_and_read_without_a_stall(host, big, monkeypatch, record_property):
    monkeypatch.setenv("UNIBIOMED_INTERPRETER", sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from UniBiomedSlicerLib.EngineService import engineService

    service = engineService()
    ui = host.loadModule("UniBiomedSegment").ui
    host.choose(ui.modalityComboBox, "CT")
    host.choose(ui.scopeComboBox, "Current slice")
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=150)
    ui.promptLineEdit.setText("liver")

    def measure() -> SimpleNamespace:
        slicer.util.arrayFromVolume(big)[0, 0, 0] += 1  # another volume, so that it is handed over again
        slicer.util.arrayFromVolumeModified(big)
        host.spin(seconds=0.2)
        with stalls() as found:
            host.click(ui.applyButton)
            host.spin(until=lambda: ui.applyButton.text == "Apply", timeout=240)
            host.spin(seconds=0.3)
        assert ui.messageLabel.text == ""
        return found

    found = leastOf(3, measure)
    told(record_property, "segment_job", found)
    service.stop()
    host.spin(until=lambda: service.pid == 0, timeout=20)
    assert found.longest <= LIMIT
