# SPDX-License-Identifier: Apache-2.0
"""Is the target in this slice? The gate that decides, from the model's own scores and the slices beside it.

The published model was trained on present targets only: it answers ``It is [SEG].`` and draws a mask on any slice. Four
tests are applied, each of which must pass; which one failed is kept with the result.

* the mask has a pixel;
* SAM 2's object score (a logit; the model's own decision boundary is 0);
* the IoU that SAM 2 predicts for its mask (0..1);
* the log-probability of the [SEG] token (0 = certain), where the model gives it;
* agreement with the neighbouring slices: the best Dice with a slice beside it that passes the other tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from unibiomed.tasks.answers import SEG
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.tasks.results import PresenceEvidence


@dataclass(frozen=True)
class Thresholds:
    """The least value of each score that counts as present.

    The defaults are for a model whose folder gives none. They are not fitted: 0 is SAM 2's own boundary, 0.5 and
    ln 0.5 say "more likely than not", and no agreement is demanded.
    """

    object_score: float = 0.0
    iou: float = 0.5
    seg_token_logprob: float = math.log(0.5)
    neighbour: float = 0.0

    @classmethod
    def of(cls, model: Any, phrase: str) -> Thresholds:
        """The thresholds of the model's folder for ``phrase``: its own, else the model's, else the defaults."""
        given: Mapping[str, Any] = getattr(model.info, "presence", None) or {}
        own = (given.get("per_target") or {}).get(phrase, {})
        names = {item.name for item in fields(cls)}
        merged = {name: float(source[name]) for source in (given, own) for name in names if name in source}
        return cls(**merged)


def can_deny(model: Any) -> bool:
    """Whether the model's gate was fitted on targets that are absent, so that its "no" means something."""
    return bool((getattr(model.info, "presence", None) or {}).get("fitted"))


def thresholds_used(model: Any, phrases: Iterable[str]) -> dict[str, dict[str, float]]:
    """The thresholds of the model as ``default``, and of every phrase that has its own, for the provenance."""
    default = Thresholds.of(model, "")
    own = {phrase: Thresholds.of(model, phrase) for phrase in phrases}
    different = {phrase: asdict(limits) for phrase, limits in own.items() if limits != default}
    return {"default": asdict(default), **different}


@dataclass(frozen=True, eq=False)
class Observation:
    """A target's mask (H, W) in one slice with the model's scores, before the neighbours are known."""

    slice: int
    mask: np.ndarray = field(repr=False)
    object_score: float
    iou: float
    token_logprob: float | None

    @property
    def confidence(self) -> float:
        """Product of the scores as probabilities, 0..1; not calibrated."""
        token = 1.0 if self.token_logprob is None else math.exp(min(0.0, self.token_logprob))
        bounded = max(-30.0, min(30.0, self.object_score))
        return min(1.0, max(0.0, self.iou)) * token / (1.0 + math.exp(-bounded))


@dataclass(frozen=True, eq=False)
class Decision:
    """An observation and what the gate made of it."""

    seen: Observation
    evidence: PresenceEvidence


def observe(
    prediction: PredictionLike, segment: int, slice_index: int, *, frame: int = 0, token_logprob: float | None = None
) -> Observation:
    """Segment ``segment`` of ``prediction`` on its frame ``frame`` as an observation of slice ``slice_index``."""
    return Observation(
        slice=slice_index,
        mask=np.asarray(prediction.masks[segment][frame], dtype=bool),
        object_score=_finite(prediction.object_scores[segment][frame]),
        iou=_finite(prediction.iou_scores[segment][frame]),
        token_logprob=token_logprob,
    )


def seg_logprobs(model: Model, prediction: PredictionLike) -> list[float | None]:
    """Log-probability of the [SEG] token of each mask, in order."""
    count = len(prediction.masks)
    token = model.tokenizer.convert_tokens_to_ids(SEG)
    pairs = zip(prediction.token_ids, prediction.token_logprobs, strict=True)
    values = [_finite(value) for number, value in pairs if int(number) == token]
    padded: list[float | None] = [*values[:count]]
    return padded + [None] * (count - len(padded))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two bool masks of one shape; 0 when both are empty (nothing agrees with nothing)."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int(np.logical_and(one, other).sum()) / total if total else 0.0


def passes_alone(seen: Observation, limits: Thresholds) -> str:
    """The first test on the slice by itself that fails, in words; "" when all pass."""
    if not seen.mask.any():
        return "empty mask"
    if seen.object_score < limits.object_score:
        return f"object score {seen.object_score:.2f} below {limits.object_score:.2f}"
    if seen.iou < limits.iou:
        return f"predicted IoU {seen.iou:.2f} below {limits.iou:.2f}"
    if seen.token_logprob is not None and seen.token_logprob < limits.seg_token_logprob:
        return f"[SEG] log-probability {seen.token_logprob:.2f} below {limits.seg_token_logprob:.2f}"
    return ""


def decide(
    seen: Observation, limits: Thresholds, before: Observation | None = None, after: Observation | None = None
) -> Decision:
    """The verdict on one slice, given the observations of the slices directly beside it, where they were read."""
    beside = [other for other in (before, after) if other is not None]
    agreement = None
    if beside:
        sound = [other for other in beside if seen.mask.any() and not passes_alone(other, limits)]
        agreement = max((dice(seen.mask, other.mask) for other in sound), default=0.0)
    reason = passes_alone(seen, limits)
    if not reason and agreement is not None and agreement < limits.neighbour:
        reason = f"agreement with neighbouring slices {agreement:.2f} below {limits.neighbour:.2f}"
    evidence = PresenceEvidence(
        slice=seen.slice,
        present=not reason,
        object_score=seen.object_score,
        iou=seen.iou,
        token_logprob=seen.token_logprob,
        neighbour=agreement,
        pixels=int(seen.mask.sum()),
        reason=reason,
    )
    return Decision(seen, evidence)


class Gate:
    """Decides slice by slice while they stream by in ascending order, holding three masks at most."""

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._before: Observation | None = None
        self._waiting: Observation | None = None

    def push(self, seen: Observation) -> Iterator[Decision]:
        """Take the next slice; yields the decision on the one before it, which now has both neighbours."""
        if self._waiting is not None:
            yield self._settle(seen)
        self._waiting = seen

    def finish(self) -> Iterator[Decision]:
        """The decision on the last slice."""
        if self._waiting is not None:
            yield self._settle(None)
            self._before = self._waiting = None

    def _settle(self, after: Observation | None) -> Decision:
        waiting = self._waiting
        beside = [
            other if other is not None and abs(other.slice - waiting.slice) == 1 else None
            for other in (self._before, after)
        ]
        self._before = waiting
        return decide(waiting, self._limits, *beside)


def nearest_miss(evidence: list[PresenceEvidence]) -> PresenceEvidence | None:
    """The slice that came closest to being present, by object score; None when nothing was read."""
    missed = max(evidence, key=lambda item: (item.pixels > 0, item.object_score), default=None)
    return None if missed is None else replace(missed)


def _finite(value: Any) -> float:
    number = float(value)
    return number if math.isfinite(number) else -1e9
