# SPDX-License-Identifier: Apache-2.0
"""One whole training run: Mini from nothing, or any model fine-tuned; ends in a model folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer

from unibiomed.errors import OutputError
from unibiomed.model.checkpoint import IMAGE_CONTEXT, load_model, save_model
from unibiomed.model.info import DESCRIPTION
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.aids import TrainingAids
from unibiomed.training.batching import Collator
from unibiomed.training.conversations import Mix
from unibiomed.training.initialisation import initialise
from unibiomed.training.loop import LoopOptions, train
from unibiomed.training.lora import LoraOptions, add_adapters, merge_adapters
from unibiomed.training.memory import leave_only_memory
from unibiomed.training.mini import mini_config, mini_description, mini_options, mini_tokenizer
from unibiomed.training.phantom_data import PhantomExamples
from unibiomed.training.plots import plot_losses
from unibiomed.volumes.atomic import atomic_folder


@dataclass(frozen=True)
class RunOptions:
    """What ``unibiomed train`` was asked for.

    Attributes:
        out: folder of the run (checkpoint, log, plot), and ``out/model`` the result.
        steps: optimizer steps in all.
        start: model folder to fine-tune; None trains Mini from nothing.
        tune: what of ``start`` is trained: "lora" as the paper does, or "memory", SAM 2's memory alone, on stacks.
        seed, batch_size, learning_rate, workers: as in ``LoopOptions``; None takes the recipe's.
        first_example: number of the first training example.
    """

    out: Path
    steps: int
    start: Path | None = None
    tune: Literal["lora", "memory"] = "lora"
    seed: int = 0
    batch_size: int | None = None
    learning_rate: float | None = None
    decay_steps: int | None = None
    words_steps: int | None = None
    workers: int = 1
    first_example: int = 0
    lora: LoraOptions = dataclasses.field(default_factory=LoraOptions)
    mix: Mix = dataclasses.field(default_factory=Mix)


def run(
    options: RunOptions,
    *,
    report: Callable[[dict[str, Any]], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train or go on training; returns the model folder, or None if the run was stopped before its end.

    Raises:
        OutputError: if ``options.out/model`` is there already; a finished model is never overwritten.
    """
    result = options.out / "model"
    if result.exists():
        raise OutputError(f"{result} is there already; choose another --out, or remove it to train again.")
    torch.manual_seed(options.seed)
    aids = None
    if options.start is None:
        tokenizer = _tokenizer(options.out / "tokenizer")
        model = UniBiomedModel(mini_config(len(tokenizer)))
        initialise(model)
        model.image_context_id = tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT)
        loop = mini_options(options.steps)
    else:
        loaded = load_model(options.start)
        model, tokenizer = loaded.model, loaded.tokenizer
        loop = _tuning(model, options)
    loop = _with_given(loop, options)
    examples = PhantomExamples(options.first_example, loop.steps * loop.batch_size, mix=options.mix)
    phrases = tuple(spec.phrase for spec in examples.catalogue)
    config = model.config
    if options.start is None:
        aids = TrainingAids(config.sam2.d_model, config.language.hidden_size, phrases)
    collator = Collator(config, tokenizer, config.low_res_size, phrases)
    done = train(model, examples, collator, loop, options.out, aids=aids, report=report, stop=stop)
    plot_losses(options.out / "log.jsonl", options.out / "loss.png")
    if done < loop.steps:
        return None
    if options.start is None:
        description = mini_description(examples.catalogue)
    else:
        merge_adapters(model)
        description = _description(options.start)
    with atomic_folder(result) as temporary:
        save_model(model, tokenizer, temporary, dtype=torch.float16)
        (temporary / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return result


def _tuning(model: UniBiomedModel, options: RunOptions) -> LoopOptions:
    """Choose what of a loaded model is trained; in place."""
    decay = options.steps // 4
    if options.tune == "memory":
        leave_only_memory(model)
        return LoopOptions(steps=options.steps, warmup_steps=20, decay_steps=decay, video_every=1, videos_a_step=4)
    add_adapters(model, options.lora)
    return LoopOptions(steps=options.steps, batch_size=4, learning_rate=4e-5, decay_steps=decay)


def _description(start: Path) -> dict[str, Any]:
    """What the model that was tuned said of itself; its presence thresholds are no longer its own."""
    path = start / DESCRIPTION
    if not path.is_file():
        return {"name": f"{start.name}, fine-tuned"}
    said = json.loads(path.read_text(encoding="utf-8"))
    said.pop("presence", None)
    return said


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The run's own tokenizer: a resumed run must spell as it did when it began, whatever the phantoms say by now."""
    if folder.is_dir():
        return Qwen2Tokenizer.from_pretrained(str(folder), local_files_only=True)
    tokenizer = mini_tokenizer()
    with atomic_folder(folder) as temporary:
        tokenizer.save_pretrained(temporary)
    return tokenizer


def _with_given(loop: LoopOptions, options: RunOptions) -> LoopOptions:
    given = {
        "seed": options.seed,
        "workers": options.workers,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "decay_steps": options.decay_steps,
        "words_steps": options.words_steps,
    }
    return dataclasses.replace(loop, **{name: value for name, value in given.items() if value is not None})
