# SPDX-License-Identifier: Apache-2.0
"""A result put into the selected segment by the editor's own means, so that undo, masking and overwriting hold.

Everything is done on the reference geometry: the editor takes labelmaps of other lattices only with a shift or not at
all, and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
from UniBiomedSlicerLib.SegmentLayers import labelsOf
from UniBiomedSlicerLib.SegmentTags import BINARY

from .ReferenceMask import Extent, extentOn, joined, part, sameLattice, segmentOn, voxelsOn, within

ADD = "add"
REPLACE = "replace"
REMOVE = "remove"


@dataclass(frozen=True)
class Outcome:
    """Voxels of the reference geometry: those that changed to the segment's gain and loss, those that the masking
    settings kept from changing, those that lie beyond the geometry (0 where it is another lattice than the volume's),
    and what other segments lost, by their names."""

    added: int = 0
    removed: int = 0
    heldBack: int = 0
    beyond: int = 0
    taken: dict[str, int] = field(default_factory=dict)


def apply(scriptedEffect: Any, mask: Any, region: Any, operation: str) -> Outcome:
    """Change the selected segment: add the mask, remove it, or replace what the segment has in ``region`` (None:
    everywhere) by it. Saves one undo state. ``mask`` and ``region`` are labelmaps on any lattice."""
    editorNode = scriptedEffect.parameterSetNode()
    node, segmentId = editorNode.GetSegmentationNode(), editorNode.GetSelectedSegmentID()
    labelmap = scriptedEffect.defaultModifierLabelmap()
    extents = [extentOn(mask, labelmap)]
    if operation == REPLACE:
        extents.append(extentOn(node.GetSegmentation().GetSegment(segmentId).GetRepresentation(BINARY), labelmap))
    extent = joined(extents)
    if extent is None:
        return Outcome(beyond=_count(mask))
    place = part(labelmap, extent)
    wanted, before = voxelsOn(mask, place), segmentOn(node, segmentId, place)
    gone, come = _changes(before, wanted, None if region is None else voxelsOn(region, place), operation)
    counted = {} if come is None else _othersAt(node, segmentId, place, come)
    scriptedEffect.saveStateForUndo()
    modes = slicer.qSlicerSegmentEditorAbstractEffect
    # Two steps rather than ModificationModeSet, which moves a segment that lies on another lattice.
    for voxels, mode in ((gone, modes.ModificationModeRemove), (come, modes.ModificationModeAdd)):
        if voxels is not None and voxels.any():
            _modify(scriptedEffect, labelmap, extent, voxels, mode)
    after = segmentOn(node, segmentId, place)
    left = {} if come is None else _othersAt(node, segmentId, place, come)
    heldBack = 0 if come is None else int(np.count_nonzero(come & ~after))
    heldBack += 0 if gone is None else int(np.count_nonzero(gone & after))
    return Outcome(
        added=int(np.count_nonzero(after & ~before)),
        removed=int(np.count_nonzero(before & ~after)),
        heldBack=heldBack,
        beyond=_count(mask) - int(np.count_nonzero(wanted)) if sameLattice(mask, labelmap) else 0,
        taken={name: count - left.get(name, 0) for name, count in counted.items() if count > left.get(name, 0)},
    )


def overlaps(node: Any, segmentId: str, mask: Any, reference: Any) -> dict[str, int]:
    """How many voxels of ``mask`` other segments have, by their names; those with none are left out."""
    extent = extentOn(mask, reference)
    if extent is None:
        return {}
    place = part(reference, extent)
    return _othersAt(node, segmentId, place, voxelsOn(mask, place))


def _changes(
    before: np.ndarray, wanted: np.ndarray, region: np.ndarray | None, operation: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What shall leave the segment, and what shall come into it."""
    if operation == REMOVE:
        return wanted & before, None
    if operation == ADD:
        return None, wanted & ~before
    gone = before & ~wanted
    return gone if region is None else gone & region, wanted & ~before


def _modify(scriptedEffect: Any, labelmap: Any, extent: Extent, voxels: np.ndarray, mode: int) -> None:
    labelsOf(labelmap)[1][within(extent, labelmap)] = voxels
    labelmap.GetPointData().GetScalars().Modified()
    labelmap.Modified()
    scriptedEffect.modifySelectedSegmentByLabelmap(labelmap, mode, list(extent))


def _othersAt(node: Any, segmentId: str, place: Any, voxels: np.ndarray) -> dict[str, int]:
    """How many of ``voxels``, over the extent of ``place``, each other segment has."""
    segmentation = node.GetSegmentation()
    found: dict[str, int] = {}
    for number in range(segmentation.GetNumberOfSegments()):
        other = segmentation.GetNthSegmentID(number)
        count = int(np.count_nonzero(segmentOn(node, other, place) & voxels)) if other != segmentId else 0
        if count:
            name = segmentation.GetSegment(other).GetName()
            found[name] = found.get(name, 0) + count
    return found


def _count(image: Any) -> int:
    return int(np.count_nonzero(labelsOf(image)[1]))
