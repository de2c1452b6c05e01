# SPDX-License-Identifier: Apache-2.0
"""``agreement.html``, ``.json`` and ``.csv``: one or two models against what reviewers left, with plots; no script."""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from unibiomed.evaluation.agreement import NOTES, Agreement, Answer, CaseLine, Difference
from unibiomed.evaluation.clustered import Estimate, Paired
from unibiomed.evaluation.text_answers import RIGHT_OR_WRONG, TextDifference, TextFigure, Told
from unibiomed.volumes.atomic import atomic_path

PAGE, DATA, TABLE = "agreement.html", "agreement.json", "agreement.csv"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was asked, of whom: ``agreements`` and ``answers`` of model A, and of model B where there is one.

    Attributes:
        told, figures: what the answers in words add to which figures, and these, by model.
        figure_differences: B minus A of these figures.
        unmeasured: figures that are not here, and why.
        notes: what to know of the data and of how it was measured.
    """

    agreements: tuple[Agreement, ...]
    answers: tuple[tuple[Answer, ...], ...]
    differences: tuple[Difference, ...]
    settings: dict[str, Any]
    told: tuple[tuple[Told, ...], ...] = ()
    figures: tuple[tuple[TextFigure, ...], ...] = ()
    figure_differences: tuple[TextDifference, ...] = ()
    unmeasured: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = NOTES

    @property
    def figure_lines(self) -> list[tuple[str, str, list[TextFigure | None], TextDifference | None]]:
        """(group, figure, that of each model, difference) of every figure that a model has, in order."""
        names = dict.fromkeys((one.group, one.figure) for some in self.figures for one in some)
        by_model = [{one.figure: one for one in some} for some in self.figures]
        differences = {one.figure: one for one in self.figure_differences}
        return [(group, name, [model.get(name) for model in by_model], differences.get(name)) for group, name in names]

    @property
    def case_lines(self) -> list[tuple[str, str, list[tuple[CaseLine | None, str]]]]:
        """(case, patient, its line and its right answers by model), worst of model A first.

        Cases without an answer about a mask come last, those with the fewest right answers first.
        """
        verdicts = [_verdicts(told) for told in self.told] or [{} for _ in self.agreements]
        by_mask = {(line.case, line.patient): None for line in self.agreements[0].cases}
        spoken = sorted(
            {(one.case, one.patient) for one in (self.told[0] if self.told else ())} - by_mask.keys(),
            key=lambda key: (_share(verdicts[0].get(key[0], ())), key),
        )
        lines = [{line.case: line for line in agreement.cases} for agreement in self.agreements]
        return [
            (
                case,
                patient,
                [(own.get(case), _right(given.get(case, ()))) for own, given in zip(lines, verdicts, strict=True)],
            )
            for case, patient in (*by_mask, *spoken)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; ``answers`` and ``told`` are every single question."""
        return {
            "format": "unibiomed.agreement/1",
            "settings": self.settings,
            "models": [asdict(one) for one in self.agreements],
            "b_minus_a": [asdict(one) for one in self.differences],
            "answers": [[asdict(answer) for answer in some] for some in self.answers],
            "figures": [[asdict(one) for one in some] for some in self.figures],
            "figures_b_minus_a": [asdict(one) for one in self.figure_differences],
            "told": [[asdict(one) for one in some] for some in self.told],
            "not_measured": [{"figures": figures, "reason": reason} for figures, reason in self.unmeasured],
            "notes": list(self.notes),
        }


def _verdicts(told: Sequence[Told]) -> dict[str, list[float]]:
    """The answers in words that are right (1) or wrong (0), by case."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in told:
        if one.figure in RIGHT_OR_WRONG:
            found[one.case].append(one.values[0])
    return found


def _share(verdicts: Sequence[float]) -> float:
    return sum(verdicts) / len(verdicts) if verdicts else 1.0


def _right(verdicts: Sequence[float]) -> str:
    """``5 of 8``: the answers that are right, of all."""
    return f"{sum(verdicts):.0f} of {len(verdicts)}" if verdicts else ""


def save(comparison: Comparison, folder: Path) -> tuple[Path, Path, Path]:
    """Write the files into ``folder``; each appears whole. Returns page, data and table."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        PAGE: _page(comparison),
        DATA: json.dumps(comparison.to_json(), indent=1) + "\n",
        TABLE: to_csv(comparison),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / PAGE, folder / DATA, folder / TABLE


