# SPDX-License-Identifier: Apache-2.0
"""Segments to one label map, for formats without overlap: what is inside something else wins over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.cohort.export.samples import Sample


@dataclass(frozen=True)
class LabelSet:
    """Label value of each target name over all samples, 1 and up; 0 is background."""

    values: dict[str, int]

    @classmethod
    def of(cls, names: Iterable[str]) -> LabelSet:
        """The ``names`` in alphabetical order."""
        return cls({name: value for value, name in enumerate(sorted(names), start=1)})


@dataclass(frozen=True, eq=False)
class LabelMap:
    """``array`` [k, j, i] uint16 and how many voxels belonged to more than one segment."""

    array: np.ndarray
    shared: int


def names_of(sample: Sample) -> set[str]:
    """The label names of the targets that a sample has segments of."""
    return {label_name(segment.target) for segment in sample.segmentation.segments}


def label_map(sample: Sample, labels: LabelSet) -> LabelMap:
    """Draw larger segments first, so that a tumour stays visible in its organ."""
    array = np.zeros(sample.volume.shape, dtype=np.uint16)
    shared = 0
    for segment in sorted(sample.segmentation.segments, key=lambda item: -item.mask.voxel_count):
        box = _window(segment.mask.offset, segment.mask.array.shape)
        under = array[box][segment.mask.array]
        shared += int(np.count_nonzero(under))
        array[box][segment.mask.array] = labels.values[label_name(segment.target)]
    return LabelMap(array, shared)


def label_name(target: str) -> str:
    """A target as the name of a label."""
    return " ".join(target.lower().split())


def _window(offset: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(offset, shape, strict=True))
