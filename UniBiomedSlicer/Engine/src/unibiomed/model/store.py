# SPDX-License-Identifier: Apache-2.0
"""The models on this machine: list, download, import, verify, remove, and the folder behind a name.

One folder a model under the store's root (``UNIBIOMED_MODELS``, else the user's data folder). A model appears in it
by one rename of a finished, hashed folder, so a stopped download or a full disk never leaves half a model; what a
stopped download had fetched waits under ``.partial`` and is gone on with.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from unibiomed.errors import CheckpointError, InputError, OutputError
from unibiomed.model.hub import Hub, HuggingFaceHub, RemoteModel
from unibiomed.model.importing import check_model_folder, copy_model_files, stated_licence
from unibiomed.model.manifest import (
    MANIFEST_NAME,
    ByteProgress,
    Manifest,
    file_sha256,
    read_manifest,
    verify_folder,
    write_manifest,
)

BUNDLED = "mini"
ENVIRONMENT_VARIABLE = "UNIBIOMED_MODELS"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_PARTIAL = ".partial"

AcceptLicence = Callable[[RemoteModel], bool]


@dataclass(frozen=True)
class StoredModel:
    """One model that can be opened by name. ``size`` is in bytes; ``revision`` is the Hub's commit, or empty."""

    name: str
    folder: Path
    source: str
    revision: str
    licence: str
    size: int
    bundled: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {**vars(self), "folder": str(self.folder)}


def store_root() -> Path:
    """Where models are kept: the folder in ``UNIBIOMED_MODELS``, else the user's data folder of this platform."""
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("unibiomed", False)) / "models"


def bundled_folder() -> Path:
    """The folder of the model that comes with the program (it may be absent in a build without it)."""
    return Path(__file__).resolve().parents[1] / "models" / BUNDLED


