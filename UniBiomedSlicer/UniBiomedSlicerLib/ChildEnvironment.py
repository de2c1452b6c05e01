# SPDX-License-Identifier: Apache-2.0
"""The environment of the processes that Slicer starts for UniBiomed: the user's own, without what is Slicer's.

With Slicer's PYTHONHOME or LD_LIBRARY_PATH a foreign Python fails at startup, or loads Slicer's libraries.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import qt
import slicer

if TYPE_CHECKING:
    from UniBiomedSlicerLib.Settings import Settings

_FOREIGN_PREFIXES = ("PYTHON", "LD_", "DYLD_", "QT_", "QML_", "QML2_")
# A virtual environment or conda environment that Slicer was started from is not ours either.
_FOREIGN_NAMES = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "__PYVENV_LAUNCHER__")


def childEnvironment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Slicer's startup environment without PYTHON*, LD_*, DYLD_*, QT_*; with ``extra`` on top."""
    environment = {
        name: value
        for name, value in slicer.util.startupEnvironment().items()
        if not name.upper().startswith(_FOREIGN_PREFIXES) and name.upper() not in _FOREIGN_NAMES
    }
    environment.update({"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"})
    environment.update(extra or {})
    return environment


def engineVariables(settings: Settings) -> dict[str, str]:
    """What the engine and its command line are told of the user's choices through the environment."""
    variables: dict[str, str] = {}
    if settings.modelsFolder:
        variables["UNIBIOMED_MODELS"] = settings.modelsFolder
    if settings.hubEndpoint:
        variables["HF_ENDPOINT"] = settings.hubEndpoint.rstrip("/")
    if settings.offline:
        variables["HF_HUB_OFFLINE"] = "1"
    variables.update(proxyVariables(settings))
    return variables


def proxyVariables(settings: Settings) -> dict[str, str]:
    """The proxy of the installer options, in both spellings; loopback is never sent through it."""
    if not settings.proxy:
        return {}
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    variables = {spelling: settings.proxy for name in names for spelling in (name, name.lower())}
    loopback = "127.0.0.1,localhost,::1"
    kept = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    variables["NO_PROXY"] = variables["no_proxy"] = f"{kept},{loopback}" if kept else loopback
    return variables


def processEnvironment(variables: dict[str, str]) -> Any:
    """``variables`` as the QProcessEnvironment that QProcess takes; nothing else is inherited."""
    environment = qt.QProcessEnvironment()
    for name, value in variables.items():
        environment.insert(name, value)
    return environment
