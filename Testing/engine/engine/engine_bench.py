# SPDX-License-Identifier: Apache-2.0
"""What the tests of the engine and of the server share: a torso, a model that reads it, and an engine around both."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any, Self

import numpy as np
from unibiomed.engine import Engine, Limits
from unibiomed.engine.models import ModelChoice
from unibiomed.engine.volume_store import VolumeDescription

AFFINE = ((-2.0, 0.0, 0.0, 0.0), (0.0, -2.0, 0.0, 0.0), (0.0, 0.0, 3.0, 0.0), (0.0, 0.0, 0.0, 1.0))
PATIENCE_S = 60.0
"""Generous: the tests run beside others on few cores. Nothing waits this long when all is well."""


def _load_fakes() -> Any:
    name = "unibiomed_task_fakes"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "tasks" / "fakes.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Model(_load_fakes().FakeModel):
    """Knows the answers. ``hold`` cleared stops it at its next call until it is set; ``most`` pictures a call fit."""

    def __init__(self, device: str = "cpu", most: int | None = None) -> None:
        super().__init__()
        self.device = device
        self.device_reason = "made for tests"
        self.most = most
        self.cache: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.reached = threading.Event()
        self.sizes: list[int] = []

    def predict(self, image, text, **options):
        self._wait(1)
        return super().predict(image, text, **options)

    def predict_batch(self, images, texts):
        self._wait(len({id(image) for image in images}))
        return super().predict_batch(images, texts)

    def _wait(self, size: int) -> None:
        self.sizes.append(size)
        self.reached.set()
        if not self.hold.wait(PATIENCE_S):
            raise TimeoutError("the test forgot to let the model go on")
        if self.error is not None:
            raise self.error
        if self.most is not None and size > self.most:
            import torch

            raise torch.OutOfMemoryError("made for tests")


def torso(size: int = 0) -> np.ndarray:
    """uint8 [12, 40, 48]: liver 100 on slices 2 to 9, spleen 60 on 4 to 7, tumours 180; ``size`` more rows of 20."""
    array = np.full((12, 40 + size, 48), 20, dtype=np.uint8)
    array[2:10, 8:30, 6:26] = 100
    array[4:8, 10:20, 34:42] = 60
    array[3:6, 12:17, 10:15] = 180
    return array


def describe(array: np.ndarray, **changes: Any) -> VolumeDescription:
    """The description of an array that will be sent as it is."""
    data = np.ascontiguousarray(array)
    told = {
        "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
        "shape": data.shape,
        "dtype": data.dtype.name,
        "ijk_to_ras": AFFINE,
        "encoding": "raw",
        "encoded_bytes": data.nbytes,
        "modality": "CT",
        "name": "torso",
    }
    return VolumeDescription(**{**told, **changes})


def describe_zlib(array: np.ndarray) -> tuple[VolumeDescription, bytes]:
    """The description of an array that will be sent compressed, and what is to be sent."""
    body = zlib.compress(np.ascontiguousarray(array).tobytes(), 1)
    return describe(array, encoding="zlib", encoded_bytes=len(body)), body


def wait_until(true: Any, seconds: float = PATIENCE_S) -> None:
    """Return once ``true()``; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Rig:
    """An engine with a loaded model, a session and (unless ``volume`` is false) the torso in it.

    Its leases are measured with the clock ``now`` (s), which stands still unless a test moves it.
    """

    def __init__(self, model: Model | None = None, *, volume: bool = True, **limits: Any) -> None:
        self.model = model or Model()
        self.loads: list[str] = []
        self.too_small: set[str] = set()
        self.now = 0.0
        folders = {"test": Path(__file__).parent}
        self.engine = Engine(Limits(**limits), loader=self._load, folders=folders, clock=lambda: self.now)
        self._with_volume = volume

    def _load(self, folder: Path, *, device: str, dtype: str, quantize: str | None) -> Model:
        self.loads.append(device)
        if device in self.too_small:
            raise MemoryError
        if device == "cpu" and self.model.device != "cpu":
            return Model()
        return self.model

    def __enter__(self) -> Self:
        self.engine.start()
        self.session = self.engine.sessions.open()
        job = self.engine.load(self.session, ModelChoice("test"))
        self.finish(job)
        if self._with_volume:
            self.volume = self.send(torso())
        return self

    def __exit__(self, *error: object) -> None:
        self.model.hold.set()
        assert self.engine.close(PATIENCE_S)

    def send(self, array: np.ndarray, session: str | None = None) -> str:
        """A volume's id, its data sent whole."""
        session = session or self.session
        item = self.engine.volumes.declare(session, describe(array))
        if not item.complete:
            with self.engine.volumes.writing(session, item.id, 0):
                self.engine.volumes.write(item, np.ascontiguousarray(array).tobytes())
                self.engine.volumes.complete(item)
        return item.id

    def submit(self, task: str = "segment", session: str | None = None, volume: str | None = None, **parameters: Any):
        """A job; a segmentation of the liver where nothing else is said."""
        if task == "segment":
            parameters.setdefault("targets", ["liver"])
        return self.engine.submit(session or self.session, task, volume or self.volume, parameters)

    @staticmethod
    def events(job: Any) -> list[dict[str, Any]]:
        """What the job has told so far."""
        return [json.loads(line) for line in job.log.after(0)[0]]

    def finish(self, job: Any) -> list[dict[str, Any]]:
        """All events of a job, once it is over."""
        wait_until(lambda: job.log.closed)
        return self.events(job)

    def hold(self) -> None:
        """Stop the model at its next call."""
        self.model.hold.clear()
        self.model.reached.clear()

    def start_and_hold(self, task: str = "segment", **parameters: Any):
        """A running job whose model waits in the middle of it."""
        self.hold()
        job = self.submit(task, **parameters)
        assert self.model.reached.wait(PATIENCE_S)
        return job
