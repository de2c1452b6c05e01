# SPDX-License-Identifier: Apache-2.0
"""``unibiomed evaluate``: the table of a model on phantoms that it was never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import check_folder, open_model
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError


def register(app: typer.Typer) -> None:
    """Add ``evaluate`` to ``app``."""
    app.command("evaluate")(evaluate_command)


def evaluate_command(
    modality: Annotated[
        list[str] | None, typer.Option("--modality", help="One of the ten; give it again for more (else all).")
    ] = None,
    images: Annotated[int, typer.Option("--images", "-n", min=1, help="Images a modality; half are abnormal.")] = 50,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="segment, recognise, report, vqa, region, describe; again for more (else all)."),
    ] = None,
    seed_base: Annotated[int, typer.Option("--seed-base", help="First seed; training uses those below 10,000,000.")] = (
        1_000_000_000
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for evaluation.json, .md and .csv.")] = Path(
        "evaluation"
    ),
    fit_presence: Annotated[
        bool,
        typer.Option(
            "--fit-presence", help="First fit the presence gate (on other seeds) and write it into the model."
        ),
    ] = False,
    fit_images: Annotated[int, typer.Option("--fit-images", min=1, help="Images a modality for the fit.")] = 60,
    model: options.Model = "mini",
    device: options.Device = "auto",
    dtype: options.DType = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model on phantoms: Dice, recognition, reports, questions, regions, false positives.

    Examples:

    [bold]unibiomed evaluate -o evaluation[/bold]

    [bold]unibiomed evaluate --modality CT --modality MRI -n 3 --task segment[/bold]
    """
    try:
        from unibiomed.evaluation import fit_presence as fitting
        from unibiomed.evaluation.phantoms import evaluate_phantoms
        from unibiomed.evaluation.questions import TASKS
        from unibiomed.evaluation.results import save
    except ModuleNotFoundError as error:
        raise InputError(f"Evaluation needs {error.name}; install it: pip install 'unibiomed[evaluation]'.") from error
    from unibiomed.cli.tables import evaluation_table
    from unibiomed.phantoms import MODALITY_GENERATORS
    from unibiomed.volumes.modalities import base_modality, parse_modality

    terminal = Terminal(as_json=as_json, quiet=quiet)
    check_folder(output)
    chosen = [base_modality(parse_modality(text)) for text in modality or []] or list(MODALITY_GENERATORS)
    tasks = tuple(dict.fromkeys(task or TASKS))
    loaded = open_model(model, device, dtype, terminal)
    with terminal.working("images") as work:
        if fit_presence:
            samples = fitting.collect(loaded, chosen, fit_images, progress=work.progress, cancelled=work.cancelled)
            from unibiomed.model.store import resolve

            fitting.write_presence(resolve(model), fitting.fit_presence(samples))
            loaded = open_model(model, device, dtype, Terminal(quiet=True))
        result = evaluate_phantoms(
            loaded, chosen, images, seed_base, tasks, progress=work.progress, cancelled=work.cancelled
        )
        paths = save(result, output)
    terminal.show(result.to_json(), evaluation_table(result))
    for missed in result.missed_goals:
        terminal.note(f"Not reached: {missed.modality}, {missed.figure} {missed.interval.value:.3f} ({missed.goal})")
    terminal.note(f"Written: {', '.join(str(path) for path in paths)} ({result.seconds:.0f} s)")
