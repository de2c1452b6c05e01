# SPDX-License-Identifier: Apache-2.0
"""Is a folder a model, under which licence, and its copy: what the store checks before it takes a folder in."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from unibiomed.errors import CheckpointError
from unibiomed.model.manifest import MODEL_FILE_PATTERNS, ByteProgress, model_files, refuse_pickles

_CARD_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


def check_model_folder(folder: Path) -> None:
    """Raise ``CheckpointError`` unless ``folder`` has a config.json, readable safetensors and a tokenizer, no pickle.

    Reads the headers only; whether every tensor fits is checked when the model is loaded.
    """
    refuse_pickles(folder)
    config = folder / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{folder} is not a model folder: it has no config.json.")
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{config} is not valid JSON ({error}).") from error
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise CheckpointError(f"{folder} is not a model folder: it has no *.safetensors weights.")
    for path in weights:
        try:
            with safe_open(path, framework="np") as handle:
                handle.keys()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a whole safetensors file ({error}); copy it again.") from error
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise CheckpointError(f"{folder} is not a model folder: it has no tokenizer.json or vocab.json.")


def copy_model_files(source: Path, target: Path, progress: ByteProgress | None = None) -> None:
    """Copy the files that a model consists of (no code, no hidden files) from ``source`` to the empty ``target``."""
    paths = [
        path
        for path in model_files(source)
        if path.parent == source and any(path.match(pattern) for pattern in MODEL_FILE_PATTERNS)
    ]
    total, done = sum(path.stat().st_size for path in paths), 0
    for path in paths:
        shutil.copyfile(path, target / path.name)
        done += path.stat().st_size
        if progress is not None:
            progress(done, total)


def stated_licence(folder: Path) -> str:
    """The licence that ``unibiomed.json`` or the model card's front matter states, else "not stated"."""
    own = folder / "unibiomed.json"
    if own.is_file():
        try:
            data = json.loads(own.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{own} is not valid JSON ({error}).") from error
        if isinstance(data, dict) and data.get("licence"):
            return str(data["licence"])
    card = folder / "README.md"
    if card.is_file() and (found := _CARD_LICENCE.search(card.read_text(encoding="utf-8", errors="replace"))):
        return found.group(1)
    return "not stated"
