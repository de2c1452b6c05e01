# SPDX-License-Identifier: Apache-2.0
"""A Slicer to be killed: starts an engine, submits a job, tells the engine's process id on stdout and runs on."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host"))

import numpy as np
from slicerhost import host as stand_in

PATIENCE = 150


def main(moment: str) -> None:
    """Reach ``moment`` ("starting", "loading", "ready" or "running") and stay there."""
    host = stand_in.start()
    host.useLibrary()
    from UniBiomedSlicerLib.EngineService import EngineService

    settings = SimpleNamespace(useRemote=False, model="mini", device="cpu", logLevel="info")
    settings.__dict__.update(modelsFolder="", hubEndpoint="", offline=False, proxy="")
    service = EngineService(settings, lambda: sys.executable)
    service.start()
    if moment == "starting":
        host.spin(until=lambda: service.pid, timeout=PATIENCE)
    elif moment == "loading":
        host.spin(until=lambda: service.state == "loading", timeout=PATIENCE)
    else:
        host.spin(until=lambda: service.state == "ready", timeout=PATIENCE)
    if moment == "running":
        array = np.random.default_rng(0).integers(-500, 500, (60, 256, 256)).astype(np.int16)
        job = service.submit("interpret", host.addVolume(array), {}, "CT")
        host.spin(until=lambda: job.state == "running", timeout=PATIENCE)
    print(service.pid, flush=True)
    host.spin(seconds=PATIENCE)


if __name__ == "__main__":
    main(sys.argv[1])
