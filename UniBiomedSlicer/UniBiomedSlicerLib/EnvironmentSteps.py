# SPDX-License-Identifier: Apache-2.0
"""The commands that make the managed environment, in their order."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import childEnvironment
from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.EnvironmentRecord import pythonOf
from UniBiomedSlicerLib.ProcessSteps import Step, StepError
from UniBiomedSlicerLib.Settings import Settings
from UniBiomedSlicerLib.TorchBuild import (
    GPU_QUERY,
    Gpu,
    TorchBuild,
    TorchWheel,
    chooseTorchBuild,
    localTorchWheel,
    parseGpus,
)
from UniBiomedSlicerLib.Uv import fetchUvCommand, findUv, uvVariables

# Ranges that PyTorch and the engine both publish for; uv takes one that is there, or downloads one.
PYTHONS = ">=3.11,<3.14"

# Run by an interpreter to learn whether it can run the engine; one line of JSON on stdout.
PROBE = """
import importlib.util, json, platform
facts = {"python": platform.python_version()}
missing = [name for name in ("unibiomed", "torch", "fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
facts["missing"] = missing
if not missing:
    import torch, unibiomed
    facts.update(unibiomed=unibiomed.__version__, torch=torch.__version__, cuda=torch.cuda.is_available())
    facts["mps"] = bool(getattr(torch.backends, "mps", None) and torch.backends.mps.is_available())
    facts["device"] = torch.cuda.get_device_name(0) if facts["cuda"] else ""
print(json.dumps(facts))
"""


@dataclass
class Plan:
    """What is being built: filled in while the steps run. ``chosen(TorchBuild)`` is called once the GPU is known."""

    root: Path
    environment: Path
    source: EngineSource
    settings: Settings
    refresh: bool = False
    chosen: Callable[[TorchBuild], None] | None = None
    build: TorchBuild | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> str:
        """The interpreter of the environment that is being built."""
        return str(pythonOf(self.environment))


def environmentSteps(plan: Plan) -> list[Step]:
    """All steps from nothing to a checked environment; the record is for the caller to write."""
    tools = plan.root / "tools"
    steps = []
    if findUv(tools) is None:
        program, arguments = fetchUvCommand(tools, plan.settings)
        # Slicer's pip runs in Slicer's environment, so that it finds its Python.
        steps.append(Step(_("Fetching uv"), program, tuple(arguments), slicerEnvironment(), str(plan.root)))
    steps.append(gpuStep(plan.root, lambda output: _afterGpus(plan, parseGpus(output))))
    return steps


def gpuStep(folder: Path, onOutput: Callable[[str], list[Step] | None]) -> Step:
    """Ask nvidia-smi; ``onOutput`` gets an empty text where there is none."""
    title = _("Looking for a GPU")
    return Step(title, "nvidia-smi", GPU_QUERY, childEnvironment(), str(folder), mayFail=True, onOutput=onOutput)


def plannedBuild(settings: Settings, gpus: list[Gpu]) -> tuple[TorchBuild, TorchWheel | None]:
    """The PyTorch for this computer by the settings; a wheel of the user's own folder comes before any index."""
    system, machine = platform.system(), platform.machine()
    folder = Path(settings.wheelsFolder).expanduser() if settings.wheelsFolder else None
    wheel = localTorchWheel(folder, system, machine) if folder else None
    if wheel is None:
        return chooseTorchBuild(system, machine, gpus, settings.torchBuild, settings.torchIndexUrl), None
    variant = wheel.path.name.split("-")[1].partition("+")[2] or "cpu"
    reason = _("{wheel} comes from your folder of wheels.").format(wheel=wheel.path.name)
    return TorchBuild(variant, None, reason), wheel


def slicerEnvironment() -> dict[str, str]:
    """The environment that this process runs in, for Slicer's own Python."""
    import os

    return dict(os.environ)


def probeStep(title: str, python: str, folder: Path, onFacts: Callable[[dict[str, Any]], None]) -> Step:
    """Ask an interpreter for its ``PROBE`` facts; the step fails with a sentence when it has not what is needed."""

    def read(output: str) -> None:
        facts = _lastJson(output)
        if facts is None:
            raise StepError(_("{python} is not a Python that can be used.").format(python=python))
        if facts["missing"]:
            raise StepError(
                _("{python} (Python {version}) lacks {packages}; run there: pip install {engine}").format(
                    python=python,
                    version=facts["python"],
                    packages=", ".join(facts["missing"]),
                    engine=EngineSource().installTarget(),
                )
            )
        onFacts(facts)

    return Step(title, python, ("-c", PROBE), childEnvironment(), str(folder), onOutput=read)


def _afterGpus(plan: Plan, gpus: list[Gpu]) -> list[Step]:
    uv = findUv(plan.root / "tools")
    if uv is None:
        raise StepError(_("uv was fetched but is not where it should be; the log has the details."))
    build, wheel = plannedBuild(plan.settings, gpus)
    if not build.possible:
        raise StepError(build.reason)
    plan.build = build
    if plan.chosen is not None:
        plan.chosen(build)
    return _uvSteps(plan, uv, build, wheel)


def _uvSteps(plan: Plan, uv: str, build: TorchBuild, wheel: TorchWheel | None) -> list[Step]:
    variables = uvVariables(plan.root, plan.settings)
    sources = _sources(plan.settings)
    extra = shlex.split(plan.settings.installerArguments)
    refresh = ["--refresh"] if plan.refresh and not plan.settings.offline else []
    install = ["pip", "install", "--python", plan.python, *refresh, *extra]
    torch = str(wheel.path) if wheel else plan.source.requirement("torch")
    # PyTorch's index has all that torch needs; nothing else shall come from there.
    fromTorchIndex = build.index is not None and not plan.settings.offline
    torchSources = ["--index-url", str(build.index), *_findLinks(plan.settings)] if fromTorchIndex else sources

    def uvStep(title: str, *arguments: str) -> Step:
        return Step(title, uv, arguments, variables, str(plan.root))

    return [
        uvStep(
            _("Making a Python environment"),
            "venv",
            "--python",
            wheel.python if wheel else PYTHONS,
            "--no-project",
            str(plan.environment),
        ),
        uvStep(_("Installing PyTorch"), *install, *torchSources, torch),
        uvStep(
            _("Installing the engine"),
            *install,
            *sources,
            "--reinstall-package",
            "unibiomed",
            plan.source.installTarget(),
        ),
        probeStep(_("Checking the environment"), plan.python, plan.root, plan.facts.update),
    ]


def _sources(settings: Settings) -> list[str]:
    arguments = ["--index-url", settings.indexUrl] if settings.indexUrl else []
    return [*arguments, *_findLinks(settings), *(["--no-index"] if settings.offline else [])]


def _findLinks(settings: Settings) -> list[str]:
    return ["--find-links", settings.wheelsFolder] if settings.wheelsFolder else []


def _lastJson(output: str) -> dict[str, Any] | None:
    for line in reversed(output.strip().splitlines()):
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and "missing" in data:
            return data
    return None
