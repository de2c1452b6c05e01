# SPDX-License-Identifier: Apache-2.0
"""``unibiomed recognise``, ``describe``, ``ask`` and ``report``: questions, answered in words and places."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import open_model, open_volume, parse_slices
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from unibiomed.volumes import Volume

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the segments to a .seg.nrrd, .nii.gz or .dcm.", show_default=False),
]
Slice = Annotated[int | None, typer.Option("--slice", help="Which slice (else the middle one).", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the four commands to ``app``."""
    app.command("recognise")(recognise_command)
    app.command("describe")(describe_command)
    app.command("ask")(ask_command)
    app.command("report")(report_command)


def recognise_command(
    image: options.Input,
    output: Output = None,
    modality: options.Modality = None,
    site: options.Site = None,
    slices: options.Slices = None,
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
    """Look for signs of abnormality, slice by slice, and outline them.

    Example: [bold]unibiomed recognise chest.nii.gz --modality CT --slices 30-60 -o findings.seg.nrrd[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _check_output(output)
    chosen = parse_slices(slices)
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.recognise import recognise

    with terminal.working() as work:
        result = recognise(
            loaded,
            volume,
            modality=modality,
            site=site,
            window=window,
            axis=axis,
            slices=chosen,
            progress=work.progress,
            cancelled=work.cancelled,
        )
        _write(output, result, volume, terminal)
    _show(terminal, result)


def describe_command(
    image: options.Input,
    box: Annotated[
        str | None,
        typer.Option("--box", help="TOP,LEFT,BOTTOM,RIGHT in pixels of the slice's picture.", show_default=False),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="A mask file on the image's grid; its voxels above 0.", show_default=False),
    ] = None,
    slice_index: Slice = None,
    modality: options.Modality = None,
    site: options.Site = None,
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
    """Say what is in a region: a box on a slice, or a mask.

    Examples:

    [bold]unibiomed describe polyp.png --box 60,80,140,170 --modality endoscope[/bold]

    [bold]unibiomed describe ct.nii.gz --mask lesion.nii.gz --modality CT[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    if (box is None) == (mask is None):
        raise InputError("Give the region either as --box TOP,LEFT,BOTTOM,RIGHT or as --mask FILE.")
    region = _parse_box(box) if box is not None else None
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    if region is None:
        region = _read_mask(mask, volume)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.describe import describe
    from unibiomed.tasks.schema import to_json

    with terminal.working() as work:
        result = describe(
            loaded,
            volume,
            region,
            slice_index=slice_index,
            modality=modality,
            site=site,
            window=window,
            axis=axis,
            progress=work.progress,
            cancelled=work.cancelled,
        )
    terminal.show(to_json(result), _plain(result.text))
    _notes(terminal, result)


def ask_command(
    image: options.Input,
    questions: Annotated[
        list[str] | None, typer.Argument(help="One question, or several that follow on each other.", show_default=False)
    ] = None,
    anatomy: Annotated[
        str | None,
        typer.Option("--anatomy", help="Ask the trained question: is something wrong in it?", show_default=False),
    ] = None,
    slice_index: Slice = None,
    modality: options.Modality = None,
    site: options.Site = None,
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
    """Ask about one slice. Only the trained question (--anatomy) is answered reliably; others are marked.

    Examples:

    [bold]unibiomed ask ct.nii.gz --anatomy lung --modality CT --slice 40[/bold]

    [bold]unibiomed ask head.nrrd "Can we see abnormality in brain?" "Where is it?" --modality MRI[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    asked: list[dict[str, str]] = [{"anatomy": anatomy}] if anatomy is not None else []
    asked += [{"question": question} for question in questions or []]
    if not asked:
        raise InputError("Give a question, or --anatomy with the part of the body to ask about.")
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.answer import answer
    from unibiomed.tasks.schema import to_json

    results: list[Any] = []
    with terminal.working("answers") as work:
        for one in asked:
            results.append(
                answer(
                    loaded,
                    volume,
                    **one,
                    history=results[-1].history if results else "",
                    slice_index=slice_index,
                    modality=modality,
                    site=site,
                    window=window,
                    axis=axis,
                    progress=work.progress,
                    cancelled=work.cancelled,
                )
            )
    data = [to_json(result) for result in results]
    terminal.show(data[0] if len(data) == 1 else data, *(_plain(result.text) for result in results))
    for result in results:
        _notes(terminal, result)


def report_command(
    image: options.Input,
    output: Output = None,
    slice_index: Slice = None,
    modality: options.Modality = None,
    site: options.Site = None,
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
    """Write a grounded report of one slice: each finding with its outline.

    Example: [bold]unibiomed report chest.nii.gz --slice 45 --modality CT -o findings.seg.nrrd[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _check_output(output)
    volume = open_volume(image, terminal, modality=modality, series=series, frame=frame)
    loaded = open_model(model, device, dtype, terminal)
    from unibiomed.tasks.report import report

    with terminal.working() as work:
        result = report(
            loaded,
            volume,
            slice_index=slice_index,
            modality=modality,
            site=site,
            window=window,
            axis=axis,
            progress=work.progress,
            cancelled=work.cancelled,
        )
        _write(output, result, volume, terminal)
    _show(terminal, result)


def _check_output(output: Path | None) -> None:
    if output is not None:
        from unibiomed.volumes.writing import check_output_name

        check_output_name(output)


def _write(output: Path | None, result: Any, volume: Volume, terminal: Terminal) -> None:
    """Write the result's segments; where there are none, say so and write nothing."""
    if output is None:
        return
    from unibiomed.tasks.outputs import to_segmentation
    from unibiomed.volumes.writing import write_segmentation

    if not result.segments:
        terminal.note(f"Nothing was found, so {output} was not written.")
        return
    write_segmentation(output, to_segmentation(result, volume), reference=volume)
    terminal.note(f"Written: {output}")


def _show(terminal: Terminal, result: Any) -> None:
    from unibiomed.cli.tables import segments_table
    from unibiomed.tasks.schema import to_json

    shown: list[Any] = [_plain(result.text)]
    missing = getattr(result, "not_found", ())
    if result.segments or missing:
        shown.append(segments_table(result.segments, missing))
    terminal.show(to_json(result), *shown)
    _notes(terminal, result)


def _notes(terminal: Terminal, result: Any) -> None:
    for note in result.provenance.notes:
        terminal.note(note)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _parse_box(text: str) -> tuple[int, int, int, int]:
    parts = text.replace(" ", "").split(",")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"{text[:60]!r} is not a box; write four whole numbers TOP,LEFT,BOTTOM,RIGHT.")
    return tuple(int(part) for part in parts)


def _read_mask(path: Path, volume: Volume) -> np.ndarray:
    import numpy as np

    from unibiomed.volumes import read_volume

    mask = read_volume(path)
    if mask.shape != volume.shape or mask.is_color:
        raise InputError(
            f"The mask {path.name} is not on the grid of {volume.name}: {mask.shape} against {volume.shape}."
        )
    if volume.spatial and mask.spatial and not np.allclose(mask.ijk_to_ras, volume.ijk_to_ras, atol=1e-2):
        raise InputError(f"The mask {path.name} lies elsewhere in the patient than {volume.name}; resample it first.")
    return np.asarray(mask.array) > 0
