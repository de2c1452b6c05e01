# SPDX-License-Identifier: Apache-2.0
"""One training run: a stage of Mini, or any model fine-tuned; ends in a model folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase, Qwen2Tokenizer

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
from unibiomed.training.mini import mini_config, mini_description, mini_tokenizer
from unibiomed.training.phantom_data import PhantomExamples
from unibiomed.training.plots import plot_losses
from unibiomed.training.stages import STAGES, StageName, leave_only
from unibiomed.training.state import take_over
from unibiomed.volumes.atomic import atomic_folder

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class RunOptions:
    """What ``unibiomed train`` was asked for.

    Attributes:
        out: folder of the run (checkpoint, log, plot), and ``out/model`` the result.
        steps: optimizer steps in all.
        stage: which stage of Mini's training this is, where ``start`` is None.
        after: folders of earlier runs, whose checkpoints Mini begins with; of two that trained the same, the later.
        start: model folder to fine-tune; None trains Mini.
        tune: what of ``start`` is trained: "lora" as the paper does, or "memory", SAM 2's memory alone, on stacks.
        seed, batch_size, learning_rate, decay_steps, workers: as in ``LoopOptions``; None takes the recipe's.
        first_example: number of the first training example; None takes the stage's.
    """

    out: Path
    steps: int
    stage: StageName = "joint"
    after: tuple[Path, ...] = ()
    start: Path | None = None
    tune: Literal["lora", "memory"] = "lora"
    seed: int = 0
    batch_size: int | None = None
    learning_rate: float | None = None
    decay_steps: int | None = None
    workers: int = 1
    first_example: int | None = None
    lora: LoraOptions = dataclasses.field(default_factory=LoraOptions)


def run(
    options: RunOptions,
    *,
    report: Report = lambda record: None,
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
    return (
        _tune(options, result, report, stop)
        if options.start is not None
        else _train_mini(options, result, report, stop)
    )


def _train_mini(options: RunOptions, result: Path, report: Report, stop: Callable[[], bool]) -> Path | None:
    stage = STAGES[options.stage]
    tokenizer = _tokenizer(options)
    model = UniBiomedModel(mini_config(len(tokenizer)))
    initialise(model)
    _plain_attention(model)
    model.image_context_id = tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT)
    loop = LoopOptions(steps=options.steps, decay_steps=options.steps * 2 // 5, weights=stage.weights, **stage.loop)
    loop = _with_given(loop, options)
    examples = _examples(options, loop, stage.mix, stage.first_example)
    config, phrases = model.config, _phrases(examples)
    aids = TrainingAids(config.sam2.d_model, config.language.hidden_size, phrases)
    modules = {"model": model, "aids": aids}
    for folder in options.after:
        take_over(folder / "checkpoint", modules)
    leave_only(modules, stage.trained)
    # Where no mask is drawn, what the vision tower can tell apart is fine enough a grid.
    side = config.low_res_size if stage.mix.with_masks else 2 * round(config.tokens_per_tile**0.5)
    collator = Collator(config, tokenizer, side, phrases)
    done = train(model, examples, collator, loop, options.out, aids=aids, report=report, stop=stop)
    plot_losses([options.out / "log.jsonl"], options.out / "loss.png")
    if done < loop.steps:
        return None
    return _save(model, tokenizer, result, mini_description(examples.catalogue))


def _tune(options: RunOptions, result: Path, report: Report, stop: Callable[[], bool]) -> Path | None:
    loaded = load_model(options.start)
    model, tokenizer = loaded.model, loaded.tokenizer
    loop = _with_given(_tuning(model, options), options)
    examples = _examples(options, loop, None, 0)
    collator = Collator(model.config, tokenizer, model.config.low_res_size, _phrases(examples))
    done = train(model, examples, collator, loop, options.out, report=report, stop=stop)
    plot_losses([options.out / "log.jsonl"], options.out / "loss.png")
    if done < loop.steps:
        return None
    merge_adapters(model)
    return _save(model, tokenizer, result, _description(options.start))


def _examples(options: RunOptions, loop: LoopOptions, mix: Mix | None, first: int) -> PhantomExamples:
    first = first if options.first_example is None else options.first_example
    return PhantomExamples(first, loop.steps * loop.batch_size, mix=mix)


def _phrases(examples: PhantomExamples) -> tuple[str, ...]:
    return tuple(spec.phrase for spec in examples.catalogue)


def _save(model: UniBiomedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, description: dict[str, Any]) -> Path:
    with atomic_folder(folder) as temporary:
        save_model(model, tokenizer, temporary, dtype=torch.float16)
        (temporary / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return folder


def _plain_attention(model: UniBiomedModel) -> None:
    """Attend by plain products: on a CPU the way back through the fused kernel takes longer."""
    for module in model.modules():
        if isinstance(config := getattr(module, "config", None), PreTrainedConfig):
            config._attn_implementation = "eager"


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


def _tokenizer(options: RunOptions) -> PreTrainedTokenizerBase:
    """The run's own tokenizer: a resumed or later run must spell as the first did, whatever the phantoms say by now."""
    own = options.out / "tokenizer"
    for folder in (own, *(run / "tokenizer" for run in options.after)):
        if folder.is_dir():
            tokenizer = Qwen2Tokenizer.from_pretrained(str(folder), local_files_only=True)
            break
    else:
        tokenizer = mini_tokenizer()
    if own.is_dir():
        return tokenizer
    with atomic_folder(own) as temporary:
        tokenizer.save_pretrained(temporary)
    return tokenizer


def _with_given(loop: LoopOptions, options: RunOptions) -> LoopOptions:
    given = {
        "seed": options.seed,
        "workers": options.workers,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "decay_steps": options.decay_steps,
    }
    return dataclasses.replace(loop, **{name: value for name, value in given.items() if value is not None})
