# SPDX-License-Identifier: Apache-2.0
"""Reads and writes model folders in the published layout: safetensors (one file or shards), config, tokenizer.

Strict both ways: every tensor is used and none is left, or the load fails with the list. Pickle is never read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer

from unibiomed.errors import CheckpointError, OutputError
from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.key_map import Link, links
from unibiomed.model.modeling import UniBiomedModel

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SEG, IMAGE_CONTEXT = "[SEG]", "<IMG_CONTEXT>"
SPECIAL_TOKENS = ("<img>", "</img>", IMAGE_CONTEXT, SEG, "<p>", "</p>", "<vp>", "</vp>")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_LISTED = 20


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer; ``stored`` is the dtype that the folder holds each published tensor in."""

    model: UniBiomedModel
    tokenizer: PreTrainedTokenizerBase
    stored: dict[str, torch.dtype]


def load_model(folder: Path | str, *, dtype: torch.dtype = torch.float32, attention: str = "sdpa") -> Loaded:
    """Load a model folder in the published layout, in evaluation mode, on the CPU.

    Stored tensors may mix float32, bfloat16 and float16; all are cast to ``dtype``. Raises CheckpointError with the
    list of tensors that are missing, unknown or wrongly shaped, or with the reason why a file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder {folder}.")
    config = UniBiomedConfig.from_file(folder / "config.json")
    files = weight_files(folder)
    tokenizer = load_tokenizer(folder, config)
    model = UniBiomedModel.empty(config, attention=attention)
    _cast(model, dtype)
    stored = _fill(model, files)
    # The dense positional grid is computed in float32 in every mode, from values rounded to the model's dtype.
    for embedding in (
        model.grounding_encoder.shared_image_embedding,
        model.grounding_encoder.prompt_encoder.shared_embedding,
    ):
        embedding.float()
    model.image_context_id = tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT)
    return Loaded(model.eval(), tokenizer, stored)


def load_tokenizer(folder: Path | str, config: UniBiomedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, without running code from it; raises CheckpointError if special tokens lack."""
    try:
        tokenizer = Qwen2Tokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"The tokenizer files in {folder} cannot be read: {reason}.") from error
    known = tokenizer.get_vocab()
    if missing := [token for token in SPECIAL_TOKENS if token not in known]:
        raise CheckpointError(f"The tokenizer in {folder} lacks the special tokens {missing}.")
    if len(tokenizer) > config.language.vocab_size:
        raise CheckpointError(
            f"The tokenizer in {folder} has {len(tokenizer)} tokens, more than the vocab_size "
            f"{config.language.vocab_size} of config.json."
        )
    return tokenizer


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, from the index where there is one; refuses folders that hold pickle."""
    if pickles := sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _PICKLES):
        raise CheckpointError(
            f"{folder} holds pickle files, which can run code when read: {_listed(pickles)}; "
            "keep only safetensors there."
        )
    index = folder / INDEX
    if not index.is_file():
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(f"{folder} holds neither {WEIGHTS} nor {INDEX}.")
        return [folder / WEIGHTS]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is not a readable index of shards.") from error
    if odd := [n for n in names if not isinstance(n, str) or Path(n).name != n or not n.endswith(".safetensors")]:
        raise CheckpointError(f"{index} names files that are not safetensors in this folder: {_listed(odd)}.")
    if missing := [n for n in names if not (folder / n).is_file()]:
        raise CheckpointError(f"{folder} lacks the shards {_listed(missing)} that {INDEX} names.")
    return [folder / name for name in names]


def published_shapes(model: UniBiomedModel) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a published checkpoint of this model holds."""
    native = model.state_dict()
    return {name: shape for link in links(native) for name, shape in _shapes(link, native).items()}


