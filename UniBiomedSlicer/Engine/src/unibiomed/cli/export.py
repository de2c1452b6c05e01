# SPDX-License-Identifier: Apache-2.0
"""``unibiomed export``: reviewed cases as training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add ``export`` to ``app``."""
    app.command("export")(export_command)


def export_command(
    catalogue: Annotated[
        Path, typer.Argument(help="Folder of the catalogue, as annotate made it.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the data set.", show_default=False)],
    kind: Annotated[
        str, typer.Option("--format", "-f", help="unibiomed, nnunet, decathlon, parquet or dicom (SEG and SR).")
    ] = "unibiomed",
    which: Annotated[
        str, typer.Option("--cases", help="corrected, reviewed (accepted or corrected), or all.")
    ] = "reviewed",
    modality: Annotated[
        str | None, typer.Option("--modality", help="Of a mixed cohort: the cases of one modality.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the data set.")] = "Dataset001_UniBiomed",
    validation: Annotated[float, typer.Option("--validation", help="Share of the patients.")] = 0.1,
    test: Annotated[float, typer.Option("--test", help="Share of the patients.")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Another one gives other splits.")] = 0,
    keep_identity: Annotated[
        bool, typer.Option("--keep-identity", help="Keep case and patient names (else running numbers).")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write reviewed cases in a format that training code reads; patients never stand in two splits.

    Examples:

    [bold]unibiomed export scans/derivatives/unibiomed -o dataset -f nnunet[/bold]
    """
    from rich.text import Text

    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.export.card import CARD
    from unibiomed.cohort.export.writing import export
    from unibiomed.errors import InputError

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if which not in ("corrected", "reviewed", "all"):
        raise InputError(f"--cases is corrected, reviewed or all, not {which[:40]!r}.")
    with Catalogue(catalogue) as opened, terminal.waiting("Exporting"):
        chosen = export(
            opened,
            output,
            kind,  # type: ignore[arg-type] - checked by export itself, with the sentence for the user
            which,  # type: ignore[arg-type]
            modality=modality,
            name=name,
            validation=validation,
            test=test,
            seed=seed,
            keep_identity=keep_identity,
        )
    splits = {split: sum(sample.split == split for sample in chosen) for split in ("train", "validation", "test")}
    told = ", ".join(f"{count} {split}" for split, count in splits.items())
    terminal.show(
        {"folder": str(output), "format": kind, "cases": len(chosen), "splits": splits},
        Text(f"{len(chosen)} cases ({told}) in {output}; what they are: {output / CARD}"),
    )
