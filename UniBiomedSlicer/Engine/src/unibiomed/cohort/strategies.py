# SPDX-License-Identifier: Apache-2.0
"""Which case a reviewer should see next: named strategies, each a function from the catalogue's records to an order.

A strategy gets all records that are done, those that were decided on as well, and orders the ones that were not. What
one is worth is measured, not assumed: ``simulation.corrections_needed``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.records import Record
from unibiomed.errors import InputError

Strategy = Callable[[Sequence[Record]], list[Record]]

#: As many as nobody reviews before the order is asked for again.
GREEDY = 500


def least_confident(records: Sequence[Record]) -> list[Record]:
    """The case whose least certain segment is the least certain of all comes first."""
    return sorted(_open(records), key=lambda record: (record.outcome.confidence, record.case.id))


def most_disagreement(records: Sequence[Record]) -> list[Record]:
    """The case whose slice-by-slice and propagated masks differ most comes first; unmeasured ones come last."""
    return sorted(_open(records), key=lambda record: (-_disagreement(record), record.case.id))


def most_different(records: Sequence[Record]) -> list[Record]:
    """Farthest first: the case least like all that were reviewed or come before it (k-centre, greedily).

    Likeness is the cosine of the embeddings. With nothing reviewed the most typical case comes first. Cases without an
    embedding come last. The first ``GREEDY`` are chosen so, one pass over all cases each; the others follow by their
    distance from those, so that a million cases can be ordered.
    """
    waiting = [record for record in _open(records) if record.outcome.embedding is not None]
    rest = [record for record in _open(records) if record.outcome.embedding is None]
    seen = [r.outcome.embedding for r in records if r.decision and r.outcome and r.outcome.embedding is not None]
    if not waiting:
        return rest
    vectors = np.stack([record.outcome.embedding for record in waiting]).astype(np.float64)
    order: list[int] = []
    if seen:
        distance = 1.0 - (vectors @ np.stack(seen).astype(np.float64).T).max(1)
    else:
        typical = int(np.argmax(vectors @ vectors.mean(0)))
        order.append(typical)
        distance = 1.0 - vectors @ vectors[typical]
    distance[order] = -np.inf
    while len(order) < min(len(waiting), GREEDY):
        farthest = int(np.argmax(distance))
        order.append(farthest)
        distance = np.minimum(distance, 1.0 - vectors @ vectors[farthest])
        distance[farthest] = -np.inf
    others = np.argsort(-distance, kind="stable")[: len(waiting) - len(order)]
    return [waiting[index] for index in (*order, *others.tolist())] + rest


def at_random(records: Sequence[Record]) -> list[Record]:
    """An order that has nothing to do with the cases, and is the same each time it is asked for."""
    return sorted(_open(records), key=lambda record: hashlib.sha256(record.case.id.encode()).digest())


STRATEGIES: dict[str, Strategy] = {
    "least-confident": least_confident,
    "most-disagreement": most_disagreement,
    "most-different": most_different,
    "random": at_random,
}


def ordered(catalogue: Catalogue, strategy: str) -> list[Record]:
    """The cases to be reviewed, next one first. InputError for an unknown strategy, which lists the known ones."""
    if strategy not in STRATEGIES:
        raise InputError(f"There is no strategy {strategy[:40]!r}; choose one of {', '.join(STRATEGIES)}.")
    found = catalogue.records(embeddings=STRATEGIES[strategy] is most_different)
    return STRATEGIES[strategy]([record for record in found if record.state == "done"])


def _open(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.outcome is not None and record.decision is None]


def _disagreement(record: Record) -> float:
    value = record.outcome.disagreement if record.outcome else None
    return -1.0 if value is None else value
