# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training run as safetensors and JSON: resumable, and without a pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from unibiomed.errors import CheckpointError
from unibiomed.volumes.atomic import atomic_folder


def save_state(
    folder: Path,
    modules: dict[str, torch.nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    progress: dict[str, Any],
) -> None:
    """Write weights, optimizer moments and ``progress`` (JSON) to ``folder``, all or nothing."""
    moments: dict[str, torch.Tensor] = {}
    for number, optimizer in enumerate(optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                moments[f"{number}.{index}.{name}"] = torch.as_tensor(value).contiguous()
    weights = {
        f"{prefix}.{name}": tensor.contiguous()
        for prefix, module in modules.items()
        for name, tensor in _trained(module).items()
    }
    with atomic_folder(folder, replace=True) as temporary:
        save_file(weights, temporary / "weights.safetensors")
        save_file(moments, temporary / "optimizer.safetensors")
        (temporary / "progress.json").write_text(json.dumps(progress, indent=1), encoding="utf-8")


def load_state(
    folder: Path, modules: dict[str, torch.nn.Module], optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore what ``save_state`` wrote; returns its ``progress``.

    Raises:
        CheckpointError: if a file is missing or damaged, or belongs to another model.
    """
    try:
        weights = load_file(folder / "weights.safetensors")
        moments = load_file(folder / "optimizer.safetensors")
        progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"The training checkpoint {folder} cannot be read ({error}); remove it.") from error
    for prefix, module in modules.items():
        wanted = _trained(module)
        given = {name.removeprefix(f"{prefix}."): t for name, t in weights.items() if name.startswith(f"{prefix}.")}
        if given.keys() != wanted.keys() or any(given[name].shape != wanted[name].shape for name in wanted):
            raise CheckpointError(f"The training checkpoint {folder} is of another model; remove it or change --out.")
        with torch.no_grad():
            for name, tensor in wanted.items():
                tensor.copy_(given[name])
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in moments.items():
            whose, index, name = key.split(".", 2)
            if int(whose) == number:
                state.setdefault(int(index), {})[name] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return progress


def take_over(folder: Path, modules: dict[str, torch.nn.Module]) -> None:
    """Begin with what another run's checkpoint in ``folder`` holds; what it did not train stays as it is.

    Raises:
        CheckpointError: if it cannot be read, or holds a tensor that ``modules`` have not or of another shape.
    """
    try:
        weights = load_file(folder / "weights.safetensors")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"The training checkpoint {folder} cannot be read ({error}).") from error
    own = {f"{prefix}.{name}": t for prefix, module in modules.items() for name, t in module.state_dict().items()}
    strange = [name for name, tensor in weights.items() if name not in own or own[name].shape != tensor.shape]
    if strange:
        raise CheckpointError(f"The training checkpoint {folder} is of another model: {strange[0]} does not fit.")
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def _trained(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that a run changes, once each, and the buffers that were drawn at random."""
    frozen = {
        name for name, parameter in module.named_parameters(remove_duplicate=False) if not parameter.requires_grad
    }
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}
