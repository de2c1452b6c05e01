# SPDX-License-Identifier: Apache-2.0
"""One pair of presence thresholds, the least object score and predicted IoU, from scored answers.

The pair that gives the best Dice as the user gets it (a rejected target scores 0) among those that let at most so many
of the absent targets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.errors import InputError
from unibiomed.phantoms.base import Kind

MAX_FALSE_POSITIVES = 0.03
ENOUGH = 20
CANDIDATES = 25
#: Dice given away for fewer false positives: differences below it are noise of the sample.
TOLERANCE = 0.003


@dataclass(frozen=True)
class Sample:
    """One answer to a segmentation prompt; ``dice`` is None where the target is absent. No mask: scores are -inf."""

    phrase: str
    modality: str
    kind: Kind
    object_score: float
    iou: float
    token_logprob: float | None
    dice: float | None


@dataclass(frozen=True)
class Pair:
    """Fitted thresholds with what they give on the samples they were fitted on."""

    object_score: float
    iou: float
    dice: float
    false_positives: float
    present: int
    absent: int


def enough(group: Sequence[Sample]) -> bool:
    """Whether there are present and absent targets enough to fit a pair on."""
    present = sum(sample.dice is not None for sample in group)
    return present >= ENOUGH and len(group) - present >= ENOUGH


def fit_pair(samples: Sequence[Sample], max_false_positives: float) -> Pair:
    """One pair of thresholds for all ``samples``; ``InputError`` when present or absent targets are missing."""
    scores = np.array([sample.object_score for sample in samples])
    ious = np.array([sample.iou for sample in samples])
    present = np.array([sample.dice is not None for sample in samples])
    if not present.any() or present.all():
        raise InputError("The presence gate cannot be fitted: both present and absent targets are needed.")
    gain = np.array([sample.dice or 0.0 for sample in samples])
    grid = [(score, least) for score in _candidates(scores, present) for least in _candidates(ious, present)]
    shown = [(scores >= score) & (ious >= least) for score, least in grid]
    dices = np.array([(gain * one)[present].mean() for one in shown])
    wrong = np.array([one[~present].mean() for one in shown])
    allowed = np.flatnonzero(wrong <= max_false_positives)
    if not allowed.size:
        allowed = np.flatnonzero(wrong == wrong.min())
    good = allowed[dices[allowed] >= dices[allowed].max() - TOLERANCE]
    # Of equally good pairs: fewest false positives, then the one nearest to SAM 2's own boundary.
    best = min(good, key=lambda index: (wrong[index], abs(grid[index][0]), grid[index][1]))
    score, least = grid[best]
    counts = int(present.sum()), int((~present).sum())
    return Pair(float(score), float(least), float(dices[best]), float(wrong[best]), *counts)


def _candidates(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """0, and values between the scores where the two kinds meet: the low end of present, the high end of absent."""
    known = np.isfinite(values)
    ends = [
        np.quantile(some, np.linspace(low, high, CANDIDATES))
        for some, low, high in ((values[known & present], 0.0, 0.3), (values[known & ~present], 0.8, 1.0))
        if some.size
    ]
    meeting = np.unique(np.concatenate([[0.0], *ends]))
    return np.unique(np.concatenate([[0.0], meeting[:1], (meeting[1:] + meeting[:-1]) / 2]))
