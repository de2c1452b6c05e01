# SPDX-License-Identifier: Apache-2.0
"""``unibiomed evaluate``: a model on phantoms that it was never trained on, or on reviewed segments."""

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
        typer.Option(
            "--task",
            help="segment, recognise, report, vqa, region, describe (phantoms only); again for more (else all).",
        ),
    ] = None,
    seed_base: Annotated[int, typer.Option("--seed-base", help="First seed; training uses those below 10,000,000.")] = (
        1_000_000_000
    ),
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Instead of phantoms: what unibiomed export wrote, in any format.", show_default=False
        ),
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            "--catalogue", help="Instead of phantoms: the reviewed volumes of a cohort, in mm.", show_default=False
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, validation or test (else test, of a catalogue all).", show_default=False),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", help="With --data or --catalogue: a second model, B.", show_default=False),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Of NSD: in mm (pixels where the data do not say their size).")
    ] = 2.0,
    pictures: Annotated[
        int,
        typer.Option("--pictures", min=1, help="With --data or --catalogue: pictures a case that are asked in words."),
    ] = 5,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("evaluation"),
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
    """Measure a model: on phantoms, or on what reviewers left (an export in any format, or a catalogue).

    Examples:

    [bold]unibiomed evaluate -o evaluation[/bold]

    [bold]unibiomed evaluate --modality CT --modality MRI -n 3 --task segment[/bold]

    [bold]unibiomed evaluate --data dataset --model mini --compare mine[/bold]

    [bold]unibiomed evaluate --catalogue scans/derivatives/unibiomed --split test --compare mine[/bold]
    """
    if data is not None or catalogue is not None:
        from unibiomed.cli.agreement import Wanted, agreement_command

        models = [model] if compare is None else [model, compare]
        wanted = Wanted(data, catalogue, split, models, task, tolerance, pictures)
        agreement_command(wanted, output, device, dtype, Terminal(as_json=as_json, quiet=quiet))
        return
    if compare is not None or split is not None:
        raise InputError("--compare and --split go with --data or --catalogue.")
    from unibiomed.cli.tables import evaluation_table
    from unibiomed.evaluation import fit_presence as fitting
    from unibiomed.evaluation.phantoms import evaluate_phantoms
    from unibiomed.evaluation.questions import TASKS
    from unibiomed.evaluation.results import save
    from unibiomed.evaluation.text_metrics import missing_library
    from unibiomed.phantoms import MODALITY_GENERATORS
    from unibiomed.volumes.modalities import base_modality, parse_modality

    terminal = Terminal(as_json=as_json, quiet=quiet)
    check_folder(output)
    chosen = [base_modality(parse_modality(text)) for text in modality or []] or list(MODALITY_GENERATORS)
    tasks = tuple(dict.fromkeys(task or TASKS))
    if "report" in tasks and (missing := missing_library()) is not None:
        raise InputError(
            f"The text of reports is measured with {missing}; install it, pip install 'unibiomed[evaluation]', or "
            "choose other tasks with --task."
        )
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
