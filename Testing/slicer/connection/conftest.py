# SPDX-License-Identifier: Apache-2.0
"""The real engine with the bundled model as a child process, and volumes to send to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from UniBiomedSlicerLib.EngineService import EngineService


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture()
def settings():
    """What the service reads of the settings; changed freely by a test."""
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


@pytest.fixture()
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


@pytest.fixture()
def service(makeService):
    """A service whose engine was not started yet."""
    return makeService()


@pytest.fixture()
def ready(host, service):
    """A service whose engine is ready."""
    service.start()
    host.spin(until=lambda: service.state == "ready", timeout=60)
    return service


def torso(shape=(12, 96, 96), seed=3):
    """A CT phantom of the abdomen: voxels, matrix, truth."""
    from unibiomed.phantoms import generate_volume

    return generate_volume("CT", seed, shape)


@pytest.fixture(scope="session")
def phantom():
    """One CT phantom for the whole session."""
    return torso()


@pytest.fixture()
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


@pytest.fixture()
def record():
    """``record(job)`` listens to a job."""
    return Record


@pytest.fixture()
def run(host):
    """``run(service, task, node, parameters)``: submit, listen, wait for the end."""

    def run(service, task, node, parameters=None, modality="CT", timeout=60):
        told = Record(service.submit(task, node, parameters, modality))
        host.spin(until=lambda: told.ends, timeout=timeout)
        return told

    return run


os.environ.setdefault("OMP_NUM_THREADS", "1")
