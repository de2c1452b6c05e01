# SPDX-License-Identifier: Apache-2.0
"""Which segments a new result may take the place of: those of the same phrase whose voxels nobody has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from UniBiomedSlicerLib import SegmentTags as tags
from UniBiomedSlicerLib.SegmentLayers import labelsOf
from UniBiomedSlicerLib.SegmentTags import BINARY


@dataclass(eq=False)
class _Candidate:
    """A segment as it was when it was looked at; ``window`` is the place of its voxels in its labelmap."""

    phrase: str
    segment: Any
    image: Any
    stamp: int
    window: tuple[slice, slice, slice]
    inside: np.ndarray


class SegmentReplacement:
    """The segments of ``phrases`` in a segmentation node that may be replaced, after :meth:`steps` has run."""

    def __init__(self, segmentationNode: Any, phrases: Iterable[str]) -> None:
        self._segmentation = segmentationNode.GetSegmentation()
        self._infos = [info for info in tags.segmentsOf(segmentationNode) if not info.isPreview]
        self._phrases = set(phrases)
        self._candidates: dict[str, _Candidate] = {}

    def steps(self) -> Iterator[None]:
        """Look at the segments one by one."""
        for info in self._infos:
            if info.phrase not in self._phrases or self._segmentation.GetSegment(info.id) is None:
                continue
            offset, box = tags.segmentBox(self._segmentation, info.id)
            yield
            segment = self._segmentation.GetSegment(info.id)
            if segment is None or not tags.isFingerprintOf(segment, offset, box):
                continue
            image = segment.GetRepresentation(BINARY)
            first = image.GetExtent()[4::-2]
            starts = [int(a) - int(b) for a, b in zip(offset, first, strict=True)]
            place = tuple(slice(start, start + size) for start, size in zip(starts, box.shape, strict=True))
            self._candidates[info.id] = _Candidate(info.phrase, segment, image, _stamp(image), place, box)
            yield

    def segmentIds(self, phrase: str) -> list[str]:
        """Return the segments that may be replaced for ``phrase``, without those changed since they were looked at."""
        return [key for key, found in self._candidates.items() if found.phrase == phrase and self._isSame(key, found)]

    def clear(self, segmentIds: Iterable[str]) -> None:
        """Take the voxels of these segments out of the labelmaps that they share with others.

        Labelmaps that all of their segments leave are not touched. Surfaces of other segments stay as they are.
        """
        leaving = {segmentId: self._candidates[segmentId] for segmentId in segmentIds}
        emptied: dict[int, bool] = {}
        for found in leaving.values():
            if id(found.image) not in emptied:
                emptied[id(found.image)] = all(key in leaving for key in self._sharing(found.image))
        for found in leaving.values():
            if emptied[id(found.image)]:
                continue
            _start, labels = labelsOf(found.image)
            np.copyto(labels[found.window], 0, where=found.inside)
            found.image.GetPointData().GetScalars().Modified()

    def _isSame(self, segmentId: str, found: _Candidate) -> bool:
        segment = self._segmentation.GetSegment(segmentId)
        return (
            segment is found.segment
            and segment.GetRepresentation(BINARY) is found.image
            and _stamp(found.image) == found.stamp
        )

    def _sharing(self, image: Any) -> list[str]:
        """The ids of all segments in a labelmap."""
        count = self._segmentation.GetNumberOfSegments()
        ids = [self._segmentation.GetNthSegmentID(index) for index in range(count)]
        return [key for key in ids if self._segmentation.GetSegment(key).GetRepresentation(BINARY) is image]


def _stamp(image: Any) -> int:
    scalars = image.GetPointData().GetScalars()
    return max(image.GetMTime(), scalars.GetMTime() if scalars is not None else 0)
