# SPDX-License-Identifier: Apache-2.0
"""A figure with its 95 % confidence interval.

Every figure here is a ratio of sums over images (a mean of Dice values, right answers of all answers, 2 TP of
2 TP + FP + FN). The images are what was drawn at random, not the questions about them, so the bootstrap
(``scipy.stats.bootstrap``, percentile) draws images. Where all answers are right, or all wrong, a bootstrap knows no
spread; then the Wilson interval of the count is given, in which the number of questions still shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """``value`` with its confidence interval; ``n`` counts the questions, ``images`` the images they are about."""

    value: float
    low: float
    high: float
    n: int
    images: int


def ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> Interval | None:
    """Sum of ``numerators`` over sum of ``denominators`` (one of each an image); None where nothing was asked."""
    above = np.asarray(numerators, dtype=float)
    below = np.asarray(denominators, dtype=float)
    asked = below > 0
    above, below = above[asked], below[asked]
    images = len(below)
    if images == 0:
        return None
    # Sums of perfect scores may exceed their number by a rounding error.
    value = round(float(above.sum() / below.sum()), 12)
    count = round(float(below.sum()))
    if value in (0.0, 1.0):
        wilson = stats.binomtest(round(value * count), count).proportion_ci(LEVEL, method="wilson")
        return Interval(value, float(wilson.low), float(wilson.high), count, images)
    if images == 1:
        return Interval(value, 0.0, 1.0, count, images)
    drawn = stats.bootstrap(
        (above, below),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, min(value, float(drawn.low)), max(value, float(drawn.high)), count, images)
