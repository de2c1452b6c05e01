# SPDX-License-Identifier: Apache-2.0
"""The size of folders, and their removal, a few milliseconds at a time in the event loop."""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Callable, Generator
from pathlib import Path

from slicer.i18n import tr as _

from UniBiomedSlicerLib.SlicedWork import SlicedWork


def measureFolders(folders: dict[str, Path], done: Callable[[dict[str, int]], None]) -> SlicedWork:
    """``done(name -> bytes)``. A file that is there under several names (hard links) is counted once."""
    return SlicedWork(_measure(folders), lambda sizes, error: done(sizes))


def _measure(folders: dict[str, Path]) -> Generator[None, None, dict[str, int]]:
    sizes: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    for name, folder in folders.items():
        sizes[name] = 0
        waiting = [str(folder)]
        while waiting:
            try:
                entries = os.scandir(waiting.pop())
            except OSError:
                continue
            with entries:
                for entry in entries:
                    yield
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    try:
                        facts = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if facts.st_nlink > 1 and facts.st_ino:
                        if (facts.st_dev, facts.st_ino) in seen:
                            continue
                        seen.add((facts.st_dev, facts.st_ino))
                    sizes[name] += facts.st_size
    return sizes


def removeFolder(folder: Path, done: Callable[[str], None]) -> SlicedWork | None:
    """Delete ``folder``; ``done("")`` after success, else with one sentence.

    It is renamed first, so that it is gone under its name at once and an interrupted deletion leaves only rubbish
    (``.removing-…`` beside it). Returns the work to keep until it is done, None when there was nothing to do.
    """
    if not folder.exists():
        done("")
        return None
    rubbish = folder.with_name(f".removing-{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(rubbish)
    except OSError as error:
        done(
            _("{folder} could not be removed: {reason}; close the programs that use it and try again.").format(
                folder=folder, reason=error.strerror or error
            )
        )
        return None
    return SlicedWork(_remove(rubbish), lambda problem, error: done(problem))


def _remove(root: Path) -> Generator[None, None, str]:
    """Delete bottom up; returns "" or a sentence about the first thing that could not be deleted."""
    problem = ""
    waiting: list[tuple[str, bool]] = [(str(root), False)]
    while waiting:
        path, emptied = waiting.pop()
        yield
        try:
            if emptied:
                os.rmdir(path)  # noqa: PTH106 - paths are plain text here, for speed
                continue
            waiting.append((path, True))
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, False))
                        continue
                    yield
                    _unlink(entry)
        except OSError as error:
            problem = problem or _("{path} could not be deleted: {reason}.").format(
                path=path, reason=error.strerror or error
            )
    return problem


def _unlink(entry: os.DirEntry[str]) -> None:
    try:
        os.unlink(entry.path)  # noqa: PTH108
    except PermissionError:
        # Windows refuses to delete a read-only file.
        os.chmod(entry.path, stat.S_IWRITE)  # noqa: PTH101
        os.unlink(entry.path)  # noqa: PTH108


def sizeText(size: float) -> str:
    """A size as people read it, in decimal units: "0 MB", "12 MB", "1.8 GB"."""
    if size >= 1e9:
        return _("{number} GB").format(number=f"{size / 1e9:.1f}")
    if size >= 1e8 or size == 0:
        return _("{number} MB").format(number=f"{size / 1e6:.0f}")
    return _("{number} MB").format(number=f"{size / 1e6:.1f}")


def freeSpace(folder: Path) -> int | None:
    """Free bytes on the disk of ``folder`` (of its nearest parent that exists); None when it cannot be told."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
