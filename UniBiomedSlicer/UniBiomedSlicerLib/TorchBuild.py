# SPDX-License-Identifier: Apache-2.0
"""Which build of PyTorch suits this machine, where it is fetched from, and why, in words.

PyTorch publishes one index of wheels for each CUDA release. A wheel runs when the driver is new enough for its CUDA
release (any 12.x from driver 525 on, 13.x from 580 on: NVIDIA, "CUDA minor version compatibility") and when it was
compiled for the GPU's compute capability (cu126: 5.0 to 9.0, cu128: 7.0 to 12.0, cu130: 7.5 to 12.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

PYTORCH_INDEX = "https://download.pytorch.org/whl"
GPU_QUERY = ("--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader,nounits")

_DRIVER_CUDA_12 = 525
_DRIVER_BLACKWELL = 570
_DRIVER_CUDA_13 = 580


@dataclass(frozen=True)
class Gpu:
    """One line of nvidia-smi. ``capability`` is the compute capability as (major, minor), (0, 0) when not told."""

    name: str
    driver: str
    capability: tuple[int, int] = (0, 0)
    memoryMiB: int = 0

    @property
    def driverMajor(self) -> int:
        """The number before the first point of the driver's version, 0 when there is none."""
        found = re.match(r"\d+", self.driver)
        return int(found.group()) if found else 0


@dataclass(frozen=True)
class TorchBuild:
    """The chosen build. ``variant`` is "cpu", "mps" or "cuNNN"; ``index`` is None where the package index has it."""

    variant: str
    index: str | None
    reason: str
    possible: bool = True


def parseGpus(output: str) -> list[Gpu]:
    """The GPUs in the answer of nvidia-smi to ``GPU_QUERY``; lines that are no such answer are skipped."""
    gpus = []
    for line in output.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 4 or not re.match(r"\d+\.", fields[1]):
            continue
        capability = re.fullmatch(r"(\d+)\.(\d+)", fields[2])
        memory = re.match(r"\d+", fields[3])
        gpus.append(
            Gpu(
                fields[0],
                fields[1],
                (int(capability[1]), int(capability[2])) if capability else (0, 0),
                int(memory.group()) if memory else 0,
            )
        )
    return gpus


def chooseTorchBuild(
    system: str, machine: str, gpus: Iterable[Gpu] = (), wanted: str = "auto", mirror: str = ""
) -> TorchBuild:
    """The build for ``platform.system()``, ``platform.machine()`` and the GPUs that nvidia-smi knows.

    ``wanted`` other than "auto" is taken as it is; ``mirror`` replaces PyTorch's own index.
    """
    base = (mirror or PYTORCH_INDEX).rstrip("/")
    arm = machine.lower() in ("arm64", "aarch64")
    if system == "Darwin":
        if not arm:
            return TorchBuild(
                "cpu",
                None,
                _("PyTorch is no longer published for Macs with an Intel processor; use a remote server on this Mac."),
                possible=False,
            )
        return TorchBuild("mps", None, _("This Mac has Apple silicon: PyTorch uses its GPU through Metal (MPS)."))
    if wanted not in ("auto", "mps"):
        return TorchBuild(wanted, f"{base}/{wanted}", _("{build} was chosen in the settings.").format(build=wanted))
    return _forGpus(list(gpus), base)


def _forGpus(gpus: list[Gpu], base: str) -> TorchBuild:
    cpu = f"{base}/cpu"
    if not gpus:
        return TorchBuild(
            "cpu", cpu, _("No NVIDIA GPU with a working driver was found (nvidia-smi), so the processor is used.")
        )
    # The one with the newest architecture decides; an unknown capability counts as one that every build has.
    gpu = max(gpus, key=lambda one: one.capability)
    capability = gpu.capability if gpu.capability != (0, 0) else (8, 0)
    words = {"gpu": gpu.name, "driver": gpu.driver, "capability": f"{capability[0]}.{capability[1]}"}
    if gpu.driverMajor < _DRIVER_CUDA_12:
        return TorchBuild(
            "cpu",
            cpu,
            _(
                "{gpu} was found, but its driver {driver} is older than 525, which PyTorch needs, so the processor is "
                "used; update the NVIDIA driver and repair the environment to use the GPU."
            ).format(**words),
        )
    if capability < (5, 0):
        return TorchBuild(
            "cpu",
            cpu,
            _("{gpu} (compute capability {capability}) is too old for PyTorch, so the processor is used.").format(
                **words
            ),
        )
    if gpu.driverMajor >= _DRIVER_CUDA_13 and capability >= (7, 5):
        variant = "cu130"
    elif capability >= (10, 0):
        if gpu.driverMajor < _DRIVER_BLACKWELL:
            return TorchBuild(
                "cpu",
                cpu,
                _(
                    "{gpu} was found, but its driver {driver} is older than 570, which it needs, so the processor is "
                    "used; update the NVIDIA driver and repair the environment to use the GPU."
                ).format(**words),
            )
        variant = "cu128"
    else:
        variant = "cu126"
    return TorchBuild(
        variant,
        f"{base}/{variant}",
        _("{gpu} was found with driver {driver}, which runs PyTorch built for CUDA {cuda}.").format(
            cuda=f"{variant[2:4]}.{variant[4:]}", **words
        ),
    )


@dataclass(frozen=True)
class TorchWheel:
    """A wheel of torch in a folder of the user's, and the Python ("3.11") that it is built for."""

    path: Path
    python: str


def localTorchWheel(folder: Path, system: str, machine: str) -> TorchWheel | None:
    """The torch wheel in ``folder`` for this platform; the newest Python up to 3.13, then the newest torch."""
    platforms = {"Linux": "linux", "Windows": "win", "Darwin": "macosx"}
    machines = ("arm64", "aarch64") if machine.lower() in ("arm64", "aarch64") else ("x86_64", "amd64")
    found = []
    for path in folder.glob("torch-*.whl"):
        tag = re.search(r"-cp3(\d+)-[a-z0-9]+-(.+)\.whl$", path.name)
        if tag and platforms.get(system, system) in tag[2] and tag[2].endswith(machines) and 11 <= int(tag[1]) <= 13:
            version = tuple(int(number) for number in re.findall(r"\d+", path.name.split("-")[1].split("+")[0]))
            found.append((int(tag[1]), version, path))
    if not found:
        return None
    python, _version, path = max(found)
    return TorchWheel(path, f"3.{python}")
