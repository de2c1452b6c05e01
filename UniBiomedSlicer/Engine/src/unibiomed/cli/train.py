# SPDX-License-Identifier: Apache-2.0
"""``unibiomed train``: a stage of Mini, or a model fine-tuned."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import check_folder
from unibiomed.cli.terminal import ProgressStyle, Terminal
from unibiomed.errors import Cancelled, InputError


class Tune(StrEnum):
    """What of a model is trained."""

    lora = "lora"
    memory = "memory"


class Stage(StrEnum):
    """The stages of Mini's training."""

    vision = "vision"
    masks = "masks"
    words = "words"
    reading = "reading"
    joint = "joint"


def register(app: typer.Typer) -> None:
    """Add ``train`` to ``app``."""
    app.command("train")(train_command)


def train_command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The run's folder; its model goes to OUTPUT/model.", show_default=False),
    ],
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="Optimizer steps in all (else 10000, with --data 200).", show_default=False
        ),
    ] = None,
    stage: Annotated[Stage, typer.Option("--stage", help="Which stage of Mini's training.")] = Stage.joint,
    after: Annotated[
        list[Path] | None,
        typer.Option("--after", help="An earlier run whose parts Mini begins with; repeatable.", show_default=False),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", "--start", help="A model to fine-tune (else a stage of Mini).", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="With --from: what to learn, as unibiomed export wrote it.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="With --data: the new model's name in the list of models.", show_default=False),
    ] = None,
    replay: Annotated[
        float | None,
        typer.Option(
            "--replay",
            min=0.0,
            max=0.95,
            help="With --data: share of phantoms, against forgetting (else 0.6 for Mini, 0 for others).",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="With --data: looks without gain before the run stops.")
    ] = 4,
    tune: Annotated[
        Tune, typer.Option("--tune", help="What of --start is trained: LoRA, or SAM 2's memory alone.")
    ] = Tune.lora,
    seed: Annotated[int, typer.Option("--seed", help="Of the weights.")] = 0,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Images a step (else the recipe's).", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Else the recipe's.", show_default=False)
    ] = None,
    decay_steps: Annotated[
        int | None, typer.Option("--decay-steps", min=0, help="Else the recipe's.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that draw examples.")] = 1,
    first_example: Annotated[
        int | None,
        typer.Option("--first-example", min=0, help="Its number (else the stage's own).", show_default=False),
    ] = None,
    look_every: Annotated[
        int, typer.Option("--look-every", min=1, help="With --data: steps between looks at the held-out split.")
    ] = 20,
    progress: Annotated[
        ProgressStyle, typer.Option("--progress", help="With --data: bar, or lines of JSON on stderr.")
    ] = ProgressStyle.BAR,
    quiet: options.Quiet = False,
) -> None:
    """Train on phantoms or on an export; run again with the same folder, a stopped run goes on where it was.

    Examples:

    [bold]unibiomed train -o runs/vision --stage vision --steps 2500[/bold]

    [bold]unibiomed train -o runs/words --stage words --after runs/vision --after runs/masks --steps 600[/bold]

    [bold]unibiomed train -o runs/memory --start runs/mini/model --tune memory --steps 300[/bold]

    [bold]unibiomed train -o runs/tuned --from Luffy503/UniBiomed --steps 500 --batch-size 4[/bold]

    [bold]unibiomed train -o runs/mine --from mini --data dataset --name mine[/bold]
    """
    if data is not None:
        from unibiomed.cli.fine_tune import fine_tune_command

        given = {
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "replay": replay,
            "patience": patience,
            "look_every": look_every,
            "seed": seed,
            "workers": workers,
        }
        fine_tune_command(output, start, data, name, given, Terminal(quiet=quiet, progress=progress))
        return
    steps = steps or 10_000
    terminal = Terminal(quiet=quiet)
    check_folder(output)
    folder = None
    if start is not None:
        from unibiomed.model.store import resolve

        folder = resolve(start)
    run, run_options = _training()
    wanted = run_options(
        out=output,
        steps=steps,
        stage=stage.value,
        after=tuple(after or ()),
        start=folder,
        tune=tune.value,
        seed=seed,
        batch_size=batch_size,
        learning_rate=learning_rate,
        decay_steps=decay_steps,
        workers=workers,
        first_example=first_example,
    )
    with terminal.working("steps") as work:

        def report(record: dict[str, Any]) -> None:
            stage = "Training"
            work.progress(SimpleNamespace(stage=stage, done=record["step"], total=steps))
            terminal.note(f"step {record['step']} of {steps}: loss {record['loss']:.4f}, {record['seconds']:.0f} s")

        model = run(wanted, report=report, stop=work.cancelled)
    if model is None:
        raise Cancelled(f"The training was stopped; run the same command again to go on with {output}.")
    terminal.show(None, f"The model is in {model}")


def _training() -> tuple[Any, Any]:
    try:
        from unibiomed.training.run import RunOptions, run
    except ModuleNotFoundError as error:
        raise InputError(f"Training needs {error.name}; install it with pip install 'unibiomed[training]'.") from error
    return run, RunOptions
