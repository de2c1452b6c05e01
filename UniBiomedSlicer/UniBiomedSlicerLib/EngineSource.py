# SPDX-License-Identifier: Apache-2.0
"""The engine that came with this extension: the folder that is installed into the managed environment."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

_LEFT_OUT = {"__pycache__", ".pytest_cache", "dist", "build"}


class EngineSource:
    """The ``Engine`` folder beside module UniBiomed: the same place in the sources and in the installed tree."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(__file__).resolve().parents[1] / "Engine" if folder is None else folder

    def exists(self) -> bool:
        """Whether the folder is there and can be installed."""
        return (self.folder / "pyproject.toml").is_file()

    def version(self) -> str:
        """The version that ``pyproject.toml`` states, empty when there is none."""
        found = re.search(r'^version\s*=\s*"([^"]+)"', self._pyproject(), re.MULTILINE)
        return found[1] if found else ""

    def requirement(self, name: str) -> str:
        """The line of ``pyproject.toml`` that asks for ``name`` ("torch>=2.8"), else just the name."""
        found = re.search(rf'"({re.escape(name)}[<>=!~][^"]*)"', self._pyproject())
        return found[1] if found else name

    def installTarget(self) -> str:
        """What the installer is given: the folder, with the extra that the HTTP server needs where there is one."""
        extra = "[server]" if re.search(r"^server\s*=\s*\[", self._pyproject(), re.MULTILINE) else ""
        return f"{self.folder}{extra}"

    def fingerprint(self) -> str:
        """Changes with every change of the sources' names and sizes; takes some milliseconds."""
        checksum = zlib.crc32(self._pyproject().encode())
        for name, size in sorted(_files(self.folder / "src")):
            checksum = zlib.crc32(f"{name}:{size}".encode(), checksum)
        return f"{self.version()}-{checksum:08x}"

    def _pyproject(self) -> str:
        try:
            return (self.folder / "pyproject.toml").read_text(encoding="utf-8")
        except OSError:
            return ""


def _files(folder: Path) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    waiting = [str(folder)]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _LEFT_OUT:
                            waiting.append(entry.path)
                    elif not entry.name.endswith(".pyc"):
                        found.append((os.path.relpath(entry.path, folder).replace(os.sep, "/"), entry.stat().st_size))
        except OSError:
            continue
    return found
