# SPDX-License-Identifier: Apache-2.0
"""The training loop: any model of the project, any examples, one process or several (accelerate)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.utils.data import DataLoader, Dataset, Subset

from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.batching import Batch, Collator
from unibiomed.training.dense import DenseHeads
from unibiomed.training.objective import LossWeights, batch_loss
from unibiomed.training.schedule import Schedule
from unibiomed.training.state import load_state, save_state


@dataclass(frozen=True)
class LoopOptions:
    """How a run goes.

    Attributes:
        steps, batch_size: optimizer steps and pictures a step (over all processes together).
        warmup_steps, decay_steps: see ``Schedule``.
        learning_rate, weight_decay, clip_norm: AdamW's; decay applies to matrices only.
        seed: of the weights and of dropout; the examples have numbers of their own.
        workers: processes that draw examples; 0 draws them in the training process.
        save_every, log_every: in steps.
    """

    steps: int
    batch_size: int = 16
    warmup_steps: int = 200
    decay_steps: int = 600
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    seed: int = 0
    workers: int = 1
    save_every: int = 200
    log_every: int = 10
    weights: LossWeights = field(default_factory=LossWeights)


Report = Callable[[dict[str, Any]], None]


def train(
    model: UniBiomedModel,
    examples: Dataset,
    collator: Collator,
    options: LoopOptions,
    folder: Path,
    *,
    heads: DenseHeads | None = None,
    report: Report = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Train ``model`` in place, from the last checkpoint in ``folder`` if there is one.

    Example ``i`` of ``examples`` belongs to step ``i // batch_size``, so that a resumed run goes on with the examples
    that an uninterrupted one would have seen. ``folder`` receives ``checkpoint/`` and ``log.jsonl``.

    Returns:
        the number of steps done; fewer than ``options.steps`` if ``stop`` said so (a checkpoint is written then too).
    """
    # SAM 2's memory has no part in still pictures, so several processes must not wait for its gradients.
    accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    torch.manual_seed(options.seed)
    modules = {"model": model} if heads is None else {"model": model, "heads": heads}
    optimizer = torch.optim.AdamW(
        _parameter_groups(modules, options.weight_decay), lr=options.learning_rate, betas=(0.9, 0.95)
    )
    checkpoint = folder / "checkpoint"
    done, spent = 0, 0.0
    if checkpoint.is_dir():
        progress = load_state(checkpoint, modules, optimizer)
        done, spent = int(progress["step"]), float(progress["seconds"])
    schedule = Schedule(options.steps, options.warmup_steps, options.decay_steps)
    loader = accelerator.prepare(_loader(examples, collator, options, done))
    step_module = accelerator.prepare(_Step(model, heads, options.weights))
    optimizer = accelerator.prepare(optimizer)
    step_module.train()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    averages: dict[str, float] = {}
    for batch in loader:
        if done >= options.steps or stop():
            break
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * schedule.factor(done)
        loss, parts = step_module(batch)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(step_module.parameters(), options.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        for name, value in {"loss": loss.detach(), "grad_norm": norm, **parts}.items():
            averages[name] = averages.get(name, 0.0) + float(value) / options.log_every
        if done % options.log_every == 0 and accelerator.is_main_process:
            record = {"step": done, "seconds": round(spent + time.monotonic() - started, 1)}
            record |= {name: round(value, 5) for name, value in averages.items()}
            averages = {}
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
            report(record)
        if done % options.save_every == 0 and accelerator.is_main_process:
            save_state(checkpoint, modules, optimizer, _progress(done, spent + time.monotonic() - started, options))
    if accelerator.is_main_process:
        save_state(checkpoint, modules, optimizer, _progress(done, spent + time.monotonic() - started, options))
    return done


class _Step(torch.nn.Module):
    """One module for accelerate to wrap, whose forward is the whole loss."""

    def __init__(self, model: UniBiomedModel, heads: DenseHeads | None, weights: LossWeights) -> None:
        super().__init__()
        self.model, self.heads, self.weights = model, heads, weights

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        device = next(self.parameters()).device
        return batch_loss(self.model, batch.to(device), self.weights, self.heads)


def _parameter_groups(modules: dict[str, torch.nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    parameters = {id(p): p for module in modules.values() for p in module.parameters() if p.requires_grad}
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    rest = [p for p in parameters.values() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _loader(examples: Dataset, collator: Collator, options: LoopOptions, done: int) -> DataLoader:
    rest = Subset(examples, range(done * options.batch_size, options.steps * options.batch_size))
    return DataLoader(
        rest,
        batch_size=options.batch_size,
        shuffle=False,
        num_workers=options.workers,
        collate_fn=collator,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if options.workers else None,
    )


def _one_thread(worker: int) -> None:
    """A worker draws pictures on one core, so that the training process keeps the others."""
    torch.set_num_threads(1)


def _progress(step: int, seconds: float, options: LoopOptions) -> dict[str, Any]:
    return {"step": step, "seconds": round(seconds, 1), "options": asdict(options)}
