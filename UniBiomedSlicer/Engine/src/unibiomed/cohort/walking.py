# SPDX-License-Identifier: Apache-2.0
"""The folders of a cohort, links followed, none twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_SKIPPED_FOLDERS = {"derivatives", "sourcedata", "code", "__macosx"}
_CLOSED = "folders that may not be read"


def folders_of(root: Path, left_out: Counter[str]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder under ``root`` with the names of its files, both in order; what is hidden is left out.

    A cohort is often made of links. One to a file is a file like any other; one to a folder is gone into when it leads
    out of everything that is visited anyway, so that no file comes twice and no circle is walked. Folders that may not
    be read are counted in ``left_out``.
    """
    visited: set[Path] = set()
    above: set[Path] = set()  # of all that is visited; sets, since a cohort may be ten thousand links

    def visit(real: Path) -> None:
        visited.add(real)
        above.update(real.parents)

    def refused(error: OSError) -> None:
        left_out[_CLOSED] += 1

    def is_wanted(folder: Path) -> bool:
        if folder.name.startswith(".") or folder.name.lower() in _SKIPPED_FOLDERS:
            return False
        if not folder.is_symlink():
            return True
        real = folder.resolve()
        if real in above or not visited.isdisjoint((real, *real.parents)):
            return False
        visit(real)
        return True

    visit(root.resolve())
    for place, folders, names in os.walk(root, followlinks=True, onerror=refused):
        folders[:] = [name for name in sorted(folders) if is_wanted(Path(place) / name)]
        yield Path(place), sorted(name for name in names if not name.startswith("."))