def published_tensors(model: UniBiomedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor under its published name."""
    native = model.state_dict()
    for link in links(native):
        if link.how == "split":
            yield link.published[0], torch.cat([native[name] for name in link.native])
        elif link.how == "rows":
            rows = native[link.native[0]]
            yield from ((name, rows[i : i + 1]) for i, name in enumerate(link.published))
        else:
            yield link.published[0], native[link.native[0]]


def save_model(
    model: UniBiomedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path | str,
    *,
    dtype: torch.dtype | Mapping[str, torch.dtype] | None = None,
    max_shard_size: int | str = "5GB",
) -> None:
    """Write a model folder in the published layout.

    ``dtype``: one for all, or one a published name (``Loaded.stored`` gives a byte-equal round trip), or None for
    what the model computes in. Files are written under temporary names and renamed at the end; raises OutputError
    if that fails, with the folder's former content unchanged.
    """
    folder = Path(folder)
    tensors = {}
    for name, tensor in published_tensors(model):
        wanted = dtype.get(name) if isinstance(dtype, Mapping) else dtype
        tensors[name] = tensor.detach().to("cpu", wanted or tensor.dtype).contiguous()
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=max_shard_size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
            for name, members in split.filename_to_tensors.items():
                save_file({key: tensors[key] for key in members}, Path(scratch) / name, metadata={"format": "pt"})
            if split.is_sharded:
                index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
                (Path(scratch) / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            config = json.dumps(model.config.to_dict(), indent=2, sort_keys=True) + "\n"
            (Path(scratch) / "config.json").write_text(config, encoding="utf-8")
            tokenizer.save_pretrained(scratch)
            stale = {p.name for p in folder.glob("model*.safetensors")} | (
                {INDEX} if (folder / INDEX).is_file() else set()
            )
            for path in Path(scratch).iterdir():
                path.replace(folder / path.name)
                stale.discard(path.name)
            for name in stale:
                (folder / name).unlink()
    except OSError as error:
        raise OutputError(f"The model cannot be written to {folder}: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise OutputError(f"The model cannot be written to {folder}: {error}.") from error


def _cast(model: UniBiomedModel, dtype: torch.dtype) -> None:
    """Change the dtype of what a checkpoint holds; tables that are computed (rotary frequencies) stay in float32."""
    held = model.state_dict().keys()
    computed = {name: table for name, table in model.named_buffers() if name not in held}
    model.to(dtype)
    for name, table in computed.items():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, table)


def _fill(model: UniBiomedModel, files: list[Path]) -> dict[str, torch.dtype]:
    native = model.state_dict()
    by_name = {name: link for link in links(native) for name in link.published}
    wanted = {name: shape for link in by_name.values() for name, shape in _shapes(link, native).items()}
    stored: dict[str, torch.dtype] = {}
    unknown: list[str] = []
    wrong: list[tuple[str, str]] = []
    for path in files:
        try:
            with safe_open(path, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                    shape = tuple(tensors.get_slice(name).get_shape())
                    if name not in wanted:
                        unknown.append(name)
                    elif shape != wanted[name]:
                        wrong.append((name, f"{name} is {shape} and not {wanted[name]}"))
                    else:
                        tensor = tensors.get_tensor(name)
                        stored[name] = tensor.dtype
                        _assign(by_name[name], name, tensor, native)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read as safetensors: {error}; fetch it again.") from error
    misshaped = [name for name, _ in wrong]
    missing = [name for name in wanted if name not in stored and name not in misshaped]
    listed = (("missing", missing), ("unknown", unknown), ("wrong shape", [text for _, text in wrong]))
    faults = [f"{kind}: {_listed(names)}" for kind, names in listed if names]
    if faults:
        raise CheckpointError(f"The weights in {files[0].parent} do not fit its config.json; {'; '.join(faults)}.")
    return stored


def _assign(link: Link, name: str, tensor: torch.Tensor, native: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        if link.how == "split":
            for part, target in zip(tensor.chunk(len(link.native)), link.native, strict=True):
                native[target].copy_(part)
        elif link.how == "rows":
            row = link.published.index(name)
            native[link.native[0]][row : row + 1].copy_(tensor)
        else:
            for target in link.native:
                native[target].copy_(tensor)


def _shapes(link: Link, native: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    shape = tuple(native[link.native[0]].shape)
    if link.how == "split":
        shape = (shape[0] * len(link.native), *shape[1:])
    elif link.how == "rows":
        shape = (1, *shape[1:])
    return dict.fromkeys(link.published, shape)


def _listed(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(map(str, names[:_LISTED])) + (f" and {rest} more" if rest > 0 else "")
