# SPDX-License-Identifier: Apache-2.0
"""What a run will need, measured by one step whose result is thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil
import torch

from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.batching import Batch
from unibiomed.training.objective import LossWeights, batch_loss

_LOOK_SHARE = 0.4  # of a step's time: a look goes forward only


@dataclass(frozen=True)
class Needs:
    """Memory in bytes, times in seconds; ``available`` is what is free now, the process's own included."""

    memory: int
    available: int
    step_seconds: float
    seconds: float
    trained: int
    parameters: int

    @property
    def enough(self) -> bool:
        """Whether the memory is there."""
        return self.memory <= self.available

    def __str__(self) -> str:
        warning = "" if self.enough else " That is more than there is: take a smaller --batch-size."
        return (
            f"Needs about {_amount(self.memory)} of {_amount(self.available)} memory and {_time(self.seconds)} "
            f"({self.step_seconds:.2f} s a step); {self.trained / 1e6:.1f} M of {self.parameters / 1e6:.1f} M "
            f"parameters are trained.{warning}"
        )


def measure(model: UniBiomedModel, batch: Batch, *, steps: int, look_batches: int) -> Needs:
    """Take one step's loss and gradient of ``batch`` and reckon; ``look_batches``: held-out batches of the whole run.

    The weights stay as they are. AdamW's two moments and the averaged weights, which the step does without, are added.
    """
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    _once(model, batch.to(device))
    started = time.monotonic()
    _once(model, batch.to(device))
    seconds = time.monotonic() - started
    kept = 3 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated(device)
        available = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    else:
        used = psutil.Process().memory_info().rss
        available = psutil.virtual_memory().available + used
    for parameter in model.parameters():
        parameter.grad = None
    return Needs(
        memory=used + kept,
        available=available,
        step_seconds=seconds,
        seconds=seconds * (steps + _LOOK_SHARE * look_batches),
        trained=sum(p.numel() for p in model.parameters() if p.requires_grad),
        parameters=sum(p.numel() for p in model.parameters()),
    )


def _once(model: UniBiomedModel, batch: Batch) -> None:
    loss, _ = batch_loss(model, batch, LossWeights())
    loss.backward()


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else _hours(seconds)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"
