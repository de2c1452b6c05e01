# SPDX-License-Identifier: Apache-2.0
"""Opens a model: the bundled one, a folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from unibiomed.errors import CheckpointError, InputError
from unibiomed.model.api import UniBiomed
from unibiomed.model.cache import FeatureCache
from unibiomed.model.checkpoint import load_model
from unibiomed.model.device import choose_device
from unibiomed.model.info import read_info, verify_files
from unibiomed.model.quantization import quantize_linears

BUNDLED = "mini"
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
) -> UniBiomed:
    """Load a model for inference.

    ``model``: ``"mini"`` (bundled), a folder in the published layout, or a hub id such as ``"Luffy503/UniBiomed"``
    (taken from the local hub cache, else downloaded; ``revision`` is a branch, tag or commit). ``device`` and
    ``dtype``: ``"auto"`` or as in :func:`unibiomed.model.device.choose_device`. ``quantize="int8"`` makes the large
    linear layers int8 on a CPU. Files recorded in ``unibiomed-files.json`` must have the SHA-256 recorded there.
    Raises CheckpointError or InputError.
    """
    if quantize not in (None, "int8"):
        raise InputError(f"The quantization {quantize!r} is unknown; choose int8 or none.")
    choice = choose_device(device, dtype)
    folder = find_model(model, revision=revision)
    verify_files(folder)
    loaded = load_model(folder, dtype=choice.dtype)
    network = loaded.model.to(choice.device).requires_grad_(False)
    if quantize == "int8":
        if choice.device.type != "cpu":
            raise InputError(f"int8 is only for the CPU, and the model is to run on {choice.device}.")
        quantize_linears(network)
    info = read_info(folder, name=str(model), revision=revision)
    return UniBiomed(network, loaded.tokenizer, choice, info, cache=cache, speculative=speculative)


def find_model(model: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a model; downloads a hub id that is not in the local cache."""
    if model == BUNDLED:
        folder = Path(str(resources.files("unibiomed"))) / "models" / BUNDLED
        if not folder.is_dir():
            raise CheckpointError("This installation lacks the bundled model 'mini'; install unibiomed again.")
        return folder
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if isinstance(model, str) and _HUB_ID.fullmatch(model):
        return _from_hub(model, revision)
    raise CheckpointError(f"There is no model {str(model)!r}: neither a folder nor a hub id such as Org/Name.")


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
