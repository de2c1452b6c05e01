# SPDX-License-Identifier: Apache-2.0
"""The record of the managed environment: written last, so that an environment counts only once it is complete.

``environment.json`` names the folder beside it that is in use. A new environment is built in a folder of its own and
becomes the one in use by the replacement of this file; until then the old one works on. (A virtual environment cannot
be moved, so it is built where it stays.)
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_RECORD = "environment.json"
_FORMAT = 1


@dataclass(frozen=True)
class EnvironmentRecord:
    """What is installed. ``folder`` is the environment's name in the root folder; ``reason``: why this build."""

    folder: str
    version: str
    fingerprint: str
    python: str
    torch: str
    variant: str
    reason: str
    date: str


def readRecord(root: Path) -> EnvironmentRecord | None:
    """The record in ``root``; None when there is none, or it cannot be read."""
    try:
        data = json.loads((root / _RECORD).read_text(encoding="utf-8"))
        return EnvironmentRecord(**data["environment"]) if data["format"] == _FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def writeRecord(root: Path, record: EnvironmentRecord) -> None:
    """Make ``record`` the one in use, by one rename."""
    temporary = root / f"{_RECORD}.new"
    temporary.write_text(json.dumps({"format": _FORMAT, "environment": asdict(record)}, indent=2), encoding="utf-8")
    temporary.replace(root / _RECORD)


def forgetRecord(root: Path) -> None:
    """No environment is in use from now on."""
    with contextlib.suppress(FileNotFoundError):
        (root / _RECORD).unlink()


def pythonOf(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / "Scripts" / "python.exe" if os.name == "nt" else environment / "bin" / "python"


def newFolder(root: Path) -> Path:
    """A name for the next environment that is not taken; short, for the sake of Windows' path limit."""
    number = 1
    while (root / f"env-{number}").exists():
        number += 1
    return root / f"env-{number}"


def leftovers(root: Path) -> list[Path]:
    """Environments that are not in use: what an interrupted build or deletion left."""
    record = readRecord(root)
    folders = [*root.glob("env-*"), *root.glob(".removing-*")] if root.is_dir() else []
    return sorted(folder for folder in folders if folder.is_dir() and (not record or folder.name != record.folder))
