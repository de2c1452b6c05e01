# SPDX-License-Identifier: Apache-2.0
"""What a job costs on Slicer's side: how long the event loop is held up, and what memory stays behind."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import numpy as np
import pytest
import qt

MEGABYTE = 1 << 20


class LoopMeter:
    """The longest time between two turns of the event loop, by the clock and by this thread's processor time.

    The second does not grow when other programs keep the processor busy."""

    def __init__(self):
        self.clock = self.processor = 0.0
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._tick)
        self._last = time.perf_counter(), time.thread_time()
        self._timer.start(1)  # not 0, which would keep a processor busy that the engine needs

    def _tick(self):
        now = time.perf_counter(), time.thread_time()
        self.clock = max(self.clock, now[0] - self._last[0])
        self.processor = max(self.processor, now[1] - self._last[1])
        self._last = now

    def stop(self):
        self._timer.stop()


def resident() -> int:
    """Bytes of memory that this process has in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_a_whole_job_on_a_large_volume_never_holds_up_the_event_loop(host, shared, record):
    array = np.random.default_rng(0).integers(-1000, 1000, (100, 512, 512)).astype(np.int16)
    node = host.addVolume(array)
    meter = LoopMeter()
    told = record(shared.submit("segment", node, {"targets": ["liver"], "site": "abdomen"}, "CT"))
    host.spin(until=lambda: told.ends, timeout=250)
    meter.stop()
    print(f"longest_stall = {1000 * meter.clock:.1f} ms ({1000 * meter.processor:.1f} ms of it this thread's own work)")
    assert told.ends == ["done"], told.job.message
    assert meter.processor < 0.05


@pytest.mark.slow
def test_fifty_jobs_leave_no_memory_behind(host, shared, record, phantom):
    node = host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras)

    def once(number):
        array = np.array(phantom.volume.array)
        array[0, 0, 0] = number  # other voxels each time, to be handed over anew
        host.slicer.util.updateVolumeFromArray(node, array)
        task, more = ("segment", {"targets": ["liver"]}) if number % 2 else ("report", {"slice_index": 5})
        told = record(shared.submit(task, node, more, "CT"))
        host.spin(until=lambda: told.ends, timeout=60)
        assert told.ends == ["done"], told.job.message

    for number in range(10):
        once(number)
    before = resident()
    for number in range(10, 60):
        once(number)
    after = resident()
    print(f"rss before 50 jobs = {before / MEGABYTE:.1f} MB, after = {after / MEGABYTE:.1f} MB")
    assert after - before < 8 * MEGABYTE
    assert shared.isIdle
    host.spin(until=lambda: not shared.supervisor.connection.client._pending)
