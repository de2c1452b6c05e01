# SPDX-License-Identifier: Apache-2.0
"""What a model folder holds: the record of its files with their SHA-256, and the refusal of pickles.

A folder that the model store made carries ``unibiomed-files.json``. Whoever opens the folder calls
``verify_folder`` first: a changed, missing or added file is told before any of it is read as a model. A folder
without the record (a user's own training output) is only searched for pickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unibiomed.errors import CheckpointError

MANIFEST_NAME = "unibiomed-files.json"
MANIFEST_VERSION = 1

#: Names that a loader would hand to ``pickle``; none of them is ever opened.
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".pyt", ".dill"})
#: What a model consists of; nothing else is copied or downloaded (no remote code, no pickles).
MODEL_FILE_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.md", "*.jinja", "LICENSE*", "NOTICE*")

_ZIP_MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 22

ByteProgress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 (lower-case hexadecimal) of one file of a model folder."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The record of a model folder: where it came from, under which licence, and every file's SHA-256."""

    name: str
    source: str
    revision: str
    licence: str
    files: dict[str, FileRecord]

    @property
    def size(self) -> int:
        """Bytes of all recorded files together."""
        return sum(record.size for record in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        files = {name: {"size": record.size, "sha256": record.sha256} for name, record in sorted(self.files.items())}
        return {
            "manifest_version": MANIFEST_VERSION,
            "name": self.name,
            "source": self.source,
            "revision": self.revision,
            "licence": self.licence,
            "files": files,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> Manifest:
        """Read the record back; ``CheckpointError`` names ``where`` when it is not one."""
        try:
            if data["manifest_version"] != MANIFEST_VERSION:
                raise CheckpointError(
                    f"{where} has record version {data['manifest_version']}, this program reads {MANIFEST_VERSION}."
                )
            files = {
                name: FileRecord(int(entry["size"]), str(entry["sha256"])) for name, entry in data["files"].items()
            }
            return cls(str(data["name"]), str(data["source"]), str(data["revision"]), str(data["licence"]), files)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{where} is not a record of model files; import or download the model again."
            ) from error


def model_files(folder: Path) -> Iterator[Path]:
    """Every file below ``folder`` except the record itself and hidden files, in sorted order."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if (
            path.is_file()
            and relative.name != MANIFEST_NAME
            and not any(part.startswith(".") for part in relative.parts)
        ):
            yield path


def refuse_pickles(folder: Path) -> None:
    """Raise ``CheckpointError`` when a file in ``folder`` is a pickle by its name or by its first bytes.

    A pickle runs code when it is opened, so a model folder may hold safetensors only.
    """
    found = [str(path.relative_to(folder)) for path in model_files(folder) if _is_pickle(path)]
    if found:
        raise CheckpointError(
            f"The model folder {folder} holds pickle files, which can run code and are never opened: "
            f"{', '.join(found)}; convert the weights to safetensors and remove these files."
        )


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return True
    if path.suffix.lower() != ".safetensors":
        return False
    with path.open("rb") as stream:
        head = stream.read(10)
    # A safetensors file starts with its header's length (8 bytes, little endian) and "{"; a torch pickle
    # renamed to .safetensors is a zip archive or starts with the PROTO opcode.
    is_safetensors = head[8:9] == b"{"
    return not is_safetensors and (head.startswith(_ZIP_MAGIC) or head[:1] == b"\x80")


def file_sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, read in pieces; ``progress`` gets the bytes of each piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
            if progress is not None:
                progress(len(piece))
    return digest.hexdigest()


def write_manifest(
    folder: Path, *, name: str, source: str, revision: str, licence: str, progress: ByteProgress | None = None
) -> Manifest:
    """Hash every file of ``folder`` and write ``unibiomed-files.json`` into it."""
    paths = list(model_files(folder))
    report = _counter(sum(path.stat().st_size for path in paths), progress)
    files = {
        path.relative_to(folder).as_posix(): FileRecord(path.stat().st_size, file_sha256(path, report))
        for path in paths
    }
    manifest = Manifest(name, source, revision, licence, files)
    _save(folder, manifest)
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The record of ``folder``, or None where there is none. ``CheckpointError`` when it is damaged."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged; import or download the model again.") from error
    return Manifest.from_json(data, str(path))


def verify_folder(folder: Path, *, progress: ByteProgress | None = None) -> Manifest | None:
    """Check ``folder`` against its record, and refuse pickles in any folder.

    Returns the record, or None where the folder has none. Raises ``CheckpointError`` with the list of files
    that are missing, changed (size or SHA-256) or added since the record was made.
    """
    refuse_pickles(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    present = {path.relative_to(folder).as_posix(): path for path in model_files(folder)}
    faults = [f"{name} is missing" for name in manifest.files if name not in present]
    faults += [f"{name} was added" for name in present if name not in manifest.files]
    report = _counter(manifest.size, progress)
    for name, record in manifest.files.items():
        path = present.get(name)
        if path is None:
            continue
        if path.stat().st_size != record.size:
            faults.append(f"{name} has {path.stat().st_size} bytes instead of {record.size}")
        elif file_sha256(path, report) != record.sha256:
            faults.append(f"{name} has another SHA-256")
    if faults:
        raise CheckpointError(
            f"The model in {folder} is not what was stored: {'; '.join(faults)}; "
            "remove it and import or download it again."
        )
    return manifest


def update_record(folder: Path, name: str) -> None:
    """Record the present content of the file ``name`` again, after the program itself changed it on purpose.

    Does nothing where the folder has no record.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return
    path = folder / name
    files = {**manifest.files, name: FileRecord(path.stat().st_size, file_sha256(path))}
    _save(folder, replace(manifest, files=files))


def _save(folder: Path, manifest: Manifest) -> None:
    text = json.dumps(manifest.to_json(), indent=1) + "\n"
    temporary = folder / f".{MANIFEST_NAME}.part"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / MANIFEST_NAME)


def _counter(total: int, progress: ByteProgress | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return add
