# SPDX-License-Identifier: Apache-2.0
"""Which case gets what by a plan, before any hour is spent: from names and headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unibiomed.cohort.cases import Case
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.stated import dicom_word
from unibiomed.cohort.unsaid import unknown_modality


@dataclass(frozen=True)
class Planned:
    """One case: the number of its rule (None: the plan alone), what it gets, and why it would fail ("": it would not).

    ``modality`` is None where only the model will say it, or nobody does. That of DICOM is the header's code in words;
    reading adds the sequence of an MRI.
    """

    case: Case
    rule: int | None
    modality: str | None
    site: str | None
    window: str | None
    targets: tuple[str, ...]
    problem: str


def preview(plan: Plan, cases: Iterable[Case]) -> list[Planned]:
    """What each of ``cases`` gets; no image is read."""
    rows = []
    for case in cases:
        own = plan.of(case)
        rows.append(
            Planned(
                case,
                plan.rule_of(case),
                own.modality or dicom_word(case.dicom_modality),
                own.site,
                own.window,
                own.targets,
                unknown_modality(case, own),
            )
        )
    return rows


def warnings_of(plan: Plan, rows: Sequence[Planned]) -> list[str]:
    """One sentence for each rule that no case goes by, and one for the cases whose modality nobody says."""
    said = []
    used = Counter(row.rule for row in rows)
    for number, rule in enumerate(plan.rules, start=1):
        if used[number]:
            continue
        takers = sorted({row.rule for row in rows if row.rule is not None and rule.match.fits(row.case)})
        if takers:
            first = " and ".join(f"rule {taker}" for taker in takers)
            said.append(f"Rule {number} ({rule.match}) is never used: {first} before it takes its cases.")
        else:
            said.append(f"Rule {number} ({rule.match}) is never used: no case matches it.")
    if failing := [row for row in rows if row.problem]:
        others = f" So it is with {len(failing) - 1} more." if len(failing) > 1 else ""
        said.append(f"{len(failing)} of {len(rows)} cases would fail. {failing[0].problem}{others}")
    return said
