# SPDX-License-Identifier: Apache-2.0
"""What the model named by itself while it read slices, gathered by target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from unibiomed.tasks.answers import Link, ParsedAnswer, parse_answer
from unibiomed.tasks.catalogue import Catalogue, Target, agree
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.phrases import Phrase, parse_phrase
from unibiomed.tasks.presence import Decision, Gate, Observation, Thresholds, observe, seg_logprobs
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.tracks import Track

NO_MASK = np.zeros((0, 0), dtype=bool)


@dataclass(frozen=True, eq=False)
class Detection:
    """A link of an answer on one slice with the target that it names and its mask."""

    slice: int
    target: Target
    sentence: str
    link: Link
    seen: Observation

    def without_mask(self) -> Detection:
        """The same without the pixels, to be kept for the slice's text."""
        return replace(self, seen=replace(self.seen, mask=NO_MASK))


def detect(
    model: Model,
    catalogue: Catalogue,
    prediction: PredictionLike,
    index: int,
    *,
    modality: str | None,
    site: str | None,
) -> tuple[ParsedAnswer, list[Detection]]:
    """The answer on slice ``index`` taken apart, and a detection for every named finding that came with a mask.

    ``modality`` and ``site`` complete a name that says neither (the report's form). Several masks of one finding are
    united.
    """
    answer = parse_answer(prediction.text, len(prediction.masks))
    logprobs = seg_logprobs(model, prediction)
    found = []
    for link in answer.findings:
        if not link.segments:
            continue
        target = named_target(catalogue, link.name, modality, site)
        seen = [observe(prediction, number, index, token_logprob=logprobs[number]) for number in link.segments]
        found.append(Detection(index, target, link.sentence, link, _unite(seen)))
    return answer, found


def named_target(catalogue: Catalogue, name: str, modality: str | None, site: str | None) -> Target:
    """The catalogue's target for a name in an answer, else one made of the name as it stands.

    A name that speaks of another modality than the picture's is read as one of the picture's own modality and site.
    """
    phrase = parse_phrase(name)
    if modality and phrase.modality and not agree(phrase.modality, modality):
        phrase = Phrase(phrase.target)
    known = catalogue.find(phrase, modality, site)
    if known is not None:
        return known
    return Target(phrase.target, phrase.site or site or "", phrase.modality or modality or "", "abnormality")


@dataclass(eq=False)
class Collector:
    """Detections of ascending slices on their way through the gate; ``sentences`` by target and slice."""

    model: Model
    frames: Frames
    tracks: dict[Target, Track] = field(default_factory=dict)
    sentences: dict[Target, dict[int, str]] = field(default_factory=dict)
    _names: dict[str, Target] = field(default_factory=dict)
    _gates: dict[Target, Gate] = field(default_factory=dict)
    _last: int | None = None

    def take(self, index: int, found: Sequence[Detection]) -> list[Detection]:
        """Slice ``index`` was read with these detections; targets not among them count as absent there.

        Returns the detections with one target a name: MRI sequences that the model takes for each other from slice to
        slice are not told apart.
        """
        detections = [replace(item, target=self._names.setdefault(item.target.name, item.target)) for item in found]
        named = {}
        for item in detections:
            kept = named.get(item.target)
            if kept is None or item.seen.confidence > kept.seen.confidence:
                named[item.target] = item
        for target in named:
            if target not in self.tracks:
                self._start(target)
        for target, gate in self._gates.items():
            seen = named[target].seen if target in named else _blank(index)
            self._settle(target, gate.push(seen))
        for item in detections:
            if len(item.sentence) > len(self.sentences[item.target].get(index, "")):
                self.sentences[item.target][index] = item.sentence
        self._last = index
        return detections

    def finish(self) -> dict[Target, Track]:
        """All tracks, complete."""
        for target, gate in self._gates.items():
            self._settle(target, gate.finish())
        return self.tracks

    def _start(self, target: Target) -> None:
        self.tracks[target] = Track(target, PlaneStack(self.frames.mapping.array_axis))
        self.sentences[target] = {}
        gate = self._gates[target] = Gate(Thresholds.of(self.model, target.phrase))
        if self._last is not None:
            self._settle(target, gate.push(_blank(self._last)))

    def _settle(self, target: Target, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if decision.seen.mask.size:
                self.tracks[target].take(decision, self.frames)


def _blank(index: int) -> Observation:
    """A slice that was read and in which the target was not named; its mask has no size."""
    return Observation(index, NO_MASK, 0.0, 0.0, None)


def _unite(seen: list[Observation]) -> Observation:
    """One observation of all masks of a finding, with the scores of the surest."""
    if len(seen) == 1:
        return seen[0]
    best = max(seen, key=lambda item: item.confidence)
    mask = np.logical_or.reduce([item.mask for item in seen])
    return Observation(best.slice, mask, best.object_score, best.iou, best.token_logprob)
