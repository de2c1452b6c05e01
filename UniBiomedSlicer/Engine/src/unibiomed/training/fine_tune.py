# SPDX-License-Identifier: Apache-2.0
"""A model fine-tuned on an exported data set: LoRA, the held-out split watched, a model folder in the end.

What the model could must not be lost: the learning rate is small and falls, old examples are replayed where they can be
drawn again, and of the averaged weights those that were best on the held-out split are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from unibiomed.errors import CheckpointError, InputError, OutputError
from unibiomed.model.api import UniBiomed
from unibiomed.model.checkpoint import load_model
from unibiomed.model.device import DeviceChoice
from unibiomed.model.info import ModelInfo, read_info
from unibiomed.tasks.phrases import make_phrase
from unibiomed.training.averaging import AveragedWeights
from unibiomed.training.batching import Collator
from unibiomed.training.curves import plot_curves
from unibiomed.training.event_files import event_writer
from unibiomed.training.exported_data import ExportedExamples
from unibiomed.training.held_out import HeldOut, Look
from unibiomed.training.loop import LoopOptions, train
from unibiomed.training.lora import LoraOptions, add_adapters, merge_adapters
from unibiomed.training.needs import Needs, measure
from unibiomed.training.replay import ReplayedExamples, can_replay
from unibiomed.training.tuned_model import save_tuned

Report = Callable[[dict[str, Any]], None]

_LARGE = 100_000_000
#: The paper's rate for the published model. A small model that was trained at 1e-3 moves too little with it, and with
#: 3e-4 it swings too much to be averaged.
_RATE, _SMALL_MODEL_RATE = 4e-5, 1.5e-4
_REPLAY = 0.6
_LEAST_LOOKED_AT, _MOST_LOOKED_AT = 24, 96
_ASKED = "fine-tune.json"


@dataclass(frozen=True)
class FineTuneOptions:
    """What is asked for.

    Attributes:
        out: folder of the run; ``out/model`` is the result.
        start: folder of the model that is fine-tuned; it is only read.
        data: folder of an export in UniBiomed's own format.
        name: what the new model is called.
        steps, batch_size: optimizer steps at most, and pictures a step.
        learning_rate: None takes 4e-5, or 1.5e-4 for a model below 100 M parameters.
        replay: share of phantoms; None takes 0.6 for a model that was trained on phantoms, 0 for others.
        look_every, patience: steps between two looks at the held-out split; looks without gain before a stop.
        workers: processes that read pictures; 0 reads them in the training process.
        augment: exported pictures are shown a little differently each time.
        lora: None takes the released configuration, with adapters in the image encoders too for a small model.
    """

    out: Path
    start: Path
    data: Path
    name: str
    steps: int = 200
    batch_size: int = 4
    learning_rate: float | None = None
    replay: float | None = None
    look_every: int = 20
    patience: int = 4
    seed: int = 0
    workers: int = 1
    augment: bool = True
    lora: LoraOptions | None = None


def fine_tune(
    options: FineTuneOptions,
    *,
    needs: Callable[[Needs], None] = lambda needs: None,
    report: Report = lambda record: None,
    looked: Callable[[Look], None] = lambda look: None,
    stop: Callable[[], bool] = lambda: False,
    presence: Callable[[UniBiomed], dict[str, Any] | None] = lambda model: None,
) -> Path | None:
    """Fine-tune, or go on with it; returns the model's folder, or None if ``stop`` ended the run before its end.

    ``needs`` is told memory and time before the first step, ``report`` the loss, ``looked`` the held-out split.
    ``presence`` is asked for the thresholds of the trained model (``evaluation.fit_exported``).

    Raises:
        OutputError: ``out/model`` is there already.
        InputError: the data set cannot be trained on, or ``out`` belongs to a run of other options.
    """
    result = options.out / "model"
    if result.exists():
        raise OutputError(f"{result} is there already; choose another --output, or remove it to train again.")
    info = read_info(options.start, name=options.start.name)
    # Damage is found before minutes are spent on the model.
    trained_on = ExportedExamples(
        options.data, "train", count=options.steps * options.batch_size, seed=options.seed, augmented=options.augment
    )
    if not trained_on.phrases:
        raise InputError(f"{options.data} has no segment in its training split, so there is nothing to learn.")
    _same_run(options, info)
    torch.manual_seed(options.seed)
    loaded = load_model(options.start)
    model, tokenizer = loaded.model.to(PartialState().device), loaded.tokenizer
    large = sum(parameter.numel() for parameter in model.parameters()) >= _LARGE
    lora = options.lora if options.lora is not None else LoraOptions(encoders=not large)
    add_adapters(model, lora)
    average = AveragedWeights(model)
    loop = LoopOptions(
        steps=options.steps,
        batch_size=options.batch_size,
        warmup_steps=min(10, options.steps),
        decay_steps=options.steps * 3 // 4,
        learning_rate=options.learning_rate or (_RATE if large else _SMALL_MODEL_RATE),
        seed=options.seed,
        workers=options.workers,
        save_every=options.look_every,
        log_every=5,
    )
    replay = _replay(options, info)
    examples = ReplayedExamples(trained_on, replay, seed=options.seed)
    collator = Collator(model.config, tokenizer, model.config.low_res_size, ())
    start = _done(options.out)
    held_out = _held_out(options, model, average, collator, start)
    batch = collator([examples["picture", number] for number in range(options.batch_size)])
    needs(measure(model, batch, steps=options.steps - start, look_batches=_look_batches(options, held_out)))

    with event_writer(options.out) as write:
        if held_out is not None:
            held_out.seen = lambda look: (write(look.step, {"held_out_loss": look.loss, "dice": look.dice}),
                                          looked(look))  # fmt: skip

        def on_report(record: dict[str, Any]) -> None:
            write(record["step"], {name: value for name, value in record.items() if name != "step"})
            report(record)

        asked: list[bool] = []

        def ended() -> bool:
            if stop():
                asked.append(True)
                return True
            return held_out is not None and held_out.before_step()

        done = train(model, examples, collator, loop, options.out, average=average, report=on_report, stop=ended)
        if held_out is not None and done == options.steps:
            held_out.look(done)
    looks = held_out.looks if held_out is not None else []
    plot_curves(options.out, looks)
    if asked:
        return None
    best = held_out.take_best() if held_out is not None else average.put()
    merge_adapters(model)
    device = next(model.parameters()).device
    fitted = presence(UniBiomed(model.eval(), tokenizer, DeviceChoice(device, torch.float32, "as trained"), info))
    story = _story(options, info, loop, lora, replay, done, looks, best)
    return save_tuned(model, tokenizer, result, options.name, info, trained_on, story, fitted)


def _held_out(
    options: FineTuneOptions, model: Any, average: AveragedWeights, collator: Collator, start: int
) -> HeldOut | None:
    """None where the export has no validation split; then every step is done."""
    if not (options.data / "val.json").is_file():
        return None
    counted = ExportedExamples(options.data, "val", count=1, seed=options.seed)
    count = min(max(2 * counted.n_pictures, _LEAST_LOOKED_AT), _MOST_LOOKED_AT)
    examples = ExportedExamples(options.data, "val", count=count, seed=options.seed)
    if not examples.phrases:
        return None
    return HeldOut(
        model, average, examples, collator, options.out, start=start, every=options.look_every,
        patience=options.patience, batch_size=options.batch_size,
    )  # fmt: skip


def _look_batches(options: FineTuneOptions, held_out: HeldOut | None) -> int:
    if held_out is None:
        return 0
    return (options.steps // options.look_every + 1) * -(-len(held_out.examples) // options.batch_size)


def _replay(options: FineTuneOptions, info: ModelInfo) -> float:
    if options.replay is not None:
        return options.replay
    known = frozenset(make_phrase(target.name, target.site, target.modality) for target in info.targets)
    return _REPLAY if can_replay(known) else 0.0


def _done(out: Path) -> int:
    path = out / "checkpoint" / "progress.json"
    if not path.is_file():
        return 0
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["step"])
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); remove {out} to start again.") from error


def _same_run(options: FineTuneOptions, info: ModelInfo) -> None:
    """A folder goes on with the run that it was made by, or not at all."""
    asked = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    asked = {**asked, "weights_sha256": info.sha256, "data": str(options.data.absolute())}
    for local in ("out", "start", "workers"):
        asked.pop(local)
    path = options.out / _ASKED
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        different = [key for key in asked if before.get(key) != asked[key]]
        if different:
            raise InputError(
                f"{options.out} holds a run of another {' and '.join(different)}; choose another --output for this one."
            )
        return
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")


def _story(
    options: FineTuneOptions,
    info: ModelInfo,
    loop: LoopOptions,
    lora: LoraOptions,
    replay: float,
    done: int,
    looks: list[Look],
    best: Look | None,
) -> dict[str, Any]:
    return {
        "from": info.name,
        "from_weights_sha256": info.sha256,
        "steps": done,
        "kept_step": best.step if best else done,
        "learning_rate": loop.learning_rate,
        "batch_size": loop.batch_size,
        "lora": asdict(lora),
        "augmented": options.augment,
        "replay": replay,
        "seed": options.seed,
        "held_out_before": asdict(looks[0]) if looks else None,
        "held_out": asdict(best) if best else None,
    }
