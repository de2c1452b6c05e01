# SPDX-License-Identifier: Apache-2.0
"""What a command needs before it can work: the volume, the model, the slices. The cheap checks come first."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError, OutputError

if TYPE_CHECKING:
    from unibiomed.volumes import Volume

_RANGE = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+)(?::(?P<step>[1-9]\d*))?)?")
_MOST_SLICES = 1_000_000


def open_volume(
    path: Path, terminal: Terminal, *, modality: str | None = None, series: str | None = None, frame: int | None = None
) -> Volume:
    """Read an image file or folder, and tell what its reader noticed."""
    from unibiomed.volumes import read_volume

    with _silent_libraries():
        volume = read_volume(path, modality=modality, series_uid=series, frame=frame)
    for note in volume.source.notes:
        terminal.note(note)
    return volume


def open_model(name: str, device: str, dtype: str, terminal: Terminal) -> Any:
    """Load a model by name or folder, and tell which device was taken and why."""
    from unibiomed.model.store import resolve

    # Before the import of torch, which takes seconds: a wrong name is told at once.
    folder = resolve(name)
    with terminal.waiting(f"Loading {name}"):
        from unibiomed.model import load

        model = load(str(folder), device=device, dtype=dtype)
    terminal.note(f"{model.info.name} on {model.device}: {model.device_reason}")
    return model


def parse_slices(text: str | None) -> list[int] | None:
    """``10-40``, ``3,5,8``, ``0-99:3`` and mixtures as slice numbers; ``InputError`` for anything else."""
    if text is None:
        return None
    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None or len(part) > 40:
            raise InputError(f"{text[:60]!r} does not name slices; write 10-40, 3,5,8 or 0-99:3.")
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if last < first or last - first > _MOST_SLICES:
            raise InputError(f"{part!r} is not a range of slices; the first must not be above the last.")
        chosen.update(range(first, last + 1, int(match["step"] or 1)))
    return sorted(chosen)


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Drop what ITK's C++ parts print on a damaged file: the reader says it in one sentence itself."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def check_folder(folder: Path) -> None:
    """``OutputError`` unless ``folder`` is, or can become, a folder to write into. Makes nothing."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the results.")
    parent = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file, so {folder} cannot be made in it.")
