# SPDX-License-Identifier: Apache-2.0
"""What a catalogue knows of one case: where it stands, what the model left, what a reviewer decided."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unibiomed.cohort.cases import Case
from unibiomed.cohort.reading import Reading

State = Literal["waiting", "running", "done", "failed"]
Verdict = Literal["accepted", "corrected", "rejected"]
VERDICTS: tuple[Verdict, ...] = ("accepted", "corrected", "rejected")


@dataclass(frozen=True)
class Decision:
    """What a reviewer decided; ``folder`` (relative to the catalogue's) holds the corrected files."""

    number: int
    case_id: str
    verdict: Verdict
    reviewer: str
    at: float
    folder: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a finished case leaves in the catalogue; ``disagreement`` and ``embedding`` where they were computed.

    ``reading`` is missing in catalogues from before it was kept.
    """

    seconds: float
    model: str
    weights_sha256: str
    prompts: tuple[str, ...]
    confidence: float
    segments: int
    disagreement: float | None = None
    embedding: np.ndarray | None = None
    reading: Reading | None = None


@dataclass(frozen=True)
class Record:
    """A case with all that is known of it; times are seconds since the epoch."""

    case: Case
    state: State
    attempts: int
    reason: str
    finished: float | None
    outcome: Outcome | None
    decision: Decision | None = None


def record_of(row: tuple[Any, ...]) -> Record:
    """The record in a row of the catalogue, without the decision that stands."""
    case = Case(*row[:5])
    state, attempts, reason, finished = row[5:9]
    seconds, model, weights, prompts, confidence, segments, disagreement, vector, reading = row[9:]
    outcome = None
    if state == "done":
        embedding = None if vector is None else np.frombuffer(vector, dtype="<f4")
        outcome = Outcome(
            seconds, model, weights, tuple(json.loads(prompts)), confidence, segments, disagreement, embedding,
            Reading.from_text(reading),
        )  # fmt: skip
    return Record(case, state, attempts, reason, finished, outcome)
