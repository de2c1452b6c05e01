# SPDX-License-Identifier: Apache-2.0
"""Targets followed slice by slice through the presence gate, and the records that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unibiomed.tasks.catalogue import Target
from unibiomed.tasks.cleanup import clean_mask
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.measure import combine, segment_record
from unibiomed.tasks.presence import Decision, Gate, Thresholds, nearest_miss, observe, seg_logprobs
from unibiomed.tasks.progress import PartialMask, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.reading import read_slices
from unibiomed.tasks.results import NotFound, PresenceEvidence, SegmentResult
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.templates import segment_prompt


@dataclass(eq=False)
class Track:
    """One target on its way through the slices: accepted planes, the evidence of every slice, the confidences."""

    target: Target
    stack: PlaneStack
    evidence: list[PresenceEvidence] = field(default_factory=list)
    weighted: list[tuple[float, int]] = field(default_factory=list)
    confidence_at: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, decision: Decision, frames: Frames) -> bool:
        """Keep a decision; returns whether its slice now holds the target."""
        evidence, seen = decision.evidence, decision.seen
        self.evidence.append(evidence)
        if not evidence.present:
            return False
        self.stack.add(seen.slice, frames.mapping.to_volume_slice(seen.mask))
        self.weighted.append((seen.confidence, evidence.pixels))
        self.confidence_at[seen.slice] = seen.confidence
        return True


def segment_targets(
    model: Model,
    frames: Frames,
    targets: Sequence[Target],
    slices: Sequence[int],
    run: Run,
    *,
    batch_size: int | None = None,
) -> list[Track]:
    """Ask for every target on every slice, see ``follow``."""
    tracks = {target: Track(target, PlaneStack(frames.mapping.array_axis)) for target in targets}
    follow(model, frames, tracks, dict.fromkeys(slices, tuple(targets)), run, batch_size=batch_size)
    return list(tracks.values())


def follow(
    model: Model,
    frames: Frames,
    tracks: Mapping[Target, Track],
    plan: Mapping[int, Sequence[Target]],
    run: Run,
    *,
    batch_size: int | None = None,
    stage: str = "segment",
) -> None:
    """Ask for the targets that ``plan`` names on each slice (ascending) and let the gate decide into ``tracks``.

    The gate decides with one slice of delay, since it looks at both neighbours.
    """
    gates = {target: Gate(Thresholds.of(model, target.phrase)) for target in tracks}
    order = sorted(index for index, targets in plan.items() if targets)

    def prompts(index: int) -> list[str]:
        return [segment_prompt(target.phrase) for target in plan[index]]

    run.tell(stage, 0, len(order))
    stream = read_slices(model, frames, order, prompts, run, batch_size=batch_size)
    for done, (index, predictions) in enumerate(stream, start=1):
        for target, prediction in zip(plan[index], predictions, strict=True):
            track, gate = tracks[target], gates[target]
            if len(prediction.masks) == 0:
                _settle(track, gate.finish(), frames, run, stage, done - 1, len(order))
                track.evidence.append(_unanswered(index))
                continue
            logprob = seg_logprobs(model, prediction)[0]
            seen = observe(prediction, 0, index, token_logprob=logprob)
            _settle(track, gate.push(seen), frames, run, stage, done - 1, len(order))
        run.tell(stage, done, len(order))
    for target, gate in gates.items():
        _settle(tracks[target], gate.finish(), frames, run, stage, len(order), len(order))


def settle_tracks(
    tracks: Sequence[Track], frames: Frames, slices_read: int, *, clean: bool = False, first: int = 1
) -> tuple[tuple[SegmentResult, ...], tuple[NotFound, ...]]:
    """A segment for every track that has a voxel, a "not found" for every other; ids count from ``first``."""
    segments: list[SegmentResult] = []
    missing: list[NotFound] = []
    axis = frames.mapping.array_axis
    for track in tracks:
        mask, cleaned = track.stack.to_mask(), ""
        if clean and not mask.is_empty:
            mask, cleaned = clean_mask(mask, axis)
        if mask.is_empty:
            missing.append(not_found(track, slices_read))
            continue
        segments.append(
            segment_record(
                f"s{first + len(segments)}",
                track.target,
                mask,
                frames.volume,
                axis,
                confidence=combine(track.weighted),
                presence=tuple(track.evidence),
                cleaned=cleaned,
            )
        )
    return tuple(segments), tuple(missing)


def not_found(track: Track, slices_read: int, reason: str = "") -> NotFound:
    """The record that ``track``'s target is absent, with the slice that came closest."""
    target, best = track.target, nearest_miss(track.evidence)
    if not reason:
        where = "the image" if slices_read == 1 else f"any of the {slices_read} slices read"
        near = f"closest, slice {best.slice}: {best.reason}" if best else "the model answered without a segment"
        reason = f"Not seen in {where}; {near}."
    return NotFound(
        phrase=target.phrase, target=target.name, kind=target.kind, slices_read=slices_read, reason=reason, best=best
    )


def _settle(
    track: Track, decisions: Iterable[Decision], frames: Frames, run: Run, stage: str, done: int, total: int
) -> None:
    for decision in decisions:
        if track.take(decision, frames):
            index = decision.seen.slice
            partial = PartialMask(track.target.phrase, index, track.stack.plane_mask(index))
            run.tell(stage, done, total, partial=partial)


def _unanswered(index: int) -> PresenceEvidence:
    return PresenceEvidence(
        slice=index, present=False, object_score=0.0, iou=0.0, reason="the model answered without a segment"
    )
