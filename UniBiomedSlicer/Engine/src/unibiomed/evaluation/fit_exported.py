# SPDX-License-Identifier: Apache-2.0
"""Presence thresholds of a fine-tuned model, for the phrases that it learned from an export.

A model that has just been trained scores otherwise than before, and of a new structure nothing is known: with the
thresholds of the model that it came from, a good mask may be thrown away. They are fitted on pictures that the
reviewer has seen: the held-out ones first, since those trained on look better than others would.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unibiomed.evaluation.mask_metrics import dice
from unibiomed.evaluation.presence_pair import MAX_FALSE_POSITIVES, Pair, Sample, enough, fit_pair
from unibiomed.tasks.presence import Thresholds, observe
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.templates import segment_prompt
from unibiomed.training.exported_data import ExportedPictures

_PICTURES = 40
_QUESTIONS = 6
#: Of the targets that are there, so many may be lost where no absent one says what a score is worth.
_LOST = 0.02


def fit_exported(
    model: Model, folder: Path, *, seed: int = 0, cancelled: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """The ``presence`` entry for ``model`` after it learned from the export in ``folder``; None if cancelled.

    What the model has for phrases that are not in the export stays. A phrase with enough present and absent pictures
    gets thresholds as ``fit_presence`` fits them, else those of all phrases together; where nothing is ever absent,
    thresholds are lowered until nearly all of what is there passes, and never raised.
    """
    samples = _asked(model, folder, seed, cancelled)
    if samples is None:
        return None
    given = dict(model.info.presence or {})
    per_target = dict(given.get("per_target") or {})
    by_phrase: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_phrase[sample.phrase].append(sample)
    for phrase, own in by_phrase.items():
        fitted = _pair(own) or _pair(samples)
        limits = Thresholds.of(model, phrase)
        score, least = (fitted.object_score, fitted.iou) if fitted else _lowered(own, limits)
        per_target[phrase] = {"object_score": round(score, 4), "iou": round(least, 4)}
    return {**given, "per_target": per_target}


def _asked(model: Model, folder: Path, seed: int, cancelled: Callable[[], bool]) -> list[Sample] | None:
    samples: list[Sample] = []
    rng = np.random.default_rng(seed)
    left = _PICTURES
    trained_on = ExportedPictures(folder, "train")
    # An export need not have a held-out split.
    held_out = [ExportedPictures(folder, "val")] if (folder / "val.json").is_file() else []
    for data in (*held_out, trained_on):
        for place in rng.permutation(len(data.pictures))[:left]:
            if cancelled():
                return None
            picture = data.pictures[place]
            asked = [str(phrase) for phrase in rng.permutation(trained_on.phrases)[:_QUESTIONS]]
            image = data.image(picture)
            found = model.predict_batch([image] * len(asked), [segment_prompt(phrase) for phrase in asked])
            for phrase, prediction in zip(asked, found, strict=True):
                truth = data.mask(picture, phrase)
                samples.append(_scored(phrase, prediction, truth))
        left -= min(left, len(data.pictures))
    return samples


def _scored(phrase: str, prediction: Any, truth: np.ndarray) -> Sample:
    there = bool(truth.any())
    if not len(prediction.masks):
        return Sample(phrase, "", "anatomy", -math.inf, -math.inf, None, 0.0 if there else None)
    seen = observe(prediction, 0, 0)
    empty = not seen.mask.any()
    score, least = (-math.inf, -math.inf) if empty else (seen.object_score, seen.iou)
    return Sample(phrase, "", "anatomy", score, least, None, dice(seen.mask, truth) if there else None)


def _pair(samples: Sequence[Sample]) -> Pair | None:
    return fit_pair(samples, MAX_FALSE_POSITIVES) if enough(samples) else None


def _lowered(samples: Sequence[Sample], limits: Thresholds) -> tuple[float, float]:
    there = [sample for sample in samples if sample.dice is not None and math.isfinite(sample.object_score)]
    if not there:
        return limits.object_score, limits.iou
    score = float(np.quantile([sample.object_score for sample in there], _LOST))
    least = float(np.quantile([sample.iou for sample in there], _LOST))
    return min(limits.object_score, score), min(limits.iou, least)
