# SPDX-License-Identifier: Apache-2.0
"""Fits the presence gate of a model: the least object score and predicted IoU that count as "it is there".

The thresholds that give the best Dice as the user gets it (a rejected target scores 0) among those that let at most
``max_false_positives`` of the absent targets through. One pair for all, and where there are enough samples one for the
anatomy and one for the abnormalities of each modality: a small lesion scores otherwise than an organ. Fitted on seeds
of their own, neither trained on nor used in the evaluation.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unibiomed.errors import CheckpointError
from unibiomed.evaluation.mask_metrics import dice
from unibiomed.evaluation.phantoms import FITTING_SEED_BASE, Generate, Plan, ask
from unibiomed.evaluation.presence_pair import MAX_FALSE_POSITIVES, Pair, Sample, enough, fit_pair
from unibiomed.evaluation.questions import Amounts, Question
from unibiomed.model.manifest import update_record
from unibiomed.phantoms import generate
from unibiomed.phantoms.base import Kind
from unibiomed.tasks.presence import observe, seg_logprobs
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.volumes.atomic import atomic_path
from unibiomed.volumes.modalities import base_modality


@dataclass(frozen=True)
class PresenceFit:
    """The pair for all phrases, those of single groups ("CT abnormality"), and the phrases of each group."""

    overall: Pair
    by_group: dict[str, Pair]
    phrases: dict[str, tuple[str, ...]]
    seg_token_logprob: float

    def to_json(self) -> dict[str, Any]:
        """The ``presence`` entry of ``unibiomed.json``."""
        per_target = {
            phrase: {"object_score": round(pair.object_score, 4), "iou": round(pair.iou, 4)}
            for group, pair in self.by_group.items()
            for phrase in self.phrases[group]
        }
        return {
            "object_score": round(self.overall.object_score, 4),
            "iou": round(self.overall.iou, 4),
            "seg_token_logprob": round(self.seg_token_logprob, 4),
            "neighbour": 0.0,
            "per_target": per_target,
            "fitted": {
                name: {"present": pair.present, "absent": pair.absent, "dice": round(pair.dice, 4),
                       "false_positives": round(pair.false_positives, 4)}
                for name, pair in {"all": self.overall, **self.by_group}.items()
            },
        }  # fmt: skip


def collect(
    model: Model,
    modalities: Sequence[str],
    n_per_modality: int,
    seed_base: int = FITTING_SEED_BASE,
    *,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    draw: Generate = generate,
) -> list[Sample]:
    """The model's scores on present and absent targets of phantoms from ``seed_base`` on."""
    plan = Plan(tuple(modalities), n_per_modality, seed_base, tasks=("segment",), amounts=Amounts(absent=5, foreign=4))
    return [
        _sample(question, answer, model)
        for _, _, answers in ask(model, plan, progress=progress, cancelled=cancelled, draw=draw, stage="Fitting")
        for question, answer in answers
    ]


def fit_presence(samples: Sequence[Sample], max_false_positives: float = MAX_FALSE_POSITIVES) -> PresenceFit:
    """Thresholds for ``samples``; ``InputError`` when present or absent targets are missing among them."""
    groups: dict[tuple[str, Kind], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[base_modality(sample.modality), sample.kind].append(sample)
    by_group: dict[str, Pair] = {}
    phrases: dict[str, tuple[str, ...]] = {}
    for (modality, kind), group in sorted(groups.items()):
        whole = [sample for (word, _), some in groups.items() if word == modality for sample in some]
        fitted_on = next((some for some in (group, whole) if enough(some)), None)
        if fitted_on is not None:
            name = f"{modality} {kind}"
            by_group[name] = fit_pair(fitted_on, max_false_positives)
            phrases[name] = tuple(sorted({sample.phrase for sample in group}))
    return PresenceFit(fit_pair(samples, max_false_positives), by_group, phrases, _token_limit(samples))


def write_presence(folder: Path, fit: PresenceFit) -> None:
    """Put the thresholds into ``unibiomed.json`` of the model in ``folder``; the rest of it stays as it is."""
    path = folder / "unibiomed.json"
    data: Any = {}
    if path.is_file():
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{path} is not valid JSON ({error}).") from error
        if not isinstance(data, dict):
            raise CheckpointError(f"{path} does not hold a JSON object.")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({**data, "presence": fit.to_json()}, indent=1) + "\n", encoding="utf-8")
    update_record(folder, path.name)


def _sample(question: Question, prediction: PredictionLike, model: Model) -> Sample:
    spec = question.spec
    truth = question.phantom.masks.get(spec.name) if not question.foreign else None
    if not len(prediction.masks):
        scores = -math.inf, -math.inf, None
        return Sample(spec.phrase, spec.modality, spec.kind, *scores, None if truth is None else 0.0)
    seen = observe(prediction, 0, 0, token_logprob=seg_logprobs(model, prediction)[0])
    overlap = None if truth is None else dice(seen.mask, truth)
    if not seen.mask.any():
        return Sample(spec.phrase, spec.modality, spec.kind, -math.inf, -math.inf, seen.token_logprob, overlap)
    return Sample(spec.phrase, spec.modality, spec.kind, seen.object_score, seen.iou, seen.token_logprob, overlap)


def _token_limit(samples: Sequence[Sample]) -> float:
    """Rejects only a [SEG] far less certain than those of present targets: in a fixed answer the token says little."""
    known = [sample.token_logprob for sample in samples if sample.dice is not None and sample.token_logprob is not None]
    return min(math.log(0.5), float(np.quantile(known, 0.005)) - 0.1) if known else math.log(0.5)
