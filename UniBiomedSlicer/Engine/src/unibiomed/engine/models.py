# SPDX-License-Identifier: Apache-2.0
"""The one model in memory, and the names that a client may load: never a path, never an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unibiomed.engine.memory import give_back
from unibiomed.engine.refusal import Refused


class Loader(Protocol):
    """Opens the model in a folder; ``unibiomed.model.load`` in production."""

    def __call__(self, folder: Path, *, device: str, dtype: str, quantize: str | None) -> Any:
        """A model as ``unibiomed.tasks.protocol.Model`` has it."""


def load_from_folder(folder: Path, *, device: str, dtype: str, quantize: str | None) -> Any:
    """Open a model; imports torch on the first call."""
    from unibiomed.model import load

    return load(folder, device=device, dtype=dtype, quantize=quantize)


@dataclass(frozen=True)
class ModelChoice:
    """What a client asks to load; ``device`` and ``dtype`` as in ``unibiomed.model.device``."""

    model: str
    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = None


class ModelKeeper:
    """Holds one model. ``load`` and ``on_cpu`` are for the worker thread alone."""

    def __init__(self, loader: Loader = load_from_folder, folders: Mapping[str, Path] | None = None) -> None:
        """``folders`` are models beside the bundled and the stored ones, by the names that clients use."""
        self._loader = loader
        self._folders = dict(folders or {})
        self.model: Any | None = None
        self.choice: ModelChoice | None = None

    def list(self) -> list[dict[str, Any]]:
        """The models that can be loaded."""
        from unibiomed.model.store import ModelStore

        entries = [
            {"name": item.name, "title": _title(item.name), "licence": item.licence, "bytes": item.size}
            | {"source": "bundled" if item.bundled else "store"}
            for item in ModelStore().list()
        ]
        for name, folder in self._folders.items():
            size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            entries.append({"name": name, "title": name, "licence": "unknown", "bytes": size, "source": "folder"})
        loaded = self.choice.model if self.choice else None
        return [{**entry, "loaded": entry["name"] == loaded} for entry in entries]

    def folder(self, name: str) -> Path:
        """The folder of a model by its name; Refused where no model is called so."""
        from unibiomed.model.store import BUNDLED, ModelStore, bundled_folder

        if name in self._folders:
            return self._folders[name]
        folder = bundled_folder() if name == BUNDLED else ModelStore().find(name)
        if folder is None or not folder.is_dir():
            known = ", ".join(entry["name"] for entry in self.list()) or "none"
            raise Refused("unknown_model", f"There is no model {name[:80]!r} on the engine's machine (known: {known}).")
        return folder

    def load(self, choice: ModelChoice) -> Any:
        """Replace the loaded model; the old one goes first, since there may not be room for both."""
        folder = self.folder(choice.model)
        self.unload()
        self.model = self._loader(folder, device=choice.device, dtype=choice.dtype, quantize=choice.quantize)
        self.choice = choice
        return self.model

    def unload(self) -> None:
        """Drop the model and give its memory back."""
        self.model = self.choice = None
        give_back()

    def on_cpu(self) -> Any:
        """The loaded model once more, on the CPU."""
        return self._loader(self.folder(self.choice.model), device="cpu", dtype="auto", quantize=None)

    def forget_pictures(self) -> None:
        """Drop what the model keeps of the pictures that it has seen."""
        cache = getattr(self.model, "cache", None)
        if cache is not None:
            cache.clear()

    def describe(self) -> dict[str, Any] | None:
        """The loaded model for clients; None where none is."""
        model, choice = self.model, self.choice
        if model is None or choice is None:
            return None
        info = model.info
        return {
            "name": choice.model,
            "title": str(info.name),
            "version": str(getattr(info, "version", "") or ""),
            "licence": str(getattr(info, "licence", "") or ""),
            "notice": str(getattr(info, "notice", "") or ""),
            "device": str(model.device),
            "dtype": str(model.dtype).removeprefix("torch."),
            "device_reason": str(getattr(model, "device_reason", "")),
        }


def _title(name: str) -> str:
    return "UniBiomed-Mini (bundled)" if name == "mini" else name
