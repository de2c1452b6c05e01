# SPDX-License-Identifier: Apache-2.0
"""What the Slicer side takes: engine start, handing a volume over, bringing masks in, stalls, memory.

    python Testing/benchmarks/bench_slicer.py [--output FILE.json] [--quick]

The modules' own files run on the stand-in for Slicer and with the real engine and UniBiomed-Mini as its child process.
Beside each figure stands what the ways of other extensions take on the same data in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

import import_masks
import numpy as np
import peer_ways
from slicerhost import host as stand_in

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20
PATIENCE = 300.0


class Figures:
    """Named numbers, printed as they come and saved as JSON."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, object]] = {}

    def add(self, name: str, value: float, unit: str) -> None:
        """Print ``name = value unit`` and keep it."""
        print(f"{name} = {value:.4g} {unit}", flush=True)
        self.values[name] = {"value": value, "unit": unit}


class LoopMeter:
    """The longest time between two turns of the event loop: by the clock, and by this thread's own processor time."""

    def __init__(self) -> None:
        import qt

        self.clock = self.processor = 0.0
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._tick)
        self._last = time.perf_counter(), time.thread_time()
        self._timer.start(1)  # not 0, which would keep a processor busy that the engine needs

    def _tick(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.clock = max(self.clock, now[0] - self._last[0])
        self.processor = max(self.processor, now[1] - self._last[1])
        self._last = now

    def stop(self, figures: Figures, name: str) -> None:
        """Write down what was measured."""
        self._timer.stop()
        figures.add(name, 1000 * self.clock, "ms")
        figures.add(f"{name} (this thread's own work)", 1000 * self.processor, "ms")


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-slicer.json")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, to see that it works")
    options = parser.parse_args()
    slices = 30 if options.quick else 300
    figures = Figures()
    host = stand_in.start()
    host.useLibrary()
    service = start_engine(host, figures)
    try:
        node = host.addVolume(torso(slices), name="CT")
        with tempfile.TemporaryDirectory() as folder:
            hand_over(host, service, node, figures, Path(folder))
            bring_back(host, figures, Path(folder), slices)
        whole_job(host, service, figures, max(10, slices // 3))
        fifty_jobs(host, service, figures, 5 if options.quick else 50)
    finally:
        service.cleanup()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"figures": figures.values}, indent=2) + "\n", encoding="utf-8")


def start_engine(host: Any, figures: Figures) -> Any:
    """The engine with Mini: from ``start()`` until it answers, and until its model is loaded."""
    from UniBiomedSlicerLib.EngineService import EngineService

    settings = SimpleNamespace(useRemote=False, model="mini", device="cpu", logLevel="info")
    settings.__dict__.update(modelsFolder="", hubEndpoint="", offline=False, proxy="")
    service = EngineService(settings, lambda: sys.executable)
    start = time.perf_counter()
    service.start()
    host.spin(until=lambda: service.supervisor.process.state == "running", timeout=PATIENCE)
    figures.add("engine_answers", time.perf_counter() - start, "s")
    host.spin(until=lambda: service.state in ("ready", "crashed"), timeout=PATIENCE)
    figures.add("engine_ready", time.perf_counter() - start, "s")
    return service


def torso(slices: int) -> np.ndarray:
    """int16 ``(slices, 512, 512)`` with the noise of a CT, which decides how well it compresses."""
    generator = np.random.default_rng(0)
    row, column = np.ogrid[-1:1:512j, -1:1:512j]
    body = (row / 0.6) ** 2 + (column / 0.85) ** 2 < 1
    plane = np.where(body, 40, -1000).astype(np.int16)
    noise = generator.normal(0, 15, (8, 512, 512)).astype(np.int16)
    return np.stack([plane + noise[k % 8] + np.int16(k % 5) for k in range(slices)])


def hand_over(host: Any, service: Any, node: Any, figures: Figures, folder: Path) -> None:
    """Ours as it is used (hash, check and send in slices of the event loop), then the others' ways."""
    name = "handover_512x512x" + str(node.GetImageData().GetDimensions()[2])
    meter = LoopMeter()
    seconds, sha256 = transfer(host, service, node)
    figures.add(name, seconds, "s")
    meter.stop(figures, f"{name} longest stall")
    figures.add(f"{name} again", transfer(host, service, node, sha256)[0], "s")
    array = host.slicer.util.arrayFromVolume(node)
    array[0, 0, 0] += 1  # not the volume that the engine has by now
    host.slicer.util.arrayFromVolumeModified(node)
    client = service.supervisor.connection.client
    client.isLoopback = False
    figures.add(f"{name} zlib, as to a remote server", transfer(host, service, node)[0], "s")
    client.isLoopback = True
    figures.add(f"{name} by .nii file", peer_ways.handover_by_file(node, folder / "volume.nii"), "s")
    figures.add(f"{name} by .nii.gz file", peer_ways.handover_by_file(node, folder / "volume.nii.gz"), "s")
    try:
        import blosc2  # noqa: F401 - only whether it is there
    except ImportError:
        print(f"{name} by blosc2 over HTTP: skipped, blosc2 is not installed", flush=True)
    else:
        with peer_ways.receiver() as port:
            figures.add(f"{name} by blosc2 over HTTP", peer_ways.handover_by_blosc2(array, port), "s")


