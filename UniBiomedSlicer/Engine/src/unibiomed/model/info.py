# SPDX-License-Identifier: Apache-2.0
"""What a model folder says of itself (``unibiomed.json``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unibiomed.errors import CheckpointError
from unibiomed.model.manifest import file_sha256, read_manifest

DESCRIPTION = "unibiomed.json"


@dataclass(frozen=True)
class Target:
    """A structure that the model was trained on."""

    name: str
    site: str
    modality: str
    kind: str


@dataclass(frozen=True)
class ModelInfo:
    """Name, licence and limits of a model, from ``unibiomed.json``; absent fields are empty."""

    name: str
    folder: Path
    version: str = ""
    revision: str | None = None
    licence: str = ""
    notice: str = ""
    targets: tuple[Target, ...] = ()
    presence: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """One SHA-256 over the names and contents of the weight files; taken from the manifest where there is one."""
        record = read_manifest(self.folder)
        recorded = {name: file.sha256 for name, file in record.files.items()} if record else {}
        files = sorted(p.name for p in self.folder.glob("*.safetensors"))
        hashes = {name: recorded.get(name) or file_sha256(self.folder / name) for name in files}
        if len(files) == 1:
            return hashes[files[0]]
        return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in files).encode()).hexdigest()


def read_info(folder: Path, *, name: str, revision: str | None = None) -> ModelInfo:
    """Read ``unibiomed.json`` of a folder; a folder without one gets ``name`` and nothing more."""
    values = _read_json(folder / DESCRIPTION)
    try:
        targets = tuple(Target(t["name"], t["site"], t["modality"], t["kind"]) for t in values.get("targets", ()))
        return ModelInfo(
            name=str(values.get("name", name)),
            folder=folder,
            version=str(values.get("version", "")),
            revision=revision,
            licence=str(values.get("licence", "")),
            notice=str(values.get("notice", "")),
            targets=targets,
            presence=dict(values.get("presence", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION} is not as it should be: {error!r}.") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} does not hold a JSON object.")
    return values
