# SPDX-License-Identifier: Apache-2.0
"""``unibiomed segment``: named targets as segments in a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import open_model, open_volume, parse_slices
from unibiomed.cli.terminal import Terminal


class Method(StrEnum):
    """How a target is followed through the slices."""

    SLICES = "slices"
    PROPAGATE = "propagate"


def register(app: typer.Typer) -> None:
    """Add ``segment`` to ``app``."""
    app.command("segment")(segment_command)


def segment_command(
    image: options.Input,
    targets: Annotated[
        list[str], typer.Argument(help="What to segment: names (liver) or phrases (liver in abdomen CT).")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .seg.nrrd, .nii, .nii.gz or .dcm (DICOM SEG) file.", show_default=False),
    ] = None,
    modality: options.Modality = None,
    site: Annotated[
        str | None, typer.Option("--site", help="abdomen, brain, ... where a name is not enough.", show_default=False)
    ] = None,
    method: Annotated[
        Method, typer.Option("--method", help="Ask on every slice, or follow the target from a key slice.")
    ] = Method.SLICES,
    key_slice: Annotated[
        int | None, typer.Option("--key-slice", help="Where propagation starts.", show_default=False)
    ] = None,
    slices: options.Slices = None,
    axis: options.Axis = None,
    window: options.WindowName = None,
    clean: Annotated[bool, typer.Option("--clean", help="Remove small islands and fill small holes.")] = False,
    series: options.Series = None,
    frame: options.Frame = None,
    model: options.Model = "mini",
    device: options.Device = "auto",
    dtype: options.DType = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Segment named targets in an image; overlapping targets stay separate (except in NIfTI).

    Examples:

    [bold]unibiomed segment head.nii.gz brain --modality MRI -o brain.seg.nrrd[/bold]

    [bold]unibiomed segment ct/ liver spleen "left kidney" -o organs.dcm --slices 20-80[/bold]
    """
    from unibiomed.cli.tables import segmentation_table
    from unibiomed.volumes.writing import check_output_name, write_segmentation

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if output is not None:
        check_output_name(output)
    chosen = parse_slices(slices)
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.outputs import to_segmentation
    from unibiomed.tasks.schema import to_json
    from unibiomed.tasks.segment import segment

    with terminal.working() as work:
        result = segment(
            loaded,
            volume,
            targets,
            modality=modality,
            site=site,
            window=window,
            axis=axis,
            slices=chosen,
            method=method.value,
            key_slice=key_slice,
            clean=clean,
            progress=work.progress,
            cancelled=work.cancelled,
        )
        if output is not None:
            write_segmentation(output, to_segmentation(result, volume), reference=volume)
    terminal.show(to_json(result), segmentation_table(result))
    if output is not None:
        terminal.note(f"Written: {output}")
