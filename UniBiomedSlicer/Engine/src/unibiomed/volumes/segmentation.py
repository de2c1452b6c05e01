# SPDX-License-Identifier: Apache-2.0
"""Named, possibly overlapping segments on one voxel grid: what every writer takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from unibiomed.errors import InputError
from unibiomed.volumes.masks import BoxMask


@dataclass(frozen=True, eq=False)
class Segment:
    """One object.

    ``name`` is what a user reads; ``target`` the words that the model was asked for ("liver"), looked up in the
    terminology; ``color`` RGB in 0..1 and ``terminology`` a SNOMED CT code override what the look-up gives;
    ``attributes`` (text to text) travel with the segment into the file.
    """

    name: str
    target: str
    mask: BoxMask
    color: tuple[float, float, float] | None = None
    terminology: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments on a grid of ``shape`` ``(k, j, i)`` placed by ``ijk_to_ras`` (4x4, mm); they may overlap.

    ``attributes`` is the provenance (text to text). InputError when a mask does not fit in ``shape``.
    """

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray
    segments: tuple[Segment, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "segments", tuple(self.segments))
        affine = np.array(self.ijk_to_ras, dtype=float)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(f"A segmentation needs a finite 4x4 ijk_to_ras, got shape {affine.shape}.")
        object.__setattr__(self, "ijk_to_ras", affine)
        for segment in self.segments:
            segment.mask.check_fits(self.shape)

    def first_overlap(self) -> tuple[Segment, Segment] | None:
        """The first two segments that share a voxel, or None."""
        for index, earlier in enumerate(self._overlaps_before()):
            if earlier:
                return self.segments[earlier[0]], self.segments[index]
        return None

    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Segment indices in groups without overlap; each segment joins the first group that has room for it."""
        group_of: list[int] = []
        for earlier in self._overlaps_before():
            taken = {group_of[other] for other in earlier}
            group_of.append(next(group for group in range(len(taken) + 1) if group not in taken))
        groups = range(max(group_of, default=-1) + 1)
        return tuple(tuple(index for index, own in enumerate(group_of) if own == group) for group in groups)

    def _overlaps_before(self) -> Iterator[list[int]]:
        """For each segment, the earlier ones that share a voxel with it; boxes are compared first, all at once."""
        low = np.array([segment.mask.offset for segment in self.segments]).reshape(-1, 3)
        high = low + np.array([segment.mask.array.shape for segment in self.segments]).reshape(-1, 3)
        for index, segment in enumerate(self.segments):
            near = (low[:index] < high[index]).all(axis=1) & (high[:index] > low[index]).all(axis=1)
            yield [int(n) for n in np.flatnonzero(near) if segment.mask.overlaps(self.segments[n].mask)]

    def volume_ml(self, segment: Segment) -> float:
        """Volume of ``segment`` in millilitres on this grid."""
        return segment.mask.volume_ml(self.ijk_to_ras)
