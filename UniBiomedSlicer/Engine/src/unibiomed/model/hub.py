# SPDX-License-Identifier: Apache-2.0
"""Models on the Hugging Face Hub: what is there, and its files into a folder. The store's only way to the network."""

from __future__ import annotations

import io
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
        """See ``Hub.fetch``; what an interrupted call had of a file waits in ``NAME.part`` and is gone on with.

        Not ``snapshot_download``: from version 1 on it names its partial files anew at each call, so that gigabytes
        would be fetched again.
        """
        from huggingface_hub.errors import HTTPError

        before = 0
        try:
            for file in model.files:
                path = folder / file.name
                if not path.is_file() or path.stat().st_size != file.size:
                    self._fetch_file(model, file, path, _counter(before, model.size, progress))
                before += file.size
                if progress is not None:
                    progress(before, model.size)
        except (HTTPError, ConnectionError, FileNotFoundError, TimeoutError) as error:
            raise _unreachable(model.repo_id, error) from error
        except OSError as error:
            raise OutputError(
                f"{model.repo_id} could not be written to {folder}: {error.strerror or error}."
            ) from error

    def _fetch_file(self, model: RemoteModel, file: RemoteFile, path: Path, tell: Callable[[int], None]) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        part = path.with_name(f"{path.name}.part")
        with _CountedFile(part, tell) as target:
            have = target.seek(0, io.SEEK_END)
            if have > file.size:
                have = target.seek(0)
                target.truncate()
            http_get(
                hf_hub_url(model.repo_id, file.name, revision=model.revision),
                target,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=_silent_bar_class(),
            )
        part.replace(path)


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


def _counter(before: int, total: int, progress: ByteProgress | None) -> Callable[[int], None]:
    """Tells the bytes of all files when it is told those of one."""
    return lambda done: None if progress is None else progress(min(before + done, total), total)


class _CountedFile(io.BufferedRandom):
    """A file that tells its length after each write, when the bytes are with the operating system.

    The bar of ``http_get`` counts them before: whoever ends the process on what it says would lose up to 10 MB.
    """

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path, "r+" if path.is_file() else "w+"))
        self._tell_length = tell

    def write(self, data: Any) -> int:
        written = super().write(data)
        self.flush()
        self._tell_length(self.tell())
        return written


def _silent_bar_class() -> type:
    """A bar for ``http_get`` that shows nothing."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})

    return Bar
