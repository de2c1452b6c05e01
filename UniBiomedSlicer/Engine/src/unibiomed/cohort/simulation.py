# SPDX-License-Identifier: Apache-2.0
"""What a review order is worth: corrections needed until the cohort's mean Dice reaches a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gain:
    """How many corrections an order spares against random order: ratio of means with a 95 % bootstrap interval.

    ``needed`` and ``needed_random`` are corrections; a ratio above 1 means that the order is better.
    """

    needed: float
    needed_random: float
    ratio: float
    low: float
    high: float


def corrections_needed(dice: Sequence[float], order: Sequence[int], goal: float) -> int:
    """How many cases, corrected in ``order``, bring the mean of ``dice`` to ``goal``; a corrected case counts as 1.

    ``len(dice)`` is the answer at most, since a wholly corrected cohort has a mean of 1; ``goal`` is at most 1.
    """
    values = np.asarray(dice, dtype=float)
    missing = goal * len(values) - values.sum()
    gained = np.cumsum(1.0 - values[np.asarray(order, dtype=int)])
    enough = np.flatnonzero(gained >= missing - 1e-9)
    return 0 if missing <= 1e-9 else int(enough[0]) + 1 if enough.size else len(values)


def queue_gain(
    dice: Sequence[float], priority: Sequence[float], goal: float, *, resamples: int = 1000, seed: int = 0
) -> Gain:
    """The gain of correcting in the order of falling ``priority``.

    Each bootstrap sample draws cases with replacement, orders them by priority and, against it, at random.
    """
    values, ranks = np.asarray(dice, dtype=float), np.asarray(priority, dtype=float)
    rng = np.random.default_rng(seed)
    needed = np.empty((resamples, 2))
    for row in range(resamples):
        drawn = rng.integers(0, len(values), len(values))
        # Equal priorities must not profit from the order in which the cases happen to stand.
        shuffled = rng.permutation(len(drawn))
        by_priority = shuffled[np.argsort(-ranks[drawn][shuffled], kind="stable")]
        needed[row, 0] = corrections_needed(values[drawn], by_priority, goal)
        needed[row, 1] = corrections_needed(values[drawn], rng.permutation(len(drawn)), goal)
    ratios = (needed[:, 1] + 1.0) / (needed[:, 0] + 1.0)
    low, high = np.quantile(ratios, (0.025, 0.975))
    means = needed.mean(0)
    return Gain(float(means[0]), float(means[1]), float((means[1] + 1) / (means[0] + 1)), float(low), float(high))