def resolve(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of ``"mini"``, of an existing folder, or of a stored model, else ``CheckpointError``."""
    return ModelStore().path(name_or_folder)


class ModelStore:
    """The store at ``root``; ``hub`` is asked only by ``look_up`` and ``download``."""

    def __init__(self, root: Path | None = None, hub: Hub | None = None) -> None:
        self.root = store_root() if root is None else root
        self.hub = HuggingFaceHub() if hub is None else hub

    def list(self) -> tuple[StoredModel, ...]:
        """The bundled model first, then the stored ones by name. Reads the records only, no network."""
        models = [self._bundled()] if bundled_folder().is_dir() else []
        if self.root.is_dir():
            folders = sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))
            models += [model for folder in folders if (model := _listed(folder)) is not None]
        return tuple(models)

    def path(self, name_or_folder: str | os.PathLike[str]) -> Path:
        """The folder of a model; see ``resolve``. The store's models go before folders of the same relative name."""
        text = os.fspath(name_or_folder)
        if text == BUNDLED:
            if not bundled_folder().is_dir():
                raise CheckpointError("This build has no bundled model; name a folder or download one.")
            return bundled_folder()
        if (stored := self.find(text)) is not None:
            return stored
        folder = Path(text).expanduser()
        if folder.is_dir():
            return folder
        if folder.exists():
            raise CheckpointError(
                f"{folder} is a file; a model is a folder with config.json, safetensors and tokenizer."
            )
        known = ", ".join(model.name for model in self.list()) or "none"
        hint = f"; download it with `unibiomed models download {text}`" if "/" in text and _NAME.fullmatch(text) else ""
        raise CheckpointError(f"There is no model {text!r} on this machine (known: {known}){hint}.")

    def find(self, name: str) -> Path | None:
        """The folder of the stored model ``name``, None where the store has none."""
        folder = self._folder(name)
        return folder if _NAME.fullmatch(name) and read_manifest(folder) is not None else None

    def look_up(self, repo_id: str, revision: str | None = None) -> RemoteModel:
        """What the Hub has under ``repo_id``: the fixed revision, licence, files and sizes."""
        if not _NAME.fullmatch(repo_id) or "/" not in repo_id:
            raise InputError(f"{repo_id!r} is not a model name; it should look like Organisation/Name.")
        return self.hub.describe(repo_id, revision)

    def download(
        self,
        repo_id: str,
        *,
        accept_licence: AcceptLicence,
        revision: str | None = None,
        progress: ByteProgress | None = None,
    ) -> StoredModel:
        """Fetch a model; ``accept_licence`` is shown the licence first and nothing is fetched unless it says True.

        A call after an interruption goes on where that stopped. A stored model of another revision is replaced once
        the new one is complete. Raises ``InputError`` (name, network, licence not accepted), ``CheckpointError`` (a
        file is not what the Hub says, or is a pickle), ``OutputError`` (disk).
        """
        remote = self.look_up(repo_id, revision)
        stored = read_manifest(self._folder(repo_id))
        if stored is not None and stored.revision == remote.revision:
            verify_folder(self._folder(repo_id))
            return _stored(stored, self._folder(repo_id))
        if not accept_licence(remote):
            raise InputError(
                f"The licence of {repo_id} ({remote.licence}) was not accepted, so nothing was downloaded."
            )
        partial = self.root / _PARTIAL / f"{_folder_name(repo_id)}@{remote.revision[:40]}"
        try:
            partial.mkdir(parents=True, exist_ok=True)
            self.hub.fetch(remote, partial, progress)
            _check_against_hub(remote, partial)
            check_model_folder(partial)
            # The Hub client's own notes about resuming are of no use in a finished model.
            shutil.rmtree(partial / ".cache", ignore_errors=True)
            manifest = write_manifest(
                partial, name=repo_id, source=f"hf://{repo_id}", revision=remote.revision, licence=remote.licence
            )
            self._put_in_place(partial, self._folder(repo_id))
        except OSError as error:
            raise _disk_error(self.root, error) from error
        return _stored(manifest, self._folder(repo_id))

    def import_folder(
        self, folder: Path, name: str | None = None, *, progress: ByteProgress | None = None
    ) -> StoredModel:
        """Copy a model folder (config, safetensors, tokenizer, card) into the store under ``name``.

        The source is only read. Raises ``InputError`` (name, no folder, name taken), ``CheckpointError`` (not a model
        folder, a pickle in it), ``OutputError`` (disk); then nothing is left in the store.
        """
        name = folder.resolve().name if name is None else name
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder} to import.")
        self.check_free(name)
        check_model_folder(folder)
        partial = self.root / _PARTIAL / f"{_folder_name(name)}-{uuid.uuid4().hex}"
        try:
            partial.mkdir(parents=True)
            copy_model_files(folder, partial, progress)
            source = read_manifest(folder)
            manifest = write_manifest(
                partial,
                name=name,
                source=source.source if source else "imported folder",
                revision=source.revision if source else "",
                licence=source.licence if source else stated_licence(partial),
            )
            self._put_in_place(partial, self._folder(name))
        except OSError as error:
            raise _disk_error(self.root, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _stored(manifest, self._folder(name))

    def check_free(self, name: str) -> None:
        """``InputError`` unless a new model can be called ``name``."""
        if not _NAME.fullmatch(name) or name == BUNDLED:
            raise InputError(f"{name!r} cannot be a model's name; use letters, digits, '.', '_', '-' (and one '/').")
        if self._folder(name).exists():
            raise InputError(f"The store already has a model {name!r}; remove it first or take another name.")

    def verify(self, name: str, progress: ByteProgress | None = None) -> StoredModel:
        """Read every file of a model and compare; ``CheckpointError`` lists what differs from the record."""
        folder = self.path(name)
        manifest = verify_folder(folder, progress=progress)
        if manifest is None:
            raise CheckpointError(f"{folder} has no record of its files; import it into the store to have one.")
        return _stored(manifest, folder) if name != BUNDLED else self._bundled()

    def remove(self, name: str) -> None:
        """Delete a stored model and what stopped downloads of it left.

        Raises ``InputError`` for the bundled model or an unknown name.
        """
        if name == BUNDLED:
            raise InputError("The bundled model belongs to the program and cannot be removed.")
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is not a model's name.")
        folder = self._folder(name)
        leftovers = sorted((self.root / _PARTIAL).glob(f"{_folder_name(name)}@*"))
        # Asked for by the record's presence, not its content: a damaged model can be removed too.
        if not (folder / MANIFEST_NAME).is_file() and not leftovers:
            raise InputError(f"There is no model {name!r} in the store {self.root}.")
        if folder.is_dir():
            # Renamed first: an interrupted deletion then leaves rubbish under .partial, not half a model.
            rubbish = self.root / _PARTIAL / f"removed-{uuid.uuid4().hex}"
            rubbish.parent.mkdir(exist_ok=True)
            folder.rename(rubbish)
            leftovers.append(rubbish)
        for leftover in leftovers:
            shutil.rmtree(leftover)

    def _folder(self, name: str) -> Path:
        return self.root / _folder_name(name)

    def _bundled(self) -> StoredModel:
        folder = bundled_folder()
        manifest = read_manifest(folder)
        size = manifest.size if manifest else sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        return StoredModel(BUNDLED, folder, "bundled", "", stated_licence(folder), size, bundled=True)

    def _put_in_place(self, finished: Path, target: Path) -> None:
        if not target.exists():
            finished.rename(target)
            return
        old = self.root / _PARTIAL / f"removed-{uuid.uuid4().hex}"
        target.rename(old)
        finished.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _folder_name(name: str) -> str:
    return name.replace("/", "--")


def _listed(folder: Path) -> StoredModel | None:
    """The model in ``folder`` for a list; one with a damaged record is shown as such, so that it can be removed."""
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return StoredModel(folder.name.replace("--", "/"), folder, "damaged record", "", "unknown", 0)
    return None if manifest is None else _stored(manifest, folder)


def _stored(manifest: Manifest, folder: Path) -> StoredModel:
    return StoredModel(manifest.name, folder, manifest.source, manifest.revision, manifest.licence, manifest.size)


def _check_against_hub(remote: RemoteModel, folder: Path) -> None:
    """Compare what arrived with the Hub's list; a file that differs is deleted, so that the next try fetches it."""
    faults = []
    for file in remote.files:
        path = folder / file.name
        if not path.is_file():
            faults.append(f"{file.name} is missing")
        elif path.stat().st_size != file.size or (file.sha256 and file_sha256(path) != file.sha256):
            faults.append(f"{file.name} is not what the Hub lists")
            path.unlink()
    if faults:
        raise CheckpointError(f"{remote.repo_id} did not arrive whole: {'; '.join(faults)}; run the download again.")


def _disk_error(root: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The model could not be written to {root}: {error.strerror or error}; free space or rights there."
    )
