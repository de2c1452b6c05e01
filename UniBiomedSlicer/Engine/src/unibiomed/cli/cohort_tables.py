# SPDX-License-Identifier: Apache-2.0
"""What ``annotate`` prints of a cohort: the plan case by case, the cases done, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.plan import Plan
    from unibiomed.cohort.preview import Planned
    from unibiomed.cohort.tally import Tally

#: Rows of a table on a terminal; ``--json`` has them all.
MOST_ROWS = 500


def plan_json(plan: Plan, rows: Sequence[Planned], warnings: Sequence[str], left_out: dict[str, int]) -> dict[str, Any]:
    """The plan case by case."""
    return {
        "plan": plan.model_dump(mode="json"),
        "plan_sha256": plan.sha256,
        "warnings": list(warnings),
        "left_out": left_out,
        "cases": [
            {"id": row.case.id, "path": row.case.path, "rule": row.rule, "modality": row.modality, "site": row.site,
             "window": row.window, "targets": list(row.targets), "problem": row.problem}
            for row in rows
        ],
    }  # fmt: skip


def plan_table(plan: Plan, rows: Sequence[Planned]) -> Table:
    """A row a case: which rule, and what follows from it."""
    table = Table("case", "rule", "modality", "site", "window", "targets", caption=_more(len(rows)))
    for row in rows[:MOST_ROWS]:
        rule = "" if row.rule is None else f"{row.rule} ({plan.rules[row.rule - 1].match})"
        free = not row.problem and row.modality is None and not row.targets
        modality = row.modality or ("from the picture" if free else "?" if row.problem else "by target")
        targets = ", ".join(row.targets) or "prompt-free"
        table.add_row(row.case.path, rule, modality, row.site or "", row.window or "", targets)
    return table


def summary_json(catalogue: Catalogue, found: Tally, warnings: Sequence[str]) -> dict[str, Any]:
    """Every case with its state, and the counts."""
    return {
        "catalogue": str(catalogue.folder),
        "counts": catalogue.counts(),
        "warnings": list(warnings),
        "tally": found.to_json(),
        "cases": [_case(record) for record in catalogue.records()],
    }


def _case(record: Any) -> dict[str, Any]:
    outcome = record.outcome
    reading = outcome.reading if outcome else None
    return {
        "id": record.case.id,
        "state": record.state,
        "reason": record.reason,
        "seconds": outcome.seconds if outcome else None,
        "segments": outcome.segments if outcome else None,
        "confidence": outcome.confidence if outcome else None,
        "modality": reading.modality if reading else None,
        "site": reading.site if reading else None,
        "window": reading.window if reading else None,
        "rule": reading.rule if reading else None,
        "findings": None if reading is None or reading.findings is None else [name for name, _ in reading.findings],
        "left_out": list(reading.left_out) if reading else [],
    }


def case_table(catalogue: Catalogue) -> Table:
    """A row a case: state, modality, what was found, how sure, how long, why not."""
    records = list(catalogue.records())
    table = Table("case", "state", "modality", "segments", "findings", "confidence", "seconds", "why not")
    table.caption = _more(len(records))
    for record in records[:MOST_ROWS]:
        case = _case(record)
        shown = [""] * 5
        if record.outcome:
            findings = case["findings"]
            named = "" if findings is None else ", ".join(dict.fromkeys(findings)) or "none"
            shown = [case["modality"] or "", f"{case['segments']}", named, f"{case['confidence']:.2f}"]
            shown.append(f"{case['seconds']:.1f}")
        table.add_row(record.case.id, record.state, *shown, record.reason or " ".join(case["left_out"]))
    return table


def finding_tables(found: Tally) -> list[Table]:
    """By modality, and by finding; nothing for a cohort without prompt-free cases."""
    if not found.free:
        return []
    modalities = Table("modality", "cases", "abnormal", "seconds a case")
    for name, item in found.modalities.items():
        abnormal = f"{item.abnormal} of {item.free}" if item.free else ""
        modalities.add_row(name, f"{item.cases}", abnormal, f"{item.mean_seconds:.1f}")
    findings = Table("finding", "cases", "of prompt-free", "mean confidence")
    for name, item in found.findings.items():
        findings.add_row(name, f"{item.cases}", f"{item.cases / found.free:.0%}", f"{item.mean_confidence:.2f}")
    return [modalities, findings] if found.findings else [modalities]


def _more(count: int) -> str | None:
    return f"and {count - MOST_ROWS} more; --json lists all" if count > MOST_ROWS else None
