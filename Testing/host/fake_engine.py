# SPDX-License-Identifier: Apache-2.0
"""A stand-in for ``EngineService`` with jobs that a test drives step by step, or that play themselves.

    fake = FakeEngineService()              # state "ready", autoplay on
    slicer.modules.UniBiomedEngineService = fake
    fake.autoplay = False                   # now the test drives
    fake.jobs[-1].progress("slices", 0.5, 12)
    fake.jobs[-1].finishWith()              # the recorded result of the task, laid over the job's volume

Results are documents that UniBiomed-Mini wrote for a CT phantom (``results/*.json``).
"""

from __future__ import annotations

import base64
import copy
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import qt
import slicer
from UniBiomedSlicerLib import Job as jobs
from UniBiomedSlicerLib.Signal import Signal

RESULTS = Path(__file__).with_name("results")
TASKS = ("segment", "recognise", "report", "answer", "describe", "interpret")
MODALITIES = [
    "CT",
    "MRI",
    "X-Ray",
    "ultrasound",
    "pathology",
    "fundus",
    "OCT",
    "endoscope",
    "dermoscopy",
    "mammography",
]
WINDOWS = ["ct-abdomen", "ct-lung", "ct-bone", "ct-brain", "ct-mediastinum", "percentile", "full", "none"]


def decodeMask(mask: dict[str, Any]) -> tuple[tuple[int, int, int], np.ndarray]:
    """Offset ``(k, j, i)`` and bool box of a mask as it is on the wire."""
    shape = tuple(mask["shape"])
    count = int(np.prod(shape))
    bits = np.frombuffer(zlib.decompress(base64.b64decode(mask["bits"])) if mask["bits"] else b"", np.uint8)
    return tuple(mask["offset"]), np.unpackbits(bits, count=count).reshape(shape).astype(bool)


