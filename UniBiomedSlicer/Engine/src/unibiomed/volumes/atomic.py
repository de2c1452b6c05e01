# SPDX-License-Identifier: Apache-2.0
"""All-or-nothing files: written under a temporary name beside the target, then renamed.

Whatever goes wrong (an error, Ctrl-C, a full disk), the target is as it was before and nothing is left beside it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unibiomed.errors import OutputError

_PREFIX = ".unibiomed-"
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "permission is denied; choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENAMETOOLONG: "the file name is too long; choose a shorter one",
    errno.EISDIR: "a folder of that name exists; choose another name",
    errno.ENOTEMPTY: "a folder of that name exists and is not empty; choose another name",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
}


@contextmanager
def atomic_path(target: str | os.PathLike[str], *, suffix: str | None = None) -> Iterator[Path]:
    """Yield a path that does not exist yet, in ``target``'s folder (made when missing) and with its suffixes.

    On a clean exit the file written there replaces ``target`` in one step; on any other exit it is deleted.
    ``suffix`` overrides the ending of the temporary name. OutputError (one sentence) for a full disk, missing
    permission and other system errors, also when raised by the code inside the ``with``.
    """
    target = Path(target)
    ending = _ending(target) if suffix is None else suffix
    with _reported(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        with _scratch(target) as scratch:
            temporary = scratch / f"new{ending}"
            yield temporary
            if not temporary.is_file():
                raise OutputError(f"{target} was not written: its writer produced no file.")
            _flush(temporary)
            temporary.replace(target)


@contextmanager
def atomic_folder(target: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; on a clean exit it becomes ``target``, on any other it is deleted.

    An existing non-empty ``target`` is refused with an OutputError before any work, unless ``replace``: then the files
    written are moved into it one by one after all of them are complete, and other files in it stay.
    """
    target = Path(target)
    with _reported(target):
        exists = target.exists()
        if exists and not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file", str(target))
        if exists and not replace and any(target.iterdir()):
            raise OSError(errno.ENOTEMPTY, "is not empty", str(target))
        with _scratch(target) as scratch:
            temporary = scratch / "new"
            temporary.mkdir()
            yield temporary
            files = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
            for path in files:
                _flush(path)
            if exists:
                for path in files:
                    final = target / path.relative_to(temporary)
                    final.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(final)
            else:
                temporary.replace(target)


def sweep(folder: Path) -> int:
    """Remove what writers that were killed left in ``folder``; returns how much. Nobody may be writing there."""
    left = list(folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []
    for scratch in left:
        shutil.rmtree(scratch, ignore_errors=True)
    return len(left)


def write_error(target: str | os.PathLike[str], error: OSError) -> OutputError:
    """The one sentence for a system error met while writing ``target``."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__ or cause.__context__  # pydicom wraps the system's error in one without a number
    known = cause if isinstance(cause, OSError) else error
    said = known.strerror or str(known).partition("\n")[0]
    reason = _REASONS.get(known.errno or 0, f"{said}; check the folder and try again")
    return OutputError(f"Cannot write {target}: {reason}.")


@contextmanager
def _reported(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(target, error) from error


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A hidden folder beside ``target``: libraries that write companions or their own temporaries stay inside it."""
    folder = target.absolute().parent
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    done = False
    try:
        yield scratch
        done = True
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not done:
            for path in made:
                _remove_if_empty(path)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _ending(target: Path) -> str:
    """The part of the name that formats are recognised by, ``.nii.gz`` or ``.seg.nrrd`` included."""
    return "".join(target.suffixes[-2:]) if len(target.suffixes) > 1 else target.suffix


def _flush(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
