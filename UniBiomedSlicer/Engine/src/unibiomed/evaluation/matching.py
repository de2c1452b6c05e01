# SPDX-License-Identifier: Apache-2.0
"""Grounded phrases of an answer against those of the truth.

A phrase counts when its words equal the truth's and its mask covers the truth's with IoU >= 0.5; pairs are chosen so
that as many as possible count (Hungarian method, ``scipy.optimize.linear_sum_assignment``). "No findings" has nothing
to outline: it counts by its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from unibiomed.evaluation.mask_metrics import iou

IOU_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class GroundedPhrase:
    """Words and the bool mask ``(H, W)`` that they speak of; ``mask`` None: there is nothing to outline."""

    words: str
    mask: np.ndarray | None


@dataclass(frozen=True)
class Matches:
    """Counts of one answer."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def f1_parts(self) -> tuple[float, float]:
        """Numerator and denominator of F1, so that F1 over many answers is the ratio of their sums."""
        both = 2 * self.true_positives
        return float(both), float(both + self.false_positives + self.false_negatives)


def match_phrases(
    predicted: Sequence[GroundedPhrase], truth: Sequence[GroundedPhrase], threshold: float = IOU_THRESHOLD
) -> Matches:
    """Pair predicted phrases with true ones and count."""
    hits = 0
    if predicted and truth:
        fit = np.array([[_fit(ours, theirs, threshold) for theirs in truth] for ours in predicted])
        rows, columns = linear_sum_assignment(fit, maximize=True)
        hits = int((fit[rows, columns] > 0).sum())
    return Matches(hits, len(predicted) - hits, len(truth) - hits)


def _fit(ours: GroundedPhrase, theirs: GroundedPhrase, threshold: float) -> float:
    """1 + IoU for a pair that counts (more pairs first, then the better ones), else 0."""
    if ours.words.strip().lower() != theirs.words.strip().lower():
        return 0.0
    if theirs.mask is None:
        return 2.0
    if ours.mask is None:
        return 0.0
    overlap = iou(ours.mask, theirs.mask)
    # IoU comes from Dice by a division: exactly one half must not fail by a rounding.
    return 1.0 + overlap if overlap >= threshold - 1e-9 else 0.0
