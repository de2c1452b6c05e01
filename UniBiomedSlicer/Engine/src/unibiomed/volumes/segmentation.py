# SPDX-License-Identifier: Apache-2.0
"""Named, possibly overlapping segments on one voxel grid: what every writer takes."""

from __future__ import annotations

from collections.abc import Mapping
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
        for index, one in enumerate(self.segments):
            for other in self.segments[index + 1 :]:
                if one.mask.overlaps(other.mask):
                    return one, other
        return None

    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Segment indices in as few groups as a greedy pass gives, none overlapping within a group."""
        groups: list[list[int]] = []
        for index, segment in enumerate(self.segments):
            for group in groups:
                if not any(segment.mask.overlaps(self.segments[other].mask) for other in group):
                    group.append(index)
                    break
            else:
                groups.append([index])
        return tuple(tuple(group) for group in groups)

    def volume_ml(self, segment: Segment) -> float:
        """Volume of ``segment`` in millilitres on this grid."""
        return segment.mask.volume_ml(self.ijk_to_ras)
