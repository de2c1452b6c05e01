# SPDX-License-Identifier: Apache-2.0
"""What happens when the engine, or Slicer itself, is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SEGMENT = {"targets": ["liver"], "site": "abdomen"}
READY_SECONDS = 150


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def sceneState(host):
    """What must not change when an engine dies: the nodes and the voxels."""
    scene = host.slicer.mrmlScene
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    voxels = [
        hash(host.slicer.util.arrayFromVolume(node).tobytes())
        for node in nodes
        if node.IsA("vtkMRMLScalarVolumeNode") and node.GetImageData() is not None
    ]
    return [node.GetID() for node in nodes], voxels


def killWhile(host, service, record, moment, generator, phantom):
    """Bring the engine to ``moment``, kill it there, and return what the job told (None: there was none)."""
    told = None
    if moment == "loading":
        service.start()
        host.spin(until=lambda: service.state == "loading", timeout=READY_SECONDS)
        host.spin(seconds=generator.random() * 0.4)
        os.kill(service.pid, signal.SIGKILL)
        return None
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=READY_SECONDS)
    if moment == "uploading":
        array = np.random.default_rng(generator.randrange(99)).integers(0, 999, (48, 512, 512)).astype(np.int16)
        told = record(service.submit("segment", host.addVolume(array), SEGMENT, "CT"))
        sent = []
        told.job.progressed.connect(lambda stage, fraction, left: stage == "uploading" and sent.append(fraction))
        enough = generator.random() * 0.8
        host.spin(until=lambda: sent and sent[-1] >= enough, timeout=60)
    elif moment in ("running", "sending"):
        node = host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras)
        told = record(service.submit("interpret", node, {}, "CT"))
        if moment == "running":
            host.spin(until=lambda: told.job.state == "running", timeout=60)
        else:  # while masks are on their way to us
            enough = generator.randrange(1, 6)
            host.spin(until=lambda: len(told.masks) + len(told.texts) >= enough or told.ends, timeout=60)
    os.kill(service.pid, signal.SIGKILL)
    return told


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["idle", "loading", "uploading", "running", "sending"])
def test_an_engine_killed_four_times_is_told_four_times_and_starts_again(
    host, service, record, run, phantom, moment, caplog
):
    generator = random.Random(moment)
    for _ in range(4):
        before = sceneState(host)
        told = killWhile(host, service, record, moment, generator, phantom)
        added = host.slicer.mrmlScene.GetNumberOfNodes() - len(before[0])
        host.spin(until=lambda: service.state == "crashed", timeout=10)
        assert "SIGKILL" in service.stateText
        assert "start it again" in service.stateText
        assert service.pid == 0
        assert service.capabilities is None
        if told is not None:
            assert len(told.ends) == 1
            if told.ends == ["failed"]:  # a small job may have been done just before
                assert told.job.code == "engine_crashed"
                assert "SIGKILL" in told.job.message
            else:
                assert moment == "sending"
        after = sceneState(host)
        assert after[0][: len(before[0])] == before[0]
        assert len(after[0]) == len(before[0]) + added  # nothing but the test's own volume was added
        assert after[1][: len(before[1])] == before[1]
    node = host.addVolume(np.array(phantom.volume.array), phantom.volume.ijk_to_ras)
    service.start()
    assert run(service, "segment", node, SEGMENT, timeout=READY_SECONDS).ends == ["done"]
    assert "failed" not in caplog.text


def test_a_submission_after_a_crash_starts_the_engine_but_never_in_a_loop(
    host, makeService, volumeNode, record, tmp_path
):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'MemoryError' >&2\nexit 1\n")
    python.chmod(0o755)
    service = makeService(str(python))
    starts = []
    service.logLine.connect(lambda line: line.startswith("Starting") and starts.append(line))
    for _ in range(2):
        told = record(service.submit("segment", volumeNode, SEGMENT, "CT"))
        host.spin(until=lambda told=told: told.ends, timeout=20)
        assert told.ends == ["failed"]
        assert "Memory ran out" in told.job.message
    host.spin(seconds=0.5)
    assert len(starts) == 2  # one for each submission, none by itself
    for _ in range(2):
        service.supervisor.policy.failed()
    told = record(service.submit("segment", volumeNode, SEGMENT, "CT"))
    host.spin(until=lambda: told.ends)
    assert "in a row" in told.job.message
    assert len(starts) == 2
    service.start()  # but the user may
    host.spin(until=lambda: len(starts) == 3)
    host.spin(until=lambda: service.state == "crashed")


def test_no_environment_is_told_and_nothing_is_started(host, makeService, volumeNode, record):
    service = makeService(None)
    told = record(service.submit("segment", volumeNode, SEGMENT, "CT"))
    host.spin(until=lambda: told.ends)
    assert service.state == "notInstalled"
    assert told.job.code == "not_installed"
    assert "module UniBiomed" in told.job.message


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting", "loading", "ready", "running"])
def test_when_slicer_is_killed_its_engine_is_gone_within_three_seconds(moment):
    script = Path(__file__).with_name("slicer_stand_in.py")
    began = time.monotonic()
    if moment in ("starting", "loading"):
        # Until it has read this code it cannot notice anything; how long that takes is the machine's doing.
        code = "import unibiomed.server.child, unibiomed.model.loading"
        subprocess.run([sys.executable, "-c", code], check=True)
    reading = time.monotonic() - began
    slicer = subprocess.Popen([sys.executable, str(script), moment], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        pid = int(slicer.stdout.readline())
        assert alive(pid)
    finally:
        slicer.send_signal(signal.SIGKILL)
        slicer.wait()
    began = time.monotonic()
    while alive(pid) and time.monotonic() - began < 30:
        time.sleep(0.02)
    took = time.monotonic() - began
    print(f"the engine was gone {took:.2f} s after Slicer ({moment})")
    assert took < 3 + reading


@pytest.mark.slow
def test_when_the_service_is_cleaned_up_the_engine_is_gone_at_once(host, makeService):
    service = makeService()
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=READY_SECONDS)
    pid = service.pid
    service.cleanup()
    host.spin(until=lambda: not alive(pid), timeout=3)
