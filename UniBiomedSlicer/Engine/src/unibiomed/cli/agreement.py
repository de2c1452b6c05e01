# SPDX-License-Identifier: Apache-2.0
"""``unibiomed evaluate --data`` and ``--catalogue``: one or two models against what reviewers left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unibiomed.cli.opening import check_folder, open_model
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from unibiomed.evaluation.agreement_page import Comparison
    from unibiomed.evaluation.exported import Asked
    from unibiomed.evaluation.reviewed.cases import ReviewedSet
    from unibiomed.tasks.catalogue import Catalogue

_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: on which data, which ``split``, of which ``models``, which ``tasks`` (None: all)."""

    data: Path | None
    catalogue: Path | None
    split: str | None
    models: list[str]
    tasks: list[str] | None
    tolerance: float
    pictures: int


def agreement_command(wanted: Wanted, output: Path, device: str, dtype: str, terminal: Terminal) -> None:
    """Measure one model, or A and B, on an export or a catalogue, and write page, data and table to ``output``."""
    if wanted.data is not None and wanted.catalogue is not None:
        raise InputError("Give --data or --catalogue, not both.")
    if wanted.split is not None and wanted.split not in _SPLITS:
        raise InputError(f"There is no split {wanted.split[:40]!r}; choose train, validation or test.")
    check_folder(output)
    from unibiomed.evaluation.agreement_page import save
    from unibiomed.evaluation.comparison import comparison_of
    from unibiomed.evaluation.exported import TASKS, ask, known_targets, unknown_to

    tasks = tuple(dict.fromkeys(wanted.tasks or TASKS))
    for task in tasks:
        if task not in TASKS:
            raise InputError(f"There is no task {task[:40]!r} to measure on reviewed cases; use {', '.join(TASKS)}.")
    # What is wrong with the data is told before a model is loaded.
    known = known_targets()
    reviewed = _read(wanted, known)
    asked: dict[str, Asked] = {}
    unknown: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(wanted.models):
        model = open_model(name, device, dtype, terminal)
        if number == 0:
            known = known_targets(model)
            reviewed = _read(wanted, known)
        # Two models may say the same of themselves; then the names that the user gave tell them apart, if they can.
        shown = next(word for word in (model.info.name, name, f"{name} (B)") if word not in asked)
        with terminal.working("cases") as work:
            asked[shown] = ask(
                model,
                reviewed,
                known,
                wanted.tolerance,
                tasks=tasks,
                pictures=wanted.pictures,
                progress=work.progress,
                cancelled=work.cancelled,
                stage="AB"[number] if wanted.models[1:] else "Asking",
            )
        unknown[shown] = unknown_to(model, reviewed.cases) if "segment" in tasks and not reviewed.flat else ()
    settings = {
        "data": str((wanted.data or wanted.catalogue).resolve().name),
        "format": reviewed.kind,
        "split": wanted.split or ("test" if wanted.data else "all reviewed"),
        "cases": len(reviewed.cases),
        "unit": reviewed.unit,
        "tolerance": f"{wanted.tolerance:g} {reviewed.unit}",
        "questions": len(next(iter(asked.values())).answers),
        "pictures a case asked in words": f"at most {wanted.pictures}",
    }
    comparison = comparison_of(asked, reviewed, known, tasks, settings, unknown)
    paths = save(comparison, output)
    terminal.show(comparison.to_json(), *_tables(comparison))
    for figures, reason in comparison.unmeasured:
        terminal.note(f"Not measured: {figures}: {reason}.")
    terminal.note(f"Written: {', '.join(str(path) for path in paths)}")


def _read(wanted: Wanted, known: Catalogue) -> ReviewedSet:
    if wanted.data is not None:
        from unibiomed.evaluation.reviewed.formats import read_export

        return read_export(wanted.data, _SPLITS[wanted.split or "test"], known)
    from unibiomed.cohort.catalogue import Catalogue as CohortCatalogue
    from unibiomed.cohort.measure import reviewed_set

    with CohortCatalogue(wanted.catalogue) as opened:
        return reviewed_set(opened, split=_SPLITS[wanted.split] if wanted.split else None)


def _tables(comparison: Comparison) -> list[Table]:
    from rich.table import Table

    from unibiomed.evaluation.agreement_page import told, told_pair

    unit, tables = comparison.settings["unit"], []
    for agreement in comparison.agreements:
        table = Table(
            "phrase", "there", "missed", "Dice", f"NSD at {comparison.settings['tolerance']}", f"HD95, {unit}",
            "not there", "false positives", title=agreement.model,
        )  # fmt: skip
        for row in (agreement.overall, *agreement.rows):
            table.add_row(
                row.phrase, str(row.present), str(row.missed), told(row.dice), told(row.nsd), told(row.hd95, 1),
                str(row.absent), told(row.false_positives),
            )  # fmt: skip
        tables.append(table)
    if comparison.differences:
        table = Table("phrase", "Dice", "NSD", f"HD95, {unit}", "false positives", title="B minus A")
        for one in comparison.differences:
            pairs = (one.dice, one.nsd, one.hd95, one.false_positives)
            table.add_row(one.phrase, *(told_pair(pair) for pair in pairs))
        tables.append(table)
    if comparison.figure_lines:
        names = [agreement.model for agreement in comparison.agreements]
        last = ["B minus A"] if comparison.figure_differences else []
        table = Table("figure", *names, *last, title="Recognition, reports, questions, regions, calibration")
        for _, name, figures, difference in comparison.figure_lines:
            cells = [told(one.estimate) if one else "" for one in figures]
            table.add_row(name, *cells, *([told_pair(difference.paired) if difference else ""] if last else []))
        tables.append(table)
    worst = Table(
        "case", "Dice", "worst", "false positives", "answers right",
        title=f"{comparison.agreements[0].model}: worst cases",
    )  # fmt: skip
    for case, _, models in comparison.case_lines[:10]:
        line, right = models[0]
        dice = "" if line is None or line.dice is None else f"{line.dice:.3f}"
        worst.add_row(case, dice, line.worst if line else "", str(line.false_positives) if line else "", right)
    return [*tables, worst]