def to_csv(comparison: Comparison) -> str:
    """A line for every figure of every model, and of the difference."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", "figure", "phrase", "value", "low", "high", "n", "patients", "p"])

    def line(model: str, figure: str, phrase: str, estimate: Estimate | None, p: float | None = None) -> None:
        if estimate is not None:
            numbers = ["" if n is None else f"{n:.4f}" for n in (estimate.value, estimate.low, estimate.high)]
            writer.writerow(
                [model, figure, phrase, *numbers, estimate.n, estimate.patients, "" if p is None else f"{p:.4g}"]
            )

    for number, agreement in enumerate(comparison.agreements):
        for row in (agreement.overall, *agreement.rows):
            for name in _MASK_FIGURES:
                line(agreement.model, name, row.phrase, getattr(row, name))
        for one in comparison.figures[number] if comparison.figures else ():
            line(agreement.model, one.figure, "all", one.estimate)
    for one in comparison.differences:
        for name in _MASK_FIGURES:
            pair = getattr(one, name)
            if pair is not None:
                line("B minus A", name, one.phrase, pair.difference, pair.p_value)
    for one in comparison.figure_differences:
        line("B minus A", one.figure, "all", one.paired.difference, one.paired.p_value)
    return out.getvalue()


_MASK_FIGURES = ("dice", "nsd", "hd95", "false_positives")


def told(estimate: Estimate | None, digits: int = 3) -> str:
    """``0.812 (0.75 to 0.87)``, "" for None."""
    if estimate is None:
        return ""
    text = f"{estimate.value:.{digits}f}"
    return text if estimate.low is None else f"{text} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def told_pair(pair: Paired | None) -> str:
    """The difference with its interval, how many went which way, and p."""
    if pair is None:
        return ""
    sign = "+" if pair.difference.value >= 0 else ""
    p = "" if pair.p_value is None else f", p {pair.p_value:.3g}"
    counted = pair.higher + pair.lower + pair.equal
    counts = f"; {pair.higher} higher, {pair.lower} lower, {pair.equal} equal" if counted else ""
    return f"{sign}{told(pair.difference)}{counts}{p}"


def _page(comparison: Comparison) -> str:
    text = resources.files("unibiomed.evaluation").joinpath("agreement.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"told": told, "told_pair": told_pair}
    plots = []
    if any(comparison.answers):
        plots.append(("Dice by phrase", _dice_plot(comparison)))
        plots.append(("Reliability of the confidence", _reliability_plot(comparison.agreements)))
    if any(comparison.figures):
        plots.append(("Figures with 95 % intervals", _figures_plot(comparison)))
    if any(comparison.answers) and len(comparison.answers) == 2:
        plots.append(("Dice of A and B, a dot a question", _scatter_plot(comparison)))
    return environment.from_string(text).render(
        comparison=comparison,
        agreements=comparison.agreements,
        differences=comparison.differences,
        settings=comparison.settings,
        plots=plots,
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _dice_plot(comparison: Comparison) -> str:
    phrases = [row.phrase for row in comparison.agreements[0].rows]
    figure, axis = _figure(7.0, 1.2 + 0.45 * len(phrases))
    for number, (agreement, answers) in enumerate(zip(comparison.agreements, comparison.answers, strict=True)):
        offset = 0.12 * (2 * number - len(comparison.answers) + 1)
        places = [place + offset for place in range(len(phrases))]
        color = f"C{number}"
        for place, phrase in zip(places, phrases, strict=True):
            values = [one.dice for one in answers if one.phrase == phrase and one.dice is not None]
            axis.plot(values, [place] * len(values), "|", color=color, alpha=0.5)
        means = {row.phrase: row.dice for row in agreement.rows}
        known = [(place, means[p].value) for place, p in zip(places, phrases, strict=True) if means.get(p)]
        if known:
            axis.plot([value for _, value in known], [place for place, _ in known], "D", color=color, ms=5,
                      label=agreement.model)  # fmt: skip
    axis.set(xlim=(-0.02, 1.02), xlabel="Dice (a line a question, diamond: mean)")
    axis.set_yticks(range(len(phrases)), phrases)
    axis.set_ylim(len(phrases) - 0.5, -0.5)
    axis.legend(fontsize=8, loc="lower left")
    return _png(figure)


def _reliability_plot(agreements: Sequence[Agreement]) -> str:
    figure, axis = _figure(4.4, 4.2)
    axis.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for number, agreement in enumerate(agreements):
        if agreement.calibration is None:
            continue
        bins = agreement.calibration.bins
        said = [one.confidence for one in bins]
        axis.plot(said, [one.iou for one in bins], "o-", color=f"C{number}", label=f"{agreement.model}: IoU")
        axis.plot(
            said, [one.right for one in bins], "s--", color=f"C{number}", alpha=0.6, label=f"{agreement.model}: right"
        )
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="mean IoU, and share right (IoU >= 0.5)")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8)
    return _png(figure)


def _figures_plot(comparison: Comparison) -> str:
    lines = comparison.figure_lines
    figure, axis = _figure(7.0, 1.0 + 0.34 * len(lines))
    for number, agreement in enumerate(comparison.agreements):
        offset = 0.12 * (2 * number - len(comparison.agreements) + 1)
        known = [(place + offset, own[number].estimate) for place, (_, _, own, _) in enumerate(lines) if own[number]]
        for place, one in known:
            if one.low is not None:
                axis.plot([one.low, one.high], [place, place], "-", color=f"C{number}", alpha=0.6)
        axis.plot([one.value for _, one in known], [place for place, _ in known], "D", color=f"C{number}", ms=4,
                  label=agreement.model)  # fmt: skip
    axis.set(xlim=(-0.02, 1.02), xlabel="diamond: the figure, line: 95 % interval")
    axis.set_yticks(range(len(lines)), [name for _, name, _, _ in lines], fontsize=8)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.grid(axis="y", alpha=0.2)
    axis.legend(fontsize=8, loc="lower left")
    return _png(figure)


def _scatter_plot(comparison: Comparison) -> str:
    first = {(one.case, one.place, one.phrase): one.dice for one in comparison.answers[0]}
    pairs = [(first.get((b.case, b.place, b.phrase)), b.dice) for b in comparison.answers[1] if b.dice is not None]
    pairs = [(a, b) for a, b in pairs if a is not None]
    figure, axis = _figure(4.4, 4.2)
    axis.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    axis.plot([a for a, _ in pairs], [b for _, b in pairs], ".", alpha=0.6)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=f"A: {comparison.agreements[0].model}",
             ylabel=f"B: {comparison.agreements[1].model}")  # fmt: skip
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> str:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
