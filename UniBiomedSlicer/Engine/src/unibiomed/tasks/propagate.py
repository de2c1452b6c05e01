# SPDX-License-Identifier: Apache-2.0
"""Follow one target through a volume with SAM 2's memory, from a key slice both ways.

The model looks at the first five frames of a stack (its language model sees only these, and the one vector it makes is
the prompt on all five, whether the target is there or not); every later frame is tracked from memory, in order, and
nothing runs backwards (model specification, sections 6 and 9). A volume is therefore re-ordered, which changes the
order of the frames and nothing in the model:

* anchors: up to five neighbouring slices around the key slice in which the gate sees the target by themselves. If
  fewer are certain, they are repeated until there are five, so that no other slice is prompted;
* one pass upwards: the anchors, then the slices above them in order; one pass downwards: the same anchors, then the
  slices below. Anchors and language vector are the same in both passes, so both halves speak of the same object;
* a pass is cut into stretches of ``STRETCH`` slices, so that memory does not grow with the volume: the next stretch has
  the last slices of this one that hold the target as anchors. The walk ends after ``LOST`` slices without the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unibiomed.errors import InputError
from unibiomed.tasks.catalogue import Target
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.presence import Decision, Observation, Thresholds, decide, observe, passes_alone, seg_logprobs
from unibiomed.tasks.progress import PartialMask, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.reading import read_slices
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.templates import segment_prompt
from unibiomed.tasks.tracks import Track

PROMPTED = 5
STRETCH = 24
LOST = 3
SEARCHED = 32
STAGE = "propagate"


def track(
    model: Model, frames: Frames, target: Target, slices: Sequence[int], run: Run, *, key_slice: int | None = None
) -> Track:
    """Follow ``target`` from ``key_slice`` (None: the most certain of up to 32 slices spread over ``slices``).

    Only ``slices`` (ascending) are visited. Slices that the walk never reached have no evidence in the result. A given
    key slice is used even if the gate would refuse it, and a note says so. InputError when it is not in ``slices``.
    """
    found = Track(target, PlaneStack(frames.mapping.array_axis))
    limits = Thresholds.of(model, target.phrase)
    if key_slice is not None and key_slice not in slices:
        raise InputError(f"The key slice {key_slice} is not among the slices to be segmented; choose one of them.")
    key, looked = _key(model, frames, target, slices, run, limits, key_slice)
    if key is None:
        found.evidence.extend(decide(seen, limits).evidence for seen in looked)
        return found
    position = slices.index(key.slice)
    anchors = _anchors(model, frames, target, slices, position, run, limits)
    doubt = passes_alone(key, limits)
    if doubt:
        found.notes.append(f"{target.phrase}: on the chosen key slice {key.slice} the target is not certain ({doubt}).")
    seen: dict[int, Observation] = {}
    _walk(model, frames, target, anchors, slices[slices.index(anchors[-1]) + 1 :], run, limits, seen)
    _walk(model, frames, target, anchors, slices[: slices.index(anchors[0])][::-1], run, limits, seen)
    found.notes.append(f"{target.phrase}: followed from slice {key.slice}, prompted on slices {_list(anchors)}.")
    for index in sorted(seen):
        decision = decide(seen[index], limits, seen.get(index - 1), seen.get(index + 1))
        if doubt and index == key.slice and seen[index].mask.any():
            decision = _insist(decision)
        if found.take(decision, frames):
            partial = PartialMask(target.phrase, index, found.stack.plane_mask(index))
            run.tell(STAGE, len(seen), len(slices), partial=partial)
    return found


def _key(
    model: Model,
    frames: Frames,
    target: Target,
    slices: Sequence[int],
    run: Run,
    limits: Thresholds,
    key_slice: int | None,
) -> tuple[Observation | None, list[Observation]]:
    """The slice to start from, or None and everything that was looked at."""
    tried = [key_slice] if key_slice is not None else frames.sample(SEARCHED, slices)
    looked = _look(model, frames, target, tried, run)
    sound = [seen for seen in looked if not passes_alone(seen, limits)]
    if key_slice is not None and looked:
        return looked[0], looked
    # Certainty first; among slices nearly as certain the largest cut shows the target best.
    return max(sound, key=lambda seen: seen.confidence * seen.mask.sum() ** 0.5, default=None), looked


def _anchors(
    model: Model,
    frames: Frames,
    target: Target,
    slices: Sequence[int],
    position: int,
    run: Run,
    limits: Thresholds,
) -> list[int]:
    """The run of slices around ``position``, at most five, in which the target is certain slice by slice."""
    start = min(max(0, position - PROMPTED // 2), max(0, len(slices) - PROMPTED))
    near = list(slices[start : start + PROMPTED])
    looked = _look(model, frames, target, near, run)
    sound = {seen.slice for seen in looked if not passes_alone(seen, limits)} | {slices[position]}
    low = high = near.index(slices[position])
    while low > 0 and near[low - 1] in sound:
        low -= 1
    while high + 1 < len(near) and near[high + 1] in sound:
        high += 1
    return near[low : high + 1]


def _look(model: Model, frames: Frames, target: Target, slices: Sequence[int], run: Run) -> list[Observation]:
    """The target on each of ``slices`` by itself."""
    looked = []
    for index, (prediction,) in read_slices(model, frames, slices, [segment_prompt(target.phrase)], run):
        if len(prediction.masks):
            looked.append(observe(prediction, 0, index, token_logprob=seg_logprobs(model, prediction)[0]))
        run.tell("find key slice", len(looked), len(slices))
    return looked


def _walk(
    model: Model,
    frames: Frames,
    target: Target,
    anchors: Sequence[int],
    ahead: Sequence[int],
    run: Run,
    limits: Thresholds,
    seen: dict[int, Observation],
) -> None:
    """Track the slices ``ahead`` (in walking order) into ``seen``; anchors stay as the first pass had them."""
    at, missed = 0, 0
    prompted = list(anchors)
    while True:
        run.check()
        stretch = ahead[at : at + STRETCH]
        for observation in _pass(model, frames, target, prompted, stretch, run):
            seen.setdefault(observation.slice, observation)
        at += len(stretch)
        run.tell(STAGE, len(seen), len(frames))
        held = [index for index in stretch if index in seen and not passes_alone(seen[index], limits)]
        missed = len(stretch) - 1 - stretch.index(held[-1]) if held else missed + len(stretch)
        if at >= len(ahead) or not stretch or missed >= LOST:
            return
        prompted = sorted(held[-PROMPTED:]) or prompted


def _pass(
    model: Model, frames: Frames, target: Target, anchors: Sequence[int], ahead: Sequence[int], run: Run
) -> list[Observation]:
    """One call: anchors (repeated to five when slices follow them), then ``ahead``."""
    order = list(anchors)
    while ahead and len(order) < PROMPTED:
        order.extend(anchors[: PROMPTED - len(order)])
    order.extend(ahead)
    pictures = {index: frames.picture(index) for index in set(order)}
    prediction = model.predict_video(
        [pictures[index] for index in order], segment_prompt(target.phrase), on_frame=lambda _: run.check()
    )
    if not len(prediction.masks):
        return []
    return [observe(prediction, 0, index, frame=frame) for frame, index in enumerate(order)]


def _insist(decision: Decision) -> Decision:
    """A slice that the user pointed at counts as present whatever the gate says; the failed test stays on record."""
    return replace(decision, evidence=replace(decision.evidence, present=True))


def _list(indices: Sequence[int]) -> str:
    return ", ".join(str(index) for index in indices)
