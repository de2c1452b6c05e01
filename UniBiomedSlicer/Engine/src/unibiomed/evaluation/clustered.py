# SPDX-License-Identifier: Apache-2.0
"""Means, differences and other statistics of values that belong to patients, with 95 % intervals.

Slices of one patient are alike, so the bootstrap draws patients, each with all of its values (percentile method).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from unibiomed.evaluation.statistics import LEVEL, RESAMPLES


@dataclass(frozen=True)
class Estimate:
    """``value`` of ``n`` values from ``patients``; ``low`` and ``high`` are None where one patient gives no spread."""

    value: float
    low: float | None
    high: float | None
    n: int
    patients: int


@dataclass(frozen=True)
class Paired:
    """B against A on the same questions: mean of B - A, and on how many B is higher, lower or equal.

    ``p_value``: Wilcoxon's signed-rank test on the patients' means, two-sided; None with fewer than six of them, where
    it could not fall below 0.05 at all.
    """

    difference: Estimate
    higher: int
    lower: int
    equal: int
    p_value: float | None


def clustered_mean(values: Sequence[float], patients: Sequence[str], seed: int = 0) -> Estimate | None:
    """Mean over all ``values``; None without any."""
    if not len(values):
        return None
    numbers = np.asarray(values, dtype=float)
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(group, weights=numbers, minlength=len(names))
    counts = np.bincount(group, minlength=len(names)).astype(float)
    low = high = None
    if len(names) > 1:
        drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
        means = sums[drawn].sum(1) / counts[drawn].sum(1)
        low, high = (float(bound) for bound in np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Estimate(float(numbers.mean()), low, high, len(numbers), len(names))


def clustered(
    statistic: Callable[[np.ndarray], float], count: int, patients: Sequence[str], seed: int = 0, resamples: int = 500
) -> Estimate | None:
    """Any ``statistic`` of the chosen ones of ``count`` values, given as an index array; None without values.

    Resamples in which it is not defined (nan) are left out.
    """
    if not count:
        return None
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    value = float(statistic(np.arange(count)))
    low = high = None
    if len(names) > 1 and np.isfinite(value):
        members = [np.flatnonzero(group == number) for number in range(len(names))]
        rng = np.random.default_rng(seed)
        found = np.array(
            [
                statistic(np.concatenate([members[one] for one in rng.integers(0, len(names), len(names))]))
                for _ in range(resamples)
            ]
        )
        found = found[np.isfinite(found)]
        if found.size:
            low, high = (float(bound) for bound in np.quantile(found, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    return Estimate(value, low, high, count, len(names))


def paired(a: Sequence[float], b: Sequence[float], patients: Sequence[str], seed: int = 0) -> Paired | None:
    """Compare ``b`` with ``a``, value by value; None without any."""
    change = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    difference = clustered_mean(change, patients, seed)
    if difference is None:
        return None
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    means = np.bincount(group, weights=change) / np.bincount(group)
    p_value = None
    if len(names) >= 6:
        # The test drops ties; with nothing but ties there is no difference to find.
        p_value = 1.0 if np.allclose(means, 0.0) else float(stats.wilcoxon(means).pvalue)
    same = np.isclose(change, 0.0, atol=1e-9)
    return Paired(difference, int((change[~same] > 0).sum()), int((change[~same] < 0).sum()), int(same.sum()), p_value)


def auroc(scores: np.ndarray, present: np.ndarray) -> float:
    """How often a present one scores higher than an absent one, ties counting half; nan without either kind."""
    count = int(present.sum()), int((~present).sum())
    if 0 in count:
        return float("nan")
    return float(stats.mannwhitneyu(scores[present], scores[~present]).statistic / (count[0] * count[1]))
