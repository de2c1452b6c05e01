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

from .ReferenceMask import cropped, fill, segmentOnReference

ADD = "add"
REPLACE = "replace"
REMOVE = "remove"


@dataclass(frozen=True)
class Outcome:
    """Voxels of the reference geometry: those that changed to the segment's gain and loss, those that the masking
    settings kept from changing, and what other segments lost, by their names."""

    added: int = 0
    removed: int = 0
    heldBack: int = 0
    taken: dict[str, int] = field(default_factory=dict)


def apply(scriptedEffect: Any, mask: np.ndarray, region: np.ndarray | None, operation: str) -> Outcome:
    """Change the selected segment: add the mask, remove it, or replace what the segment has in ``region`` (None:
    everywhere) by it. Saves one undo state. ``mask`` and ``region`` are bool arrays over the default modifier labelmap.
    """
    editorNode = scriptedEffect.parameterSetNode()
    node, segmentId = editorNode.GetSegmentationNode(), editorNode.GetSelectedSegmentID()
    labelmap = scriptedEffect.defaultModifierLabelmap()
    before = segmentOnReference(node, segmentId, labelmap)
    gone, come = _changes(before, mask, region, operation)
    modes = slicer.qSlicerSegmentEditorAbstractEffect
    counted = _othersAt(node, segmentId, labelmap, come)
    scriptedEffect.saveStateForUndo()
    # Two steps rather than ModificationModeSet, which moves a segment that lies on another lattice.
    for part, mode in ((gone, modes.ModificationModeRemove), (come, modes.ModificationModeAdd)):
        if part.any():
            fill(labelmap, part)
            scriptedEffect.modifySelectedSegmentByLabelmap(labelmap, mode)
    after = segmentOnReference(node, segmentId, labelmap)
    left = _othersAt(node, segmentId, labelmap, come)
    losses = {name: count - left.get(name, 0) for name, count in counted.items() if count > left.get(name, 0)}
    return Outcome(
        added=int(np.count_nonzero(after & ~before)),
        removed=int(np.count_nonzero(before & ~after)),
        heldBack=int(np.count_nonzero(come & ~after)) + int(np.count_nonzero(gone & after)),
        taken=losses,
    )


def overlaps(node: Any, segmentId: str, mask: np.ndarray, reference: Any) -> dict[str, int]:
    """How many voxels of ``mask`` other segments have, by their names; those with none are left out."""
    return _othersAt(node, segmentId, reference, mask)


def _changes(
    before: np.ndarray, mask: np.ndarray, region: np.ndarray | None, operation: str
) -> tuple[np.ndarray, np.ndarray]:
    """What shall leave the segment, and what shall come into it."""
    if operation == REMOVE:
        return mask & before, np.zeros_like(mask)
    come = mask & ~before
    if operation == ADD:
        return np.zeros_like(mask), come
    gone = before & ~mask
    return gone if region is None else gone & region, come


def _othersAt(node: Any, segmentId: str, reference: Any, voxels: np.ndarray) -> dict[str, int]:
    """How many of ``voxels`` each other segment has; only the box around them is looked at."""
    part = cropped(reference, voxels)
    if part is None:
        return {}
    image, place = part
    segmentation, wanted, found = node.GetSegmentation(), voxels[place], {}
    for number in range(segmentation.GetNumberOfSegments()):
        other = segmentation.GetNthSegmentID(number)
        if other != segmentId:
            count = int(np.count_nonzero(segmentOnReference(node, other, image) & wanted))
            if count:
                name = segmentation.GetSegment(other).GetName()
                found[name] = found.get(name, 0) + count
    return found
