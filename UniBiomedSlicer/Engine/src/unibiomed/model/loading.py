# SPDX-License-Identifier: Apache-2.0
"""Opens a model: the bundled one, a folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from unibiomed.errors import CheckpointError, InputError
from unibiomed.model.api import UniBiomed
from unibiomed.model.cache import FeatureCache
from unibiomed.model.checkpoint import load_model
from unibiomed.model.device import choose_device
from unibiomed.model.generation import MAX_NEW_TOKENS
from unibiomed.model.info import read_info
from unibiomed.model.manifest import verify_folder
from unibiomed.model.quantization import quantize_linears
from unibiomed.model.store import BUNDLED, ModelStore

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Weights, configuration and tokenizer; neither code nor pickle is ever fetched.
_HUB_FILES = ["*.safetensors", "*.json", "*.txt"]


def load(
    model: str | Path = BUNDLED,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    quantize: str | None = None,
    cache: FeatureCache | None = None,
    speculative: bool = True,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> UniBiomed:
    """Load a model for inference.

    ``model``: ``"mini"`` (bundled), the name of a model in the store, a folder in the published layout, or a hub id
    such as ``"Luffy503/UniBiomed"`` (from the store, else the local hub cache, else downloaded into that; ``revision``
    is a branch, tag or commit, and leaves the store out). ``device`` and ``dtype``: ``"auto"`` or as in
    :func:`unibiomed.model.device.choose_device`. ``quantize="int8"`` makes the large linear layers int8 on a CPU.
    Pickles are refused, and files recorded in ``unibiomed-files.json`` must be as they are recorded there.
    Raises CheckpointError or InputError.
    """
    if quantize not in (None, "int8"):
        raise InputError(f"The quantization {quantize!r} is unknown; choose int8 or none.")
    choice = choose_device(device, dtype)
    folder = find_model(model, revision=revision)
    record = verify_folder(folder)
    loaded = load_model(folder, dtype=choice.dtype)
    network = loaded.model.to(choice.device).requires_grad_(False)
    if quantize == "int8":
        if choice.device.type != "cpu":
            raise InputError(f"int8 is only for the CPU, and the model is to run on {choice.device}.")
        quantize_linears(network)
    # Never the path as it was given: the name goes into reports.
    name = record.name if record else str(model) if _is_hub_id(model) else folder.name
    info = read_info(folder, name=name, revision=record.revision or None if record else revision)
    return UniBiomed(
        network,
        loaded.tokenizer,
        choice,
        info,
        cache=cache,
        speculative=speculative,
        max_new_tokens=max_new_tokens,
    )


def find_model(model: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a model; downloads a hub id that is neither in the store nor in the local hub cache."""
    if _is_hub_id(model) and (revision is not None or ModelStore().find(model) is None):
        return _from_hub(model, revision)
    return ModelStore().path(model)


def _is_hub_id(model: str | Path) -> bool:
    return isinstance(model, str) and _HUB_ID.fullmatch(model) is not None and not Path(model).is_dir()


def _from_hub(model: str, revision: str | None) -> Path:
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_HUB_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise CheckpointError(f"{model!r} is no id of the Hugging Face hub.") from error
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"The model {model} cannot be fetched from the Hugging Face hub: {reason}.") from error
