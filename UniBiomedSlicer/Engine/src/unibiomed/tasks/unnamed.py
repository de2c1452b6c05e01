# SPDX-License-Identifier: Apache-2.0
"""Abnormalities that a model does not name by itself, but whose mask it draws when it is asked for them by name.

Only of a model that can say no: one that was trained on absent targets, and whose presence gate was fitted on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unibiomed.tasks.catalogue import Catalogue, Target
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.joining import draw, join
from unibiomed.tasks.presence import Thresholds, can_deny, observe, passes_alone, seg_logprobs
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.templates import segment_prompt
from unibiomed.tasks.tracks import Track

LEAST_SLICES = 2
"""A finding of a volume that was never named has to be seen on so many slices that overlap."""
SURE = 0.0
"""And with at least this object score, SAM 2's own boundary; the fitted gate may lie lower."""


class ByName:
    """Every known abnormality of a modality and site, asked for on each slice that is read."""

    def __init__(self, model: Model, known: Catalogue, modality: str | None, site: str | None) -> None:
        self._model = model
        asked = known.of(modality, site, "abnormality") if can_deny(model) and modality and site else ()
        # One target a name: the sequences of MRI are not told apart here.
        self._targets = tuple({target.name: target for target in reversed(asked)}.values())
        self._slices: dict[Target, list[int]] = {}

    @property
    def prompts(self) -> list[str]:
        """One for each of them."""
        return [segment_prompt(target.phrase) for target in self._targets]

    def take(self, index: int, predictions: Sequence[PredictionLike]) -> None:
        """The answers to ``prompts`` on slice ``index``."""
        for target, prediction in zip(self._targets, predictions, strict=True):
            if len(prediction.masks) == 0:
                continue
            seen = observe(prediction, 0, index, token_logprob=seg_logprobs(self._model, prediction)[0])
            if seen.object_score >= SURE and not passes_alone(seen, Thresholds.of(self._model, target.phrase)):
                self._slices.setdefault(target, []).append(index)

    def beside(self, named: Mapping[Target, Track]) -> dict[Target, list[int]]:
        """The slices on which each was seen, without those that the model named on some slice."""
        names = {target.name for target, track in named.items() if track.stack.indices}
        return {target: slices for target, slices in self._slices.items() if target.name not in names}


def supported(track: Track, frames: Frames) -> Track:
    """``track`` with those of its objects only that are sure on two slices at least; a picture has but one."""
    sure = {item.slice for item in track.evidence if item.present and item.object_score >= SURE}
    least = min(LEAST_SLICES, len(frames))
    objects = [part for part in join(track.stack) if len(sure.intersection(part.indices)) >= least]
    kept = PlaneStack(track.stack.array_axis)
    for index in track.stack.indices:
        if boxes := [part.box(index) for part in objects if index in part.indices]:
            kept.add(index, draw(boxes))
    return Track(track.target, kept, track.evidence, track.weighted, track.confidence_at, track.notes)
