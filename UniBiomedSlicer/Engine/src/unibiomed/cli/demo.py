# SPDX-License-Identifier: Apache-2.0
"""``unibiomed demo``: the main job on two inputs, a CT phantom with its truth and a real T1 head MRI."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unibiomed.cli import options
from unibiomed.cli.interpret import summary
from unibiomed.cli.opening import check_folder, open_model
from unibiomed.cli.terminal import Terminal

if TYPE_CHECKING:
    from unibiomed.phantoms import PhantomVolume
    from unibiomed.tasks.results import Interpretation, SegmentationResult
    from unibiomed.volumes import Volume

PHANTOM_SEED = 1_000_000_003
HEAD = "mr_brain_tumour/brain1_image.nrrd"


def register(app: typer.Typer) -> None:
    """Add ``demo`` to ``app``."""
    app.command("demo")(demo_command)


def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results, one folder an input.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option("--seed", help="Which CT phantom; training uses seeds below 10,000,000.")] = (
        PHANTOM_SEED
    ),
    model: options.Model = "mini",
    device: options.Device = "auto",
    dtype: options.DType = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Interpret two bundled inputs and show what was found.

    The CT is a phantom, so its truth is known and the Dice of each segment is shown. The head is a real T1 MRI of a
    person with a brain tumour; the bundled model is small and trained on phantoms, so take it as a demonstration only.

    Example: [bold]unibiomed demo --output demo-output[/bold]
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    check_folder(output)
    begun = time.monotonic()
    loaded = open_model(model, device, dtype, terminal)
    data = {
        "ct-phantom": _phantom(loaded, output / "ct-phantom", seed, terminal),
        "mri-head": _head(loaded, output / "mri-head", terminal),
    }
    terminal.show(data)
    seconds = time.monotonic() - begun
    terminal.note(
        f"Done in {seconds:.0f} s. Open {output / 'ct-phantom' / 'report.html'} and the .seg.nrrd in 3D Slicer."
    )


def _phantom(model: Any, folder: Path, seed: int, terminal: Terminal) -> dict[str, Any]:
    from unibiomed.phantoms import generate_volume
    from unibiomed.tasks.schema import to_json

    phantom = generate_volume("CT", seed, abnormal=True)
    result = _interpret(model, phantom.volume, folder, terminal)
    scores = dice_by_phrase(result, phantom)
    _show(terminal, "CT phantom (truth known)", result, folder, dice=scores)
    return {"result": to_json(result), "dice": scores}


def _head(model: Any, folder: Path, terminal: Terminal) -> dict[str, Any]:
    from unibiomed.tasks.schema import to_json
    from unibiomed.tasks.segment import segment
    from unibiomed.volumes import read_volume
    from unibiomed.volumes.writing import write_segmentation

    volume = read_volume(str(files("unibiomed") / "samples" / HEAD), modality="MRI-T1")
    result = _interpret(model, volume, folder, terminal)
    with terminal.working() as work:
        brain = segment(model, volume, ["brain"], progress=work.progress, cancelled=work.cancelled)
    if brain.segments:
        from unibiomed.tasks.outputs import to_segmentation

        write_segmentation(folder / "brain.seg.nrrd", to_segmentation(brain, volume), reference=volume)
    _show(terminal, "Real T1 head MRI", result, folder, brain=brain)
    return {"result": to_json(result), "brain": to_json(brain)}


def _interpret(model: Any, volume: Volume, folder: Path, terminal: Terminal) -> Interpretation:
    from unibiomed.tasks.interpret import interpret
    from unibiomed.tasks.outputs import write_outputs

    with terminal.working() as work:
        result = interpret(model, volume, progress=work.progress, cancelled=work.cancelled)
        write_outputs(folder, result, volume, replace=True)
    return result


def dice_by_phrase(result: Interpretation, phantom: PhantomVolume) -> dict[str, float]:
    """Dice of every target of ``phantom``: the segments of one phrase together, 0 where there is none."""
    from unibiomed.evaluation.volumes import evaluate_volume
    from unibiomed.volumes.masks import BoxMask

    found: dict[str, list[BoxMask]] = {}
    for one in result.segments:
        found.setdefault(one.phrase, []).append(one.mask)
    truth = {phantom.specs[name].phrase: mask for name, mask in phantom.masks.items()}
    joined = {phrase: BoxMask.union_of(masks) for phrase, masks in found.items()}
    scores = evaluate_volume(joined, truth, phantom.volume.spacing)
    return {phrase: score.dice for phrase, score in scores.items()}


def _show(
    terminal: Terminal,
    title: str,
    result: Interpretation,
    folder: Path,
    *,
    dice: dict[str, float] | None = None,
    brain: SegmentationResult | None = None,
) -> None:
    from unibiomed.cli.tables import segments_table

    if terminal.as_json:
        return
    terminal.show(None, *summary(result, dice=dice, title=title))
    missed = [phrase for phrase in dice or {} if phrase not in {one.phrase for one in result.segments}]
    if missed:
        terminal.show(None, f"In the image but not found: {', '.join(missed)}")
    if brain is not None:
        terminal.show(None, segments_table(brain.segments, brain.not_found, title="Asked for: brain"))
    terminal.note(f"Written to {folder}")
