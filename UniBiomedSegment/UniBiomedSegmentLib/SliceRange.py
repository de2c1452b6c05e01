# SPDX-License-Identifier: Apache-2.0
"""Which slices a job reads, from what the panel is set to."""

from __future__ import annotations

from UniBiomedSegmentLib.Choices import Scope


def slicesOf(scope: Scope, current: int, first: int, last: int, count: int) -> list[int] | None:
    """Slice numbers (0 .. count - 1) in order; None for the whole volume. Ends out of order or off the volume are set
    right, so that the range of one volume can be kept for the next."""
    if scope is Scope.VOLUME or count <= 0:
        return None
    if scope is Scope.CURRENT:
        return [_within(current, count)]
    low, high = sorted((_within(first, count), _within(last, count)))
    if high - low + 1 == count:
        return None
    return list(range(low, high + 1))


def _within(index: int, count: int) -> int:
    return min(max(int(index), 0), count - 1)
