# SPDX-License-Identifier: Apache-2.0
"""The program uv, which makes the managed environment: where it is, how it is fetched, how it is called.

When there is none, Slicer's pip puts the wheel of uv (some 20 MB, nothing else) into UniBiomed's own folder with
``--target``; Slicer's own packages stay as they are.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, proxyVariables

if TYPE_CHECKING:
    from UniBiomedSlicerLib.Settings import Settings

REQUIREMENT = "uv>=0.5"


def findUv(tools: Path) -> str | None:
    """The path of uv: in ``tools``, on PATH, in Slicer's Python, or where its own installer puts it; else None."""
    name = "uv.exe" if os.name == "nt" else "uv"
    found = shutil.which("uv")
    candidates = [
        tools / "bin" / name,
        tools / "Scripts" / name,
        Path(found) if found else None,
        Path(sysconfig.get_path("scripts")) / name,
        Path.home() / ".local" / "bin" / name,
        Path.home() / ".cargo" / "bin" / name,
    ]
    return next((str(path) for path in candidates if path is not None and path.is_file()), None)


def fetchUvCommand(tools: Path, settings: Settings) -> tuple[str, list[str]]:
    """Program and arguments that put uv into ``tools`` with Slicer's pip."""
    program = shutil.which("PythonSlicer") or sys.executable
    arguments = ["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    arguments += ["--upgrade", "--target", str(tools)]
    if settings.indexUrl:
        arguments += ["--index-url", settings.indexUrl]
    if settings.proxy:
        arguments += ["--proxy", settings.proxy]
    if settings.wheelsFolder:
        arguments += ["--find-links", settings.wheelsFolder]
    if settings.offline:
        arguments += ["--no-index"]
    return program, [*arguments, REQUIREMENT]


def uvVariables(root: Path, settings: Settings) -> dict[str, str]:
    """The environment of uv: everything that it keeps lies under ``root``, so that removing that folder removes all."""
    extra = {
        "UV_CACHE_DIR": str(root / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(root / "python"),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_NO_PROGRESS": "1",
        # Networks that inspect TLS have their certificate in the system's store.
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "UV_HTTP_TIMEOUT": "120",
        "NO_COLOR": "1",
        **proxyVariables(settings),
    }
    environment = childEnvironment(extra)
    if settings.offline:
        environment["UV_PYTHON_DOWNLOADS"] = "never"
    return environment
