# SPDX-License-Identifier: Apache-2.0
"""A ``.seg.nrrd`` as slicerio reads it, with all the letters of its names.

Slicer writes UTF-8, and so does this program; pynrrd, below slicerio, drops what is not ASCII, and a "Läsion" would be
exported as "Lsion".
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import slicerio

from unibiomed.errors import InputError

#: slicerio and pynrrd raise whatever a broken file leads them to; an empty one ends an iterator.
_BROKEN = (
    OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, AttributeError, EOFError, StopIteration,
    zlib.error,
)  # fmt: skip
_FIELD = re.compile(r"Segment(?P<number>\d+)_(?P<key>[^:]+):=?(?P<value>.*)")
#: Tags that slicerio takes apart by itself.
_KNOWN_TAGS = ("TerminologyEntry", "Segmentation.Status")


def read_document(path: Path, *, skip_voxels: bool = False) -> dict[str, Any]:
    """slicerio's document: "segments", "ijkToLPS", "voxels" ([i, j, k] or [layer, i, j, k]; None if skipped).

    InputError where the file is broken.
    """
    try:
        document: dict[str, Any] = slicerio.read_segmentation(str(path), skip_voxels=skip_voxels)
        _restore_letters(document["segments"], _fields(path))
    except _BROKEN as error:
        said = str(error) or "it is empty or cut short"
        raise InputError(f"{path} cannot be read as a .seg.nrrd segmentation ({said}).") from error
    return document


def _fields(path: Path) -> list[dict[str, str]]:
    """What the header says of each segment, in the order of their numbers."""
    found: dict[int, dict[str, str]] = {}
    with path.open("rb") as file:
        for line in file:
            text = line.decode("utf-8", "replace").rstrip()
            if not text:
                break
            if (field := _FIELD.match(text)) is not None:
                found.setdefault(int(field["number"]), {})[field["key"]] = field["value"].strip()
    return [found[number] for number in sorted(found)]


def _restore_letters(segments: list[dict[str, Any]], fields: list[dict[str, str]]) -> None:
    for entry, own in zip(segments, fields, strict=True):
        entry["id"] = own.get("ID", entry["id"])
        if "Name" in own:
            entry["name"] = own["Name"]
        pairs = (part.strip().split(":", 1) for part in own.get("Tags", "").split("|") if part.strip())
        tags = {key: value for key, value in pairs if key not in _KNOWN_TAGS}
        if tags:
            entry["tags"] = tags
