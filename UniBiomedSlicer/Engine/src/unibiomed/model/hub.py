# SPDX-License-Identifier: Apache-2.0
"""Models on the Hugging Face Hub: what is there, and its files into a folder. The store's only way to the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unibiomed.errors import InputError, OutputError
from unibiomed.model.manifest import MODEL_FILE_PATTERNS, PICKLE_SUFFIXES

ByteProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository: its name, its size in bytes, and its SHA-256 where the Hub keeps one."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class RemoteModel:
    """A repository at one fixed revision (a commit), with the licence that its card states."""

    repo_id: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)


class Hub(Protocol):
    """What the store needs of a hub."""

    def describe(self, repo_id: str, revision: str | None) -> RemoteModel:
        """Resolve ``revision`` (None: the newest) and list the model's files. ``InputError`` when there is none."""
        ...

    def fetch(self, model: RemoteModel, folder: Path, progress: ByteProgress | None) -> None:
        """Put the files into ``folder``, going on with what an interrupted call left there."""
        ...


class HuggingFaceHub:
    """The Hub through ``huggingface_hub``; honours its environment (HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, proxies)."""

    def describe(self, repo_id: str, revision: str | None) -> RemoteModel:
        """See ``Hub.describe``; one request."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            info = HfApi().model_info(repo_id, revision=revision, files_metadata=True)
        except RevisionNotFoundError as error:
            raise InputError(f"{repo_id} has no revision {revision!r} on the Hugging Face Hub.") from error
        except RepositoryNotFoundError as error:
            raise InputError(
                f"There is no public model {repo_id} on the Hugging Face Hub; check the name, or set HF_TOKEN "
                "if it is gated."
            ) from error
        except HFValidationError as error:
            raise InputError(f"{repo_id!r} is not a model name; it should look like Organisation/Name.") from error
        except (HTTPError, OSError) as error:
            raise _unreachable(repo_id, error) from error
        files = tuple(
            RemoteFile(entry.rfilename, int(entry.size or 0), entry.lfs.sha256 if entry.lfs else None)
            for entry in info.siblings or ()
            if _wanted(entry.rfilename)
        )
        if not any(file.name.endswith(".safetensors") for file in files):
            raise InputError(f"{repo_id} has no safetensors weights; a pickle checkpoint is never opened.")
        return RemoteModel(repo_id, str(info.sha), _licence(info), files)

    def fetch(self, model: RemoteModel, folder: Path, progress: ByteProgress | None) -> None:
        """See ``Hub.fetch``; resumes by ``snapshot_download``'s own partial files in ``folder``."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HTTPError

        bar = _progress_bar_class(model.size, progress)
        try:
            snapshot_download(
                model.repo_id,
                revision=model.revision,
                local_dir=folder,
                allow_patterns=[file.name for file in model.files],
                tqdm_class=bar,
            )
        except (HTTPError, ConnectionError, FileNotFoundError, TimeoutError) as error:
            raise _unreachable(model.repo_id, error) from error
        except OSError as error:
            raise OutputError(
                f"{model.repo_id} could not be written to {folder}: {error.strerror or error}."
            ) from error


def _wanted(name: str) -> bool:
    path = Path(name)
    if len(path.parts) != 1 or path.suffix.lower() in PICKLE_SUFFIXES:
        return False
    return any(path.match(pattern) for pattern in MODEL_FILE_PATTERNS)


def _licence(info: Any) -> str:
    card = info.card_data
    stated = getattr(card, "license_name", None) or getattr(card, "license", None) if card is not None else None
    return str(stated) if stated else "not stated"


def _unreachable(repo_id: str, error: Exception) -> InputError:
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(
        f"{repo_id} could not be fetched from the Hugging Face Hub ({first_line.rstrip('.')}); check the network and "
        "run the command again, it goes on where it stopped, or import a folder with `unibiomed models import`."
    )


def _progress_bar_class(total: int, progress: ByteProgress | None) -> type:
    """A silent bar for ``snapshot_download`` that hands the bytes on; it counts the bytes that reached the disk."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts = kwargs.get("unit") == "B" and "Reconstructing" in str(kwargs.get("desc", ""))
            self._bytes = 0
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if self._counts and progress is not None:
                self._bytes += int(n or 0)
                progress(min(self._bytes, total), total)
            return super().update(n)

    return Bar
