# SPDX-License-Identifier: Apache-2.0
"""Results as tables for the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

_FEW_MODALITIES = 3

if TYPE_CHECKING:
    from unibiomed.evaluation.results import Evaluation
    from unibiomed.tasks.results import NotFound, SegmentationResult, SegmentResult


def segmentation_table(result: SegmentationResult) -> Table:
    """One line a target, found or not."""
    return segments_table(result.segments, result.not_found)


def segments_table(
    segments: Sequence[SegmentResult],
    not_found: Sequence[NotFound] = (),
    dice: Mapping[str, float] | None = None,
    title: str | None = None,
) -> Table:
    """One line a segment: size, slices, confidence; ``dice`` (by phrase) adds a column where the truth is known."""
    columns = ["Target", "Volume", "Slices", "Confidence", *(["Dice"] if dice is not None else [])]
    table = Table(*columns, title=title)
    for segment in segments:
        row = [escape(segment.phrase), _size(segment), _slices(segment.slices), f"{segment.confidence:.2f}"]
        if dice is not None:
            row.append(_number(dice.get(segment.phrase)))
        table.add_row(*row)
    for missing in not_found:
        row = [escape(missing.phrase), "not found", "-", "-"]
        if dice is not None:
            row.append(_number(dice.get(missing.phrase)))
        table.add_row(*row, style="dim")
    return table


def evaluation_table(evaluation: Evaluation) -> Table:
    """Figures by modality, those with a goal where the modalities are many; what misses its goal is red."""
    modalities = list(dict.fromkeys(figure.modality for figure in evaluation.figures))
    cells = {(figure.modality, figure.figure): figure for figure in evaluation.figures}
    shown = [figure for figure in evaluation.figures if figure.goal or len(modalities) <= _FEW_MODALITIES]
    goals = dict.fromkeys((figure.figure, figure.goal) for figure in shown)
    table = Table("Figure", "Goal", *modalities, title=f"Evaluation of {escape(str(evaluation.model.get('name', '')))}")
    for name, goal in goals:
        row = []
        for modality in modalities:
            figure = cells.get((modality, name))
            if figure is None:
                row.append("")
                continue
            interval = figure.interval
            text = f"{interval.value:.2f}\n[dim]{interval.low:.2f}-{interval.high:.2f}[/dim]"
            row.append(f"[red]{text}[/red]" if figure.reached is False else text)
        table.add_row(name, goal, *row)
    return table


def key_values(pairs: Mapping[str, Any]) -> Table:
    """Two columns without a frame."""
    table = Table(box=None, show_header=False)
    for key, value in pairs.items():
        table.add_row(key, escape(str(value)))
    return table


def _size(segment: SegmentResult) -> str:
    return f"{segment.voxels:,} px" if segment.volume_ml is None else f"{segment.volume_ml:,.2f} ml"


def _slices(slices: Sequence[int]) -> str:
    if not slices:
        return "-"
    return str(slices[0]) if len(slices) == 1 else f"{slices[0]}-{slices[-1]} ({len(slices)})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
