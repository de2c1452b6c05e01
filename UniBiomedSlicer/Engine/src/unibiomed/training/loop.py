# SPDX-License-Identifier: Apache-2.0
"""The training loop: any model of the project, any examples, one process or several (accelerate)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.utils.data import DataLoader, Dataset

from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.aids import TrainingAids
from unibiomed.training.averaging import AveragedWeights
from unibiomed.training.batching import Batch, Collator, VideoBatch
from unibiomed.training.objective import LossWeights, batch_loss, video_loss
from unibiomed.training.optimizers import make_optimizers
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
        video_every: every so many steps one is of stacks (SAM 2's memory is taught there); 0 never.
        videos_a_step: stacks in such a step.
        muon: the matrices of the transformers' layers are stepped by Muon instead of AdamW.
        precision: "no" (float32) or "bf16" (autocast; weights stay in float32).
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
    video_every: int = 0
    videos_a_step: int = 2
    muon: bool = False
    precision: Literal["no", "bf16"] = "no"
    save_every: int = 100
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
    aids: TrainingAids | None = None,
    average: AveragedWeights | None = None,
    report: Report = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Train ``model`` in place, from the last checkpoint in ``folder`` if there is one.

    ``average`` takes in the weights after each step.

    ``examples`` is asked for ``("picture", n)`` and ``("stack", n)``; which n belong to a step is fixed, so that a
    resumed run goes on with the examples that an uninterrupted one would have seen. ``folder`` receives
    ``checkpoint/`` and ``log.jsonl``.

    Returns:
        the number of steps done; fewer than ``options.steps`` if ``stop`` said so (a checkpoint is written then too).
    """
    # SAM 2's memory has no part in still pictures, so several processes must not wait for its gradients.
    accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    torch.manual_seed(options.seed)
    modules: dict[str, torch.nn.Module] = {"model": model}
    if aids is not None:
        modules["aids"] = aids
    optimizers = make_optimizers(modules, options)
    if average is not None:
        modules["average"] = average
    checkpoint = folder / "checkpoint"
    done, spent = 0, 0.0
    if checkpoint.is_dir():
        progress = load_state(checkpoint, modules, optimizers)
        done, spent = int(progress["step"]), float(progress["seconds"])
    schedule = Schedule(options.steps, options.warmup_steps, options.decay_steps)
    loader = accelerator.prepare(_loader(examples, collator, options, done))
    step_module = accelerator.prepare(_Step(model, aids, options))
    stepped = [accelerator.prepare(optimizer) for optimizer in optimizers]
    step_module.train()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    averages: dict[str, list[float]] = {}
    for batch in loader:
        if done >= options.steps or stop():
            break
        for group in (group for optimizer in stepped for group in optimizer.param_groups):
            group["lr"] = options.learning_rate * schedule.factor(done)
        loss, parts = step_module(batch)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(step_module.parameters(), options.clip_norm)
        for optimizer in stepped:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done += 1
        if average is not None:
            average.update(done)
        for name, value in {"loss": loss.detach(), "grad_norm": norm, **parts}.items():
            averages.setdefault(name, []).append(float(value))
        if (done % options.log_every == 0 or done == options.steps) and accelerator.is_main_process:
            record = {"step": done, "seconds": round(spent + time.monotonic() - started, 1)}
            record |= {name: round(sum(values) / len(values), 5) for name, values in averages.items()}
            averages = {}
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
            report(record)
        if done % options.save_every == 0 and accelerator.is_main_process:
            save_state(checkpoint, modules, optimizers, _progress(done, spent + time.monotonic() - started, options))
    if accelerator.is_main_process:
        save_state(checkpoint, modules, optimizers, _progress(done, spent + time.monotonic() - started, options))
    return done


class _Step(torch.nn.Module):
    """One module for accelerate to wrap, whose forward is the whole loss."""

    def __init__(self, model: UniBiomedModel, aids: TrainingAids | None, options: LoopOptions) -> None:
        super().__init__()
        self.model, self.aids, self.options = model, aids, options

    def forward(self, batch: Batch | VideoBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        device, weights = next(self.parameters()).device, self.options.weights
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            if isinstance(batch, VideoBatch):
                return video_loss(self.model, batch, weights)
            return batch_loss(self.model, batch, weights, self.aids)


def _loader(examples: Dataset, collator: Collator, options: LoopOptions, done: int) -> DataLoader:
    return DataLoader(
        examples,
        batch_sampler=[_step_keys(step, options) for step in range(done, options.steps)],
        num_workers=options.workers,
        collate_fn=collator,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if options.workers else None,
    )


def _step_keys(step: int, options: LoopOptions) -> list[tuple[str, int]]:
    """What a step is made of: numbered pictures, or numbered stacks."""
    if options.video_every and step % options.video_every == options.video_every - 1:
        return [("stack", step * options.videos_a_step + row) for row in range(options.videos_a_step)]
    return [("picture", step * options.batch_size + row) for row in range(options.batch_size)]


def _one_thread(worker: int) -> None:
    """A worker draws pictures on one core, so that the training process keeps the others."""
    torch.set_num_threads(1)


def _progress(step: int, seconds: float, options: LoopOptions) -> dict[str, Any]:
    return {"step": step, "seconds": round(seconds, 1), "options": asdict(options)}
