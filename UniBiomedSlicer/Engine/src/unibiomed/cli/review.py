# SPDX-License-Identifier: Apache-2.0
"""``unibiomed review``: the queue of a cohort, and a reviewer's decisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add ``review`` to ``app``."""
    app.command("review")(review_command)


def review_command(
    catalogue: Annotated[
        Path, typer.Argument(help="Folder of the catalogue, as annotate made it.", show_default=False)
    ],
    strategy: Annotated[
        str, typer.Option("--strategy", help="least-confident, most-disagreement, most-different or random.")
    ] = "least-confident",
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Take requests as lines of JSON (what Slicer's page does).")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which cases wait for a reviewer, the next one first."""
    from rich.table import Table

    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.conversation import converse
    from unibiomed.cohort.review import Review

    terminal = Terminal(as_json=as_json, quiet=quiet)
    with Catalogue(catalogue) as opened:
        review = Review(opened)
        if stdio:
            converse(review, sys.stdin, sys.stdout)
            return
        records = review.queue(strategy)
        table = Table("case", "patient", "segments", "confidence", "disagreement")
        rows = []
        for record in records:
            outcome = record.outcome
            far = "" if outcome.disagreement is None else f"{outcome.disagreement:.2f}"
            table.add_row(record.case.id, record.case.patient, str(outcome.segments), f"{outcome.confidence:.2f}", far)
            rows.append({"id": record.case.id, "confidence": outcome.confidence, "disagreement": outcome.disagreement})
        terminal.show({"waiting": len(records), "cases": rows}, table)