def encodeMask(full: np.ndarray) -> dict[str, Any]:
    """A bool ``[k, j, i]`` array as a mask on the wire."""
    used = [np.flatnonzero(full.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not used[0].size:
        return {"offset": [0, 0, 0], "shape": [0, 0, 0], "bits": base64.b64encode(zlib.compress(b"")).decode()}
    box = full[tuple(slice(int(u[0]), int(u[-1]) + 1) for u in used)]
    bits = base64.b64encode(zlib.compress(np.packbits(box).tobytes())).decode()
    return {"offset": [int(u[0]) for u in used], "shape": list(box.shape), "bits": bits}


def recordedResult(task: str) -> dict[str, Any]:
    """What Mini answered to ``task`` on the phantom."""
    return json.loads((RESULTS / f"{task}.json").read_text(encoding="utf-8"))


def layOver(document: dict[str, Any], volumeNode: Any) -> dict[str, Any]:
    """``document`` with its masks stretched (nearest voxel) to the size of ``volumeNode``, geometry included."""
    import vtk

    made = copy.deepcopy(document)
    if volumeNode is None or volumeNode.GetImageData() is None:
        return made
    old = tuple(made["provenance"]["shape"])
    new = tuple(reversed(volumeNode.GetImageData().GetDimensions()))
    nearest = [((np.arange(n) + 0.5) * o / n).astype(int) for n, o in zip(new, old, strict=True)]
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    toWorld = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, toWorld)
    vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    rows = [[matrix.GetElement(r, c) for c in range(4)] for r in range(4)]
    made["provenance"]["shape"] = list(new)
    made["provenance"]["ijk_to_ras"] = rows
    voxelMl = abs(float(np.linalg.det(np.array(rows)[:3, :3]))) / 1000
    for segment in made.get("segments", []):
        offset, box = decodeMask(segment["mask"])
        full = np.zeros(old, bool)
        full[tuple(slice(o, o + s) for o, s in zip(offset, box.shape, strict=True))] = box
        full = full[np.ix_(*nearest)]
        if not full.any():
            full[tuple(n // 2 for n in new)] = True
        segment["mask"] = encodeMask(full)
        segment["slices"] = [int(k) for k in np.flatnonzero(full.any(axis=(1, 2)))]
        segment["voxels"] = int(full.sum())
        segment["volume_ml"] = segment["voxels"] * voxelMl
        byOldSlice = {row["slice"]: row for row in segment.get("presence", [])}
        segment["presence"] = [
            {**byOldSlice[int(o)], "slice": k, "pixels": int(full[k].sum())}
            for k, o in enumerate(nearest[0])
            if int(o) in byOldSlice
        ]
    bySegment = {segment["id"]: segment["slices"] for segment in made.get("segments", [])}
    for finding in made.get("findings", []):
        finding["slices"] = sorted({k for one in finding["segments"] for k in bySegment.get(one, [])})
    if isinstance(made.get("slice"), int):
        made["slice"] = min(new[0] - 1, int((made["slice"] + 0.5) * new[0] / old[0]))
        made["provenance"]["slices"] = [made["slice"]]
    else:
        made["provenance"]["slices"] = list(range(new[0]))
    return made


class ScriptedJob(jobs.Job):
    """A job whose events a test sends."""

    def __init__(self, service: FakeEngineService, task: str, volumeNode: Any, parameters: dict, modality: str | None):
        super().__init__(task, volumeNode, parameters, modality, identify=service.identify)
        self.service = service
        self.onCancel(lambda: qt.QTimer.singleShot(0, lambda: self.finish(jobs.CANCELLED, "Cancelled.", "cancelled")))

    def expectedResult(self) -> dict[str, Any]:
        """What ``finishWith()`` gives: ``service.results[task]`` or the recorded result, laid over the volume."""
        if self.task in self.service.results:
            return copy.deepcopy(self.service.results[self.task])
        return layOver(recordedResult(self.task), self.volumeNode())

    def begin(self) -> None:
        """Go to "running"."""
        self.id = self.id or f"fake-{len(self.service.jobs)}"
        self.setState(jobs.RUNNING)

    def progress(self, stage: str = "slices", fraction: float | None = None, secondsLeft: float | None = None) -> None:
        self.begin()
        if not self.hasEnded:
            self.progressed.emit(stage, fraction, secondsLeft)

    def growText(self, text: str) -> None:
        self.begin()
        if not self.hasEnded:
            self.textGrew.emit(text)

    def sendMask(self, mask: dict[str, Any]) -> None:
        """``mask``: {"target", "phrase", "slice", "mask"} as on the wire."""
        self.begin()
        if not self.hasEnded:
            self.maskArrived.emit(mask)

    def sendNotice(self, sentence: str) -> None:
        self.notice(sentence)

    def finishWith(self, result: dict[str, Any] | None = None) -> None:
        self.begin()
        self.finish(jobs.DONE, result=result if result is not None else self.expectedResult())

    def failWith(self, message: str = "The engine could not do this.", code: str = "failed") -> None:
        self.finish(jobs.FAILED, message, code)

    def steps(self) -> list[Callable[[], None]]:
        """Everything that the real engine would send for the expected result, one call an event."""
        result = self.expectedResult()
        made: list[Callable[[], None]] = [lambda: self.setState(jobs.QUEUED), self.begin]
        slices = [(segment, k) for segment in result.get("segments", []) for k in segment["slices"]]
        for number, (segment, k) in enumerate(slices, 1):
            offset, box = decodeMask(segment["mask"])
            plane = np.zeros(tuple(result["provenance"]["shape"]), bool)
            j, i = offset[1], offset[2]
            plane[k, j : j + box.shape[1], i : i + box.shape[2]] = box[k - offset[0]]
            message = {"target": segment["target"], "phrase": segment["phrase"], "slice": k, "mask": encodeMask(plane)}
            made.append(lambda message=message: self.sendMask(message))
            left = (len(slices) - number) * 0.5
            made.append(lambda n=number, left=left: self.progress("slices", n / len(slices), left))
        words = result.get("text", "").split(" ")
        if words != [""]:
            made += [lambda n=n: self.growText(" ".join(words[: n + 1])) for n in range(len(words))]
        made.append(lambda: self.finishWith(result))
        return made

    def play(self, interval: int = 2) -> None:
        """Send ``steps`` by themselves, one every ``interval`` ms."""
        remaining = self.steps()

        def following() -> None:
            if self.hasEnded or not remaining:
                return
            remaining.pop(0)()
            qt.QTimer.singleShot(interval, following)

        qt.QTimer.singleShot(interval, following)


class FakeEngineService:
    """The attributes, signals and methods of ``EngineService``, without an engine.

    ``jobs``: every job submitted, oldest first. ``autoplay``: jobs run by themselves, one event every ``interval``
    ms. ``results``: own documents by task, used as they are. ``calls``: names of the methods called.
    """

    def __init__(self, state: str = "ready", autoplay: bool = True, interval: int = 2) -> None:
        self.state = state
        self.stateText = state
        self.isRemote = False
        self.log = ""
        self.pid = 0
        self.crashReport = ""
        self.consentHook: Callable[[str, Callable[[bool], None]], None] | None = None
        self.connectionTest = (True, "gpu.example.org answers.")
        self.autoplay = autoplay
        self.interval = interval
        self.jobs: list[ScriptedJob] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.exports: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.targets = _targets()
        self.capabilities: dict[str, Any] | None = _capabilities(self.targets) if state == "ready" else None
        self.stateChanged = Signal("stateChanged")
        self.logLine = Signal("logLine")
        self.capabilitiesChanged = Signal("capabilitiesChanged")
        self.progressed = Signal("progressed")

    def identify(self, volumeNode: Any) -> tuple:
        from UniBiomedSlicerLib.VolumeReader import identify

        return identify(volumeNode)

    # Driven by a test.

    def setState(self, state: str, text: str = "") -> None:
        """Go to ``state`` and tell it; capabilities come with "ready" and go with the rest, targets stay."""
        self.state = state
        self.stateText = text or state
        had = self.capabilities
        self.capabilities = _capabilities(self.targets) if state == "ready" else None
        self.stateChanged.emit()
        if had != self.capabilities:
            self.capabilitiesChanged.emit()

    def crash(self, text: str = "The engine ended unexpectedly (killed); press Start to run it again.") -> None:
        """The engine dies: every job fails with a sentence."""
        self.setState("crashed", text)
        for job in self.jobs:
            if not job.hasEnded:
                job.failWith(text, "engine_crashed")

    def writeLog(self, line: str) -> None:
        self.log += line + "\n"
        self.logLine.emit(line)

    # As the real one.

    def start(self) -> None:
        self.calls.append("start")
        if self.state in ("stopped", "crashed", "unreachable"):
            self.setState("starting")
            qt.QTimer.singleShot(self.interval, lambda: self.setState("loading"))
            qt.QTimer.singleShot(2 * self.interval, lambda: self.progressed.emit("weights", 0.5))
            qt.QTimer.singleShot(3 * self.interval, lambda: self.setState("ready"))

    def stop(self) -> None:
        self.calls.append("stop")
        for job in self.jobs:
            if not job.hasEnded:
                job.failWith("The engine was stopped.", "engine_stopped")
        self.setState("stopped")

    def restart(self) -> None:
        self.calls.append("restart")
        self.stop()
        self.start()

    def loadModel(self, name: str) -> None:
        self.calls.append(f"loadModel {name}")
        self.setState("loading")
        qt.QTimer.singleShot(self.interval, lambda: self.setState("ready"))

    def submit(
        self, task: str, volumeNode: Any, parameters: dict[str, Any] | None = None, modality: str | None = None
    ) -> ScriptedJob:
        self.calls.append(f"submit {task}")
        job = ScriptedJob(self, task, volumeNode, parameters or {}, modality)
        self.jobs.append(job)
        if self.autoplay:
            job.play(self.interval)
        return job

    def exportDocument(self, kind: str, document: dict[str, Any], callback: Callable[[bytes, str, str], None]) -> None:
        """``callback(data, mediaType, error)``; ``exports[kind]`` or a placeholder."""
        self.calls.append(f"exportDocument {kind}")
        data = self.exports.get(kind, json.dumps({"kind": kind}).encode())
        qt.QTimer.singleShot(self.interval, lambda: callback(data, "application/octet-stream", ""))

    def refresh(self) -> None:
        self.calls.append("refresh")
        self.capabilitiesChanged.emit()

    def requestModels(self, callback: Callable[[list[dict[str, Any]], str], None]) -> None:
        self.calls.append("requestModels")
        models = self.capabilities["models"] if self.capabilities else []
        qt.QTimer.singleShot(self.interval, lambda: callback(models, "" if models else self.stateText))

    def testConnection(self, callback: Callable[[bool, str], None]) -> None:
        """``connectionTest`` is what it tells."""
        self.calls.append("testConnection")
        qt.QTimer.singleShot(self.interval, lambda: callback(*self.connectionTest))

    def cleanup(self) -> None:
        self.calls.append("cleanup")
        self.stop()


def _targets() -> list[dict[str, Any]]:
    known = [
        ("liver", "abdomen", "CT", "anatomy", [221, 130, 101]),
        ("spleen", "abdomen", "CT", "anatomy", [157, 108, 162]),
        ("left kidney", "abdomen", "CT", "anatomy", [185, 102, 83]),
        ("right kidney", "abdomen", "CT", "anatomy", [185, 102, 83]),
        ("aorta", "abdomen", "CT", "anatomy", [224, 97, 76]),
        ("liver tumor", "abdomen", "CT", "abnormality", [144, 238, 144]),
        ("kidney tumor", "abdomen", "CT", "abnormality", [144, 238, 144]),
        ("left lung", "chest", "CT", "anatomy", [197, 165, 145]),
        ("brain", "brain", "MRI", "anatomy", [250, 250, 225]),
        ("tumor", "brain", "MRI", "abnormality", [144, 238, 144]),
    ]
    return [
        {
            "phrase": f"{name} in {site} {modality}",
            "name": name,
            "site": site,
            "modality": modality,
            "kind": kind,
            "rgb": rgb,
        }
        for name, site, modality, kind, rgb in known
    ]


def _capabilities(targets: list[dict[str, Any]]) -> dict[str, Any]:
    model = {"name": "mini", "title": "UniBiomed-Mini", "licence": "Apache-2.0", "loaded": True}
    return {
        "version": "0.1.0",
        "protocol": 1,
        "device": {
            "kind": "cpu",
            "name": "CPU",
            "reason": "no GPU was found",
            "memory_total": 8 << 30,
            "memory_free": 4 << 30,
        },
        "memory": {"rss": 600 << 20, "total": 16 << 30, "available": 8 << 30},
        "models": [model],
        "model": model,
        "tasks": list(TASKS),
        "modalities": list(MODALITIES),
        "windows": list(WINDOWS),
        "targets": targets,
        "limits": {"volume_bytes": 8 << 30, "queue": 16},
    }
