# SPDX-License-Identifier: Apache-2.0
"""The table of an evaluation: scores added up into figures, and written as JSON, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unibiomed.evaluation.goals import GOALS, Goal
from unibiomed.evaluation.mask_metrics import MASK_LIBRARY
from unibiomed.evaluation.scoring import Score, TextPair
from unibiomed.evaluation.statistics import Interval, ratio
from unibiomed.evaluation.text_metrics import TEXT_LIBRARY, bleu
from unibiomed.volumes.atomic import atomic_path

ALL = "all"
_NOTES = (
    "Intervals: 95 %, percentile bootstrap over images (scipy.stats.bootstrap); Wilson where all answers are alike; "
    "BLEU by sacrebleu's own bootstrap.",
    f"Masks: {MASK_LIBRARY}. Text: {TEXT_LIBRARY}.",
    'Dice counts as the user gets it: a target that the presence gate rejects scores 0; "gate ignored" does not.',
    "False positives: share of absent targets asked for that the gate lets through.",
    "Recognition of an abnormal image is right when every finding named is in the image and at least one is named.",
    "VQA is right when exactly the true findings are named. Report phrases count with equal words and IoU >= 0.5.",
)


@dataclass(frozen=True)
class Figure:
    """One cell of the table. ``modality`` is one of the ten words or "all"; ``target`` a phrase in the target table."""

    modality: str
    figure: str
    task: str
    interval: Interval
    goal: str = ""
    reached: bool | None = None
    target: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured, with how: ``settings`` (seeds, counts), ``model`` (name, SHA-256), ``seconds``."""

    figures: tuple[Figure, ...]
    targets: tuple[Figure, ...]
    settings: dict[str, Any]
    model: dict[str, Any]
    seconds: float

    @property
    def missed_goals(self) -> tuple[Figure, ...]:
        """The figures that do not reach what they should."""
        return tuple(figure for figure in self.figures if figure.reached is False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {**asdict(self), "notes": list(_NOTES)}


@dataclass(frozen=True)
class Record:
    """Scores of one image's answers."""

    modality: str
    seed: int
    scores: tuple[Score, ...]
    texts: tuple[TextPair, ...] = ()


def summarise(records: Iterable[Record], settings: dict[str, Any], model: dict[str, Any], seconds: float) -> Evaluation:
    """Add the records up: by modality and over all, and the Dice of each target."""
    records = list(records)
    modalities = list(dict.fromkeys(record.modality for record in records))
    figures: list[Figure] = []
    for modality in [*modalities, *([ALL] if len(modalities) > 1 else [])]:
        chosen = [record for record in records if modality in (ALL, record.modality)]
        for goal in GOALS:
            interval = _interval(chosen, goal)
            if interval is not None:
                reached = goal.reached(interval.value)
                figures.append(Figure(modality, goal.figure, goal.task, interval, goal.words, reached))
    return Evaluation(tuple(figures), tuple(_targets(records)), settings, model, seconds)


def _interval(records: list[Record], goal: Goal) -> Interval | None:
    if goal.figure == "report BLEU":
        pairs = [pair for record in records for pair in record.texts]
        if not pairs:
            return None
        found = bleu([pair.answer for pair in pairs], [pair.truth for pair in pairs])
        return Interval(found.value, found.low, found.high, len(pairs), len(pairs))
    return _sum([[score for score in record.scores if score.figure == goal.figure] for record in records])


def _sum(by_image: list[list[Score]]) -> Interval | None:
    above = [sum(score.numerator for score in scores) for scores in by_image]
    below = [sum(score.denominator for score in scores) for scores in by_image]
    return ratio(above, below)


def _targets(records: list[Record]) -> Iterable[Figure]:
    by_target: dict[tuple[str, str, str], list[list[Score]]] = defaultdict(list)
    for record in records:
        for score in record.scores:
            if score.target and not score.figure.endswith("ignored"):
                by_target[record.modality, score.figure, score.target].append([score])
    for (modality, name, target), by_image in sorted(by_target.items()):
        interval = _sum(by_image)
        if interval is not None:
            yield Figure(modality, name, "segment", interval, target=target)


def save(evaluation: Evaluation, folder: Path) -> tuple[Path, ...]:
    """Write ``evaluation.json``, ``evaluation.md`` and ``evaluation.csv`` into ``folder``; each appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "evaluation.json": json.dumps(evaluation.to_json(), indent=1) + "\n",
        "evaluation.md": to_markdown(evaluation),
        "evaluation.csv": to_csv(evaluation),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return tuple(folder / name for name in texts)


def to_csv(evaluation: Evaluation) -> str:
    """One line a figure, those of single targets at the end."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["modality", "task", "figure", "target", "value", "low", "high", "n", "images", "goal", "reached"])
    for figure in (*evaluation.figures, *evaluation.targets):
        cell = figure.interval
        numbers = [f"{cell.value:.4f}", f"{cell.low:.4f}", f"{cell.high:.4f}", cell.n, cell.images]
        reached = "" if figure.reached is None else "yes" if figure.reached else "no"
        writer.writerow([figure.modality, figure.task, figure.figure, figure.target, *numbers, figure.goal, reached])
    return out.getvalue()


def to_markdown(evaluation: Evaluation) -> str:
    """The table by modality, then the targets, then how it was measured."""
    modalities = list(dict.fromkeys(figure.modality for figure in evaluation.figures))
    cells = {(figure.modality, figure.figure): figure for figure in evaluation.figures}
    lines = [f"# Evaluation of {evaluation.model.get('name', 'the model')}", ""]
    lines += ["| figure | goal | " + " | ".join(modalities) + " |", "|---" * (len(modalities) + 2) + "|"]
    for goal in GOALS:
        row = [_cell(cells.get((modality, goal.figure))) for modality in modalities]
        if any(row):
            lines.append(f"| {goal.figure} | {goal.words} | " + " | ".join(row) + " |")
    missed = evaluation.missed_goals
    lines += ["", f"Not reached ({len(missed)}):" if missed else "Every goal is reached.", ""]
    lines += [f"- {one.modality}: {one.figure} {one.interval.value:.3f}, goal {one.goal}" for one in missed]
    lines += ["", "## Targets", "", "| target | Dice | 95 % interval | images |", "|---|---|---|---|"]
    for one in evaluation.targets:
        cell = one.interval
        lines.append(f"| {one.target} | {cell.value:.3f} | {cell.low:.3f} to {cell.high:.3f} | {cell.images} |")
    lines += ["", "## How it was measured", ""]
    lines += [f"- {key}: {value}" for key, value in {**evaluation.model, **evaluation.settings}.items()]
    lines += [f"- seconds: {evaluation.seconds:.0f}", *(f"- {note}" for note in _NOTES), ""]
    return "\n".join(lines)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    cell = figure.interval
    text = f"{cell.value:.3f} ({cell.low:.2f}-{cell.high:.2f}, n={cell.n})"
    return f"**{text}** (not reached)" if figure.reached is False else text
