# SPDX-License-Identifier: Apache-2.0
"""``unibiomed evaluate --data`` and ``--catalogue``: one or two models against what reviewers left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unibiomed.cli.opening import check_folder, open_model
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from unibiomed.evaluation.agreement import Answer
    from unibiomed.evaluation.agreement_page import Comparison

_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


def agreement_command(
    data: Path | None,
    catalogue: Path | None,
    split: str | None,
    models: list[str],
    tolerance: float,
    output: Path,
    device: str,
    dtype: str,
    terminal: Terminal,
) -> None:
    """Measure ``models`` (one, or A and B) on an export or a catalogue, and write page and data to ``output``."""
    if data is not None and catalogue is not None:
        raise InputError("Give --data or --catalogue, not both.")
    if split is not None and split not in _SPLITS:
        raise InputError(f"There is no split {split[:40]!r}; choose train, validation or test.")
    check_folder(output)
    try:
        from unibiomed.evaluation.agreement import compare, summarise
        from unibiomed.evaluation.agreement_page import Comparison, save
    except ModuleNotFoundError as error:
        raise InputError(f"Evaluation needs {error.name}; install it: pip install 'unibiomed[evaluation]'.") from error
    answers: list[tuple[Answer, ...]] = []
    names: list[str] = []
    for number, name in enumerate(models):
        model = open_model(name, device, dtype, terminal)
        # Two models may say the same of themselves; then the names that the user gave tell them apart.
        names.append(name if model.info.name in names else model.info.name)
        with terminal.working("pictures" if data else "cases") as work:
            asked = {
                "progress": work.progress,
                "cancelled": work.cancelled,
                "stage": "AB"[number] if models[1:] else "Asking",
            }
            answers.append(tuple(_ask(model, data, catalogue, split, tolerance, asked)))
    settings = {
        "data": str((data or catalogue).resolve().name),
        "split": split or ("test" if data else "all reviewed"),
        "unit": "pixels" if data else "mm",
        "tolerance": f"{tolerance:g} {'pixels' if data else 'mm'}",
        "questions": len(answers[0]),
    }
    comparison = Comparison(
        tuple(summarise(name, some) for name, some in zip(names, answers, strict=True)),
        tuple(answers),
        compare(*answers) if len(answers) == 2 else (),
        settings,
    )
    page, file = save(comparison, output)
    terminal.show(comparison.to_json(), *_tables(comparison))
    terminal.note(f"Written: {page}, {file}")


def _ask(
    model: Any,
    data: Path | None,
    catalogue: Path | None,
    split: str | None,
    tolerance: float,
    asked: dict[str, Callable[..., Any] | str],
) -> list[Answer]:
    if data is not None:
        from unibiomed.evaluation.exported import ask_export

        return ask_export(model, data, _SPLITS[split or "test"], tolerance, **asked)
    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.measure import ask_catalogue

    with Catalogue(catalogue) as opened:
        return ask_catalogue(model, opened, tolerance, split={"val": "validation"}.get(split, split), **asked)


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
    worst = Table("case", "Dice", "worst", "false positives", title=f"{comparison.agreements[0].model}: worst cases")
    for line in comparison.agreements[0].cases[:10]:
        dice = "" if line.dice is None else f"{line.dice:.3f}"
        worst.add_row(line.case, dice, line.worst, str(line.false_positives))
    return [*tables, worst]
