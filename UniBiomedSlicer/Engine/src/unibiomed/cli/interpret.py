# SPDX-License-Identifier: Apache-2.0
"""``unibiomed interpret``: from an image file to segments and a grounded report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import check_folder, open_model, open_volume
from unibiomed.cli.terminal import Terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from unibiomed.tasks.results import Interpretation


def register(app: typer.Typer) -> None:
    """Add ``interpret`` to ``app``."""
    app.command("interpret")(interpret_command)


def interpret_command(
    image: options.Input,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for segmentation.seg.nrrd, report.html, report.json and overlay.png.",
            show_default=False,
        ),
    ] = None,
    modality: options.Modality = None,
    site: Annotated[
        str | None, typer.Option("--site", help="abdomen, brain, ... (else the model looks).", show_default=False)
    ] = None,
    anatomy: Annotated[bool, typer.Option(help="Outline the structures too, not only what is abnormal.")] = True,
    axis: options.Axis = None,
    window: options.WindowName = None,
    series: options.Series = None,
    frame: options.Frame = None,
    model: options.Model = "mini",
    device: options.Device = "auto",
    dtype: options.DType = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Read an image end to end: what it is, what it shows, what is wrong and where.

    Examples:

    [bold]unibiomed interpret ct/ -o result[/bold]

    [bold]unibiomed interpret skin.jpg --modality dermoscopy --json[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    if output is not None:
        check_folder(output)
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.interpret import interpret
    from unibiomed.tasks.outputs import write_outputs
    from unibiomed.tasks.schema import to_json

    written: dict[str, Path] = {}
    with terminal.working() as work:
        result = interpret(
            loaded,
            volume,
            modality=modality,
            site=site,
            window=window,
            axis=axis,
            anatomy=anatomy,
            progress=work.progress,
            cancelled=work.cancelled,
        )
        if output is not None:
            written = write_outputs(output, result, volume, replace=True)
    terminal.show(to_json(result), *summary(result))
    for note in result.provenance.notes:
        terminal.note(note)
    if written:
        terminal.note(f"Written to {output}: {', '.join(path.name for path in written.values())}")


def summary(result: Interpretation, **columns: Any) -> list[RenderableType]:
    """The report's text and the table of its segments; ``columns`` as for ``segments_table``."""
    from rich.text import Text

    from unibiomed.cli.tables import segments_table

    shown: list[RenderableType] = [Text(result.text)]
    if result.segments or result.not_found:
        shown.append(segments_table(result.segments, result.not_found, **columns))
    return shown
