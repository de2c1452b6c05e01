# SPDX-License-Identifier: Apache-2.0
"""From the slices where a target was noticed to all the slices that it is on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from unibiomed.tasks.catalogue import Target
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.tracks import Track, follow

LEAST_REACH = 2


def refine(
    model: Model,
    frames: Frames,
    noticed: Mapping[Target, Iterable[int]],
    pool: Sequence[int],
    step: int,
    run: Run,
    *,
    batch_size: int | None = None,
    stage: str = "segment",
) -> dict[Target, Track]:
    """Ask for each target on every slice of ``pool`` (ascending) near where it was noticed, and go on where it goes on.

    "Near" is the distance ``step`` of the slices that were read, at least 2. While the target is present on the last
    slice asked on a side, the next stretch beyond is asked too; so a target is followed to its ends, and the rest of a
    large volume is not touched.
    """
    reach = max(step, LEAST_REACH)
    position = {index: at for at, index in enumerate(pool)}
    tracks = {target: Track(target, PlaneStack(frames.mapping.array_axis)) for target in noticed}
    asked: dict[Target, set[int]] = {target: set() for target in noticed}
    wanted = {
        target: {index for at in slices if at in position for index in _around(pool, position[at], reach)}
        for target, slices in noticed.items()
    }
    while any(wanted.values()):
        plan: dict[int, list[Target]] = {}
        for target, slices in wanted.items():
            for index in sorted(slices):
                plan.setdefault(index, []).append(target)
            asked[target] |= slices
        follow(model, frames, tracks, plan, run, batch_size=batch_size, stage=stage)
        wanted = {
            target: _beyond(pool, position, tracks[target].stack.indices, asked[target], reach) for target in noticed
        }
    for track in tracks.values():
        track.evidence.sort(key=lambda item: item.slice)
    return tracks


def _around(pool: Sequence[int], at: int, reach: int) -> Sequence[int]:
    return pool[max(0, at - reach) : at + reach + 1]


def _beyond(
    pool: Sequence[int], position: Mapping[int, int], present: Sequence[int], asked: set[int], reach: int
) -> set[int]:
    """Slices not yet asked within reach of a present slice whose neighbour was not asked."""
    more: set[int] = set()
    for index in present:
        at = position[index]
        for side in (-1, 1):
            if 0 <= at + side < len(pool) and pool[at + side] not in asked:
                stretch = _around(pool, at, reach)
                more.update(other for other in stretch if other not in asked)
    return more