def transfer(host: Any, service: Any, node: Any, sha256: str = "") -> tuple[float, str]:
    """Seconds from the scene to the engine, and the hash; a known hash is not computed again."""
    from UniBiomedSlicerLib.SlicedWork import SlicedWork
    from UniBiomedSlicerLib.VolumeReader import identify, readVolume
    from UniBiomedSlicerLib.VolumeTransfer import VolumeTransfer

    ends: list[Any] = []
    start = time.perf_counter()
    payload = readVolume(node, "CT", check=False)

    def send(_value: Any = None, error: Exception | None = None) -> None:
        if error is not None:
            raise error
        moving = VolumeTransfer(
            service.supervisor.connection.client,
            payload,
            sha256,
            lambda: identify(node) == payload.modifiedTime,
            lambda stage, fraction: None,
            lambda volume, failure: ends.append((failure, moving.sha256)),
        )
        moving.start()

    work = None if sha256 else SlicedWork(payload.checkSteps(), send)
    if sha256:
        send()
    host.spin(until=lambda: ends, timeout=PATIENCE)
    del work
    failure, found = ends[0]
    if failure is not None:
        raise OSError(failure.message)
    return time.perf_counter() - start, found


def bring_back(host: Any, figures: Figures, folder: Path, slices: int) -> None:
    """A result of twenty masks: over HTTP into Python, then into segments; beside it a label map file, and arrays."""
    from UniBiomedSlicerLib.BoxMask import decode
    from UniBiomedSlicerLib.EngineClient import EngineClient

    node = import_masks.large_volume((slices, 512, 512))
    result = import_masks.many_masks((slices, 512, 512))
    path = folder / "result.json"
    path.write_text(json.dumps(result), encoding="ascii")
    with peer_ways.receiver(path) as port:
        client, got = EngineClient(f"http://127.0.0.1:{port}", "token"), []
        meter = LoopMeter()
        start = time.perf_counter()
        client.request("GET", "/result", lambda failure, value: got.append(value))
        host.spin(until=lambda: got, timeout=PATIENCE)
        fetched = time.perf_counter() - start
        client.close()
    figures.add("fetch_20_masks", fetched, "s")
    meter.stop(figures, "fetch_20_masks longest stall")
    taken = import_masks.import_masks(node, got[0])
    figures.add("import_20_masks", taken["seconds"], "s")
    figures.add("import_20_masks longest step", 1000 * taken["longest_step"], "ms")
    figures.add("import_20_masks longest step (this thread's own work)", 1000 * taken["longest_step_processor"], "ms")
    labels = np.zeros((slices, 512, 512), np.uint8)
    masks = []
    for number, segment in enumerate(result["segments"], 1):
        offset, box = decode(segment["mask"])
        inside = tuple(slice(at, at + size) for at, size in zip(offset, box.shape, strict=True))
        labels[inside][box] = number
        full = np.zeros(labels.shape, np.uint8)
        full[inside] = box
        masks.append(full)
    by_file = peer_ways.import_by_file(node, labels, folder / "labels.nii.gz")
    figures.add("import_20_masks by label map file (overlaps lost)", by_file, "s")
    figures.add("import_20_masks by whole arrays", peer_ways.import_by_arrays(node, masks), "s")
    host.slicer.mrmlScene.RemoveNode(node)


def whole_job(host: Any, service: Any, figures: Figures, slices: int) -> None:
    """The longest stall of the event loop from the submission until the result is there."""
    node = host.addVolume(torso(slices), name="CT")
    meter = LoopMeter()
    start = time.perf_counter()
    run(host, service, "segment", node, {"targets": ["liver", "spleen"], "site": "abdomen"})
    figures.add(f"whole job 512x512x{slices}, two targets", time.perf_counter() - start, "s")
    meter.stop(figures, "longest_stall")


def fifty_jobs(host: Any, service: Any, figures: Figures, count: int) -> None:
    """Resident memory of Slicer's side before and after; each job hands other voxels over."""
    array = torso(12)
    node = host.addVolume(array, name="CT")

    def once(number: int) -> None:
        array[0, 0, 0] = number
        host.slicer.util.updateVolumeFromArray(node, array)
        task, more = ("segment", {"targets": ["liver"]}) if number % 2 else ("report", {"slice_index": 5})
        run(host, service, task, node, more)

    for number in range(10):
        once(number)
    figures.add("rss_before_jobs", resident(), "MB")
    for number in range(count):
        once(10 + number)
    figures.add(f"rss_after_{count}_jobs", resident(), "MB")


def run(host: Any, service: Any, task: str, node: Any, parameters: dict[str, Any]) -> None:
    """One job to its end; OSError with its message unless it is done."""
    ends: list[Any] = []
    service.submit(task, node, parameters, "CT").finished.connect(ends.append)
    host.spin(until=lambda: ends, timeout=PATIENCE)
    if ends[0].state != "done":
        raise OSError(ends[0].message)


def resident() -> float:
    """Megabytes that this process has in use."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import psutil

        return psutil.Process().memory_info().rss / MEGABYTE
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


if __name__ == "__main__":
    main()
