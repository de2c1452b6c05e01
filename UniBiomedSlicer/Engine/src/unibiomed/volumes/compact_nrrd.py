# SPDX-License-Identifier: Apache-2.0
"""Copies of NRRD files with their voxels compressed: Slicer writes raw ones faster, and they need not stay so."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import BinaryIO

_LEVEL = 1  # labels compress a hundredfold at any level, and this one is the fastest
_BLOCK = 2**20


def copy_compact(source: Path, target: Path) -> None:
    """Copy ``source`` to ``target``; raw voxels that stand in the file itself become gzip, all else stays as it is."""
    with source.open("rb") as original, target.open("wb") as copy:
        header = _header(original)
        if b"encoding: raw\n" not in header:
            copy.write(b"".join(header))
            shutil.copyfileobj(original, copy, _BLOCK)
            return
        copy.write(b"".join(b"encoding: gzip\n" if line == b"encoding: raw\n" else line for line in header))
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=copy, mtime=0) as packed:
            shutil.copyfileobj(original, packed, _BLOCK)


def _header(file: BinaryIO) -> list[bytes]:
    """The lines up to the empty one that ends an NRRD header; all lines of a file that has none."""
    lines = []
    for line in iter(file.readline, b""):
        lines.append(line)
        if line == b"\n":
            break
    return lines
