# SPDX-License-Identifier: Apache-2.0
"""The segments of a result decoded and packed into labelmaps, in steps, before anything in the scene is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from UniBiomedSlicerLib.BoxMask import (
    Box,
    MaskError,
    Offset,
    PackedMask,
    fits,
    isTight,
    slabs,
    tighten,
    unpackDocument,
    window,
)
from UniBiomedSlicerLib.SegmentLayers import emptyLabels, joinLayer, labelmapImage, surroundingBox
from UniBiomedSlicerLib.SegmentTags import fingerprint
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid


class SegmentationError(ValueError):
    """A result that cannot be written there; the text is one sentence."""


@dataclass(eq=False)
class PlannedSegment:
    """One segment on its way into the scene: ``segmentId`` is "" until it has a place there."""

    item: Mapping[str, Any]
    name: str
    fingerprint: str
    segmentId: str = ""

    @property
    def kind(self) -> str:
        """ "anatomy", "abnormality" or "unknown"."""
        return self.item.get("kind", "unknown")


@dataclass(eq=False)
class _PackedLayer:
    members: list[int]
    offset: Offset
    labels: np.ndarray


class SegmentationPlan:
    """``segments`` in the order of the result, once :meth:`steps` has run to its end."""

    def __init__(self, result: Mapping[str, Any], grid: VoxelGrid) -> None:
        self.segments: list[PlannedSegment] = []
        self._items = list(result.get("segments", ()))
        self._grid = grid
        self._layers: list[_PackedLayer] = []
        made = result.get("provenance", {}).get("shape")
        if made is not None and tuple(made) != grid.shape:
            raise SegmentationError(otherGrid(grid))

    def steps(self) -> Iterator[float]:
        """Decode and pack, yielding the fraction done; SegmentationError for a mask that does not fit."""
        names = segmentNames(self._items)
        total = max(1, len(self._items))
        boxes: list[Box] = []
        for item in self._items:
            packed = self._packed(item)
            yield 0.5 * len(boxes) / total
            box = np.empty(packed.shape, bool)
            for _step in packed.unpackSteps(box):
                yield 0.5 * len(boxes) / total
            offset, bits = packed.offset, packed.bits
            if not isTight(box):
                offset, box = tighten(offset, box)
                bits = np.packbits(box, axis=None).tobytes()
            place = tuple(a + b for a, b in zip(offset, self._grid.start[::-1], strict=True))
            self.segments.append(PlannedSegment(item, names[item["id"]], fingerprint(place, box.shape, bits)))
            boxes.append((offset, box))
            yield 0.5 * len(boxes) / total
        groups: list[list[int]] = []
        for index in range(len(boxes)):
            for _step in joinLayer(groups, boxes, index):
                yield 0.5 + 0.1 * index / total
        done = 0
        for members in groups:
            offset, size = surroundingBox([boxes[index] for index in members], self._grid.shape)
            labels = emptyLabels(size, len(members))
            self._layers.append(_PackedLayer(members, offset, labels))
            for label, index in enumerate(members, start=1):
                first, box = boxes[index]
                part = labels[window(first, box.shape, offset)]
                for slab in slabs(box.shape):
                    np.copyto(part[slab], label, where=box[slab])
                    yield 0.6 + 0.4 * done / total
                done += 1
        yield 1.0

    def images(self, segmentationNode: Any) -> dict[int, tuple[Any, int]]:
        """Return {number of the segment: (labelmap, label value)}; segments that do not overlap share a labelmap."""
        imageToWorld = self._grid.imageToWorld(segmentationNode)
        images = {}
        for layer in self._layers:
            image = labelmapImage(layer.labels, layer.offset, imageToWorld, self._grid.start)
            for label, index in enumerate(layer.members, start=1):
                images[index] = (image, label)
        return images

    def _packed(self, item: Mapping[str, Any]) -> PackedMask:
        try:
            packed = unpackDocument(item["mask"])
        except MaskError as error:
            raise SegmentationError(
                _('The mask of "{name}" cannot be read: {reason}').format(name=item["target"], reason=error)
            ) from error
        if not fits(packed.offset, packed.shape, self._grid.shape):
            raise SegmentationError(otherGrid(self._grid))
        return packed


def otherGrid(grid: VoxelGrid) -> str:
    """Return the sentence for masks of another volume."""
    return _('The masks belong to a volume of another size than "{name}"; read the volume again.').format(
        name=grid.name
    )


def segmentNames(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return segment id to the name shown: the target, numbered where there are several of it."""
    items = list(items)
    found = [item["target"] for item in items]
    counts: dict[str, int] = {}
    names = {}
    for item in items:
        target = item["target"]
        counts[target] = counts.get(target, 0) + 1
        names[item["id"]] = target if found.count(target) == 1 else f"{target} {counts[target]}"
    return names
