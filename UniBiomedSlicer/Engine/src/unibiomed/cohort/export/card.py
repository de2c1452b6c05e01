# SPDX-License-Identifier: Apache-2.0
"""``DATA_CARD.md``: what an export holds, where it came from, and what it must not be used for."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from unibiomed import __version__
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.cohort.export.splits import SPLITS

CARD = "DATA_CARD.md"


def write_card(
    folder: Path,
    catalogue: Catalogue,
    samples: Sequence[Sample],
    kind: str,
    which: str,
    *,
    keep_identity: bool,
    shared: Mapping[str, int] | None = None,
) -> None:
    """Write the card of an export of ``kind`` into ``folder``; ``shared``: voxels in several segments, by case."""
    title = catalogue.cohort.name if keep_identity else "exported cohort"
    lines = [f"# Data card: {title}", "", "Made by a model and reviewed as said below. Not for clinical use.", ""]
    lines += _table(("", ""), _facts(catalogue, samples, kind, which, keep_identity))
    targets = Counter(segment.target for sample in one_by_one(samples) for segment in sample.segmentation.segments)
    lines += ["", "## Segments", "", *_table(("target", "segments"), sorted(targets.items()))]
    overlapping = [count for count in (shared or {}).values() if count]
    if overlapping:
        lines += [
            "",
            f"In {len(overlapping)} cases segments overlap ({sum(overlapping)} voxels in all). This format has one "
            "label a voxel: the smaller segment wins.",
        ]
    lines += ["", "## What to know", "", *_WARNINGS]
    if not keep_identity:
        lines.append("- File names and tables hold no names; the pixels were not searched for burnt-in text.")
        lines.append("- Report texts are as the model or the reviewer wrote them and were not searched for names.")
    (folder / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


_WARNINGS = (
    "- A segment that nobody corrected is the model's. Its errors are not random: they follow what it was trained on.",
    "- A target that is missing in a case was not found or not asked for; that does not prove that it is not there.",
)


def _facts(
    catalogue: Catalogue, samples: Sequence[Sample], kind: str, which: str, keep_identity: bool
) -> list[tuple[str, object]]:
    verdicts = Counter(s.record.decision.verdict if s.record.decision else "not reviewed" for s in samples)
    outcomes = [s.record.outcome for s in samples if s.record.outcome]
    return [
        ("format", kind),
        ("made", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d} by UniBiomed {__version__}"),
        ("cases", f"{len(samples)} ({which}): " + ", ".join(f"{n} {word}" for word, n in sorted(verdicts.items()))),
        ("reports", _reports(samples)),
        ("patients", len({s.patient for s in samples})),
        ("splits, by patient", ", ".join(_split(samples, split) for split in SPLITS)),
        ("modalities", ", ".join(sorted({s.modality for s in one_by_one(samples)}))),
        ("pre-annotated by", ", ".join(sorted({f"{o.model} ({o.weights_sha256[:12]})" for o in outcomes}))),
        ("asked for", ", ".join(catalogue.plan.all_targets) or "nothing: prompt-free"),
        ("identities", "kept" if keep_identity else "removed: running numbers instead of names"),
    ]


def _reports(samples: Sequence[Sample]) -> str:
    texts = corrected = 0
    for sample in one_by_one(samples):
        texts += bool(sample.text)
        corrected += sample.is_text_corrected
    return f"{texts} cases with a text, {corrected} of them corrected by a person"


def _split(samples: Sequence[Sample], split: str) -> str:
    found = [sample for sample in samples if sample.split == split]
    return f"{split} {len(found)} cases of {len({sample.patient for sample in found})} patients"


def _table(head: tuple[str, str], rows: Sequence[tuple[str, object]]) -> list[str]:
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
