# SPDX-License-Identifier: Apache-2.0
"""A sample slice by slice, as the model sees it: pictures with their masks and phrases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unibiomed.cohort.export.samples import Sample
from unibiomed.tasks.outputs.views import frames_of
from unibiomed.tasks.stack import plane_of


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice: RGB uint8 (H, W, 3), bool masks (H, W) by phrase, and the targets behind the phrases."""

    slice: int
    image: np.ndarray
    masks: dict[str, np.ndarray]
    targets: dict[str, str]


def pictures(sample: Sample, *, empty: bool = False) -> Iterator[Picture]:
    """The slices that hold a segment, in the window and along the axis of the result; with ``empty`` all of them."""
    frames = frames_of(sample.result, sample.volume, sample.result.provenance.site)
    axis = frames.mapping.array_axis
    segments = sample.segmentation.segments
    for index in range(len(frames)):
        masks: dict[str, np.ndarray] = {}
        targets: dict[str, str] = {}
        for number, segment in enumerate(segments):
            start, size = segment.mask.offset[axis], segment.mask.array.shape[axis]
            if not start <= index < start + size:
                continue
            plane = plane_of(segment.mask, axis, index, sample.volume.shape)
            if not plane.any():
                continue
            phrase = sample.phrase(number)
            mask = frames.mapping.from_volume_slice(plane)
            masks[phrase] = masks[phrase] | mask if phrase in masks else mask
            targets[phrase] = segment.target
        if masks or empty:
            yield Picture(index, frames.picture(index), masks, targets)
