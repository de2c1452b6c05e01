# SPDX-License-Identifier: Apache-2.0
"""A segmentation of a volume against its truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unibiomed.errors import InputError
from unibiomed.evaluation.mask_metrics import NSD_TOLERANCE_MM, MaskScores, mask_scores
from unibiomed.volumes.masks import BoxMask


def evaluate_volume(
    segmentation: Mapping[str, np.ndarray | BoxMask],
    truth: Mapping[str, np.ndarray],
    spacing: Sequence[float],
    tolerance_mm: float = NSD_TOLERANCE_MM,
) -> dict[str, MaskScores]:
    """Scores of every target in ``truth``; one that ``segmentation`` lacks counts as found empty.

    Masks are bool ``[k, j, i]`` of one shape (or boxes in it); ``spacing`` is (i, j, k) in mm, as ``Volume.spacing``.
    """
    along_axes = tuple(reversed(tuple(spacing)))
    scores = {}
    for target, expected in truth.items():
        if expected.ndim != 3:
            raise InputError(f"The truth of {target!r} has {expected.ndim} axes; a volume mask has three.")
        found = segmentation.get(target)
        full = found.to_full(expected.shape) if isinstance(found, BoxMask) else found
        prediction = np.zeros(expected.shape, bool) if full is None else np.asarray(full, bool)
        scores[target] = mask_scores(prediction, np.asarray(expected, bool), along_axes, tolerance_mm)
    return scores
