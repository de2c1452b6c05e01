# SPDX-License-Identifier: Apache-2.0
"""Puts the masks of a result into a segmentation node: on the volume's voxels, named, coded, coloured, traceable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib import SegmentTags as tags
from UniBiomedSlicerLib.BoxMask import Offset, decode, fits
from UniBiomedSlicerLib.SegmentationPlan import PlannedSegment, SegmentationError, SegmentationPlan, otherGrid
from UniBiomedSlicerLib.SegmentColors import segmentColors
from UniBiomedSlicerLib.SegmentPreview import SegmentPreview
from UniBiomedSlicerLib.SegmentReplacement import SegmentReplacement
from UniBiomedSlicerLib.SegmentTags import BINARY, SegmentInfo
from UniBiomedSlicerLib.Terminology import Terminology
from UniBiomedSlicerLib.VoxelGrid import VoxelGrid

_OTHER_REPRESENTATIONS = ("Closed surface", "Fractional labelmap", "Planar contour", "Ribbon model")

__all__ = ["SegmentInfo", "SegmentationError", "SegmentationWriter"]


class SegmentationWriter:
    """Writes results for one volume, or, with ``volumeNode`` None, onto the grid that each result remembers.

    ``targets`` are those of the engine's capabilities (codes and colours); None takes those of the running service.
    ``segmentationNode`` is the node written to last, ``written`` maps the result's segment ids to MRML segment ids.
    """

    def __init__(self, volumeNode: Any, targets: Iterable[Mapping[str, Any]] | None = None, scene: Any = None) -> None:
        self.volumeNode = volumeNode
        self.segmentationNode: Any = None
        self.written: dict[str, str] = {}
        self._scene = scene or (volumeNode.GetScene() if volumeNode is not None else slicer.mrmlScene)
        self._terminology = Terminology(_serviceTargets() if targets is None else targets)
        self._previews: dict[str, SegmentPreview] = {}

    def createSegmentationNode(self, name: str = "") -> Any:
        """Return a new, empty segmentation on the volume's grid, under its transform and in its study."""
        volumeName = self.volumeNode.GetName() if self.volumeNode is not None else ""
        base = name or _("{volume} UniBiomed").format(volume=volumeName).strip()
        node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", self._scene.GenerateUniqueName(base))
        node.CreateDefaultDisplayNodes()
        if self.volumeNode is not None:
            self._place(node, VoxelGrid.ofVolume(self.volumeNode))
        return node

    def write(
        self, result: Mapping[str, Any], segmentationNode: Any = None, replace: bool = False, jobId: str = ""
    ) -> dict[str, str]:
        """Write every segment of ``result`` and return {result segment id: MRML segment id}.

        Without a node a new one is made if the result has segments. With ``replace`` segments of the same phrase that
        nobody edited get the new voxels and keep id, name and colour; edited ones stay and a new one is added. All
        other segments are left as they are. Raises SegmentationError, one sentence, before anything is changed.
        """
        for _fraction in self.writeSteps(result, segmentationNode, replace, jobId):
            pass
        return self.written

    def writeSteps(
        self, result: Mapping[str, Any], segmentationNode: Any = None, replace: bool = False, jobId: str = ""
    ) -> Iterator[float]:
        """Do what :meth:`write` does in short steps, yielding the fraction done; ``written`` holds the ids at the end.

        The scene is changed in the last step only, so that it can be given up in between.
        """
        self.written = {}
        grid = self._grid(result)
        if segmentationNode is not None:
            self._checkTarget(segmentationNode, grid)
        plan = SegmentationPlan(result, grid)
        for fraction in plan.steps():
            yield 0.9 * fraction
        self._checkStillThere(segmentationNode)
        replacement = None
        if replace and segmentationNode is not None:
            replacement = SegmentReplacement(segmentationNode, {entry.item["phrase"] for entry in plan.segments})
            for _step in replacement.steps():
                yield 0.95
            self._checkStillThere(segmentationNode)
        if segmentationNode is not None or plan.segments:
            self._commit(result, plan, grid, segmentationNode, replacement, jobId)
        yield 1.0

    def startSegment(self, segmentationNode: Any, phrase: str, target: str = "", kind: str = "unknown") -> str:
        """Return the MRML segment id of a segment whose mask arrives slice by slice; the same one for a phrase."""
        preview = self._preview(segmentationNode)
        known = preview.segmentOfPhrase(phrase)
        if known:
            return known
        segmentation = segmentationNode.GetSegmentation()
        target = target or phrase.partition(" in ")[0]
        segment = self._newSegment(uniqueName(segmentation, target), phrase, target, kind)
        color = self._colors([{"id": phrase, "phrase": phrase, "target": target, "kind": kind}], segmentation)[phrase]
        segment.SetColor(*(part / 255 for part in color))
        return preview.add(segment, phrase)

    def addSlice(
        self, segmentationNode: Any, segmentId: str, mask: Mapping[str, Any] | tuple[Offset, np.ndarray]
    ) -> None:
        """Add the voxels of ``mask`` (the JSON form, or offset and box) to a segment of :meth:`startSegment`.

        Only the voxels of the mask's box are touched, whatever the size of the volume.
        """
        offset, box = decode(mask) if isinstance(mask, Mapping) else mask
        preview = self._preview(segmentationNode)
        if not fits(offset, box.shape, preview.grid.shape):
            raise SegmentationError(otherGrid(preview.grid))
        preview.addBox(segmentId, offset, box)

    def dropPreview(self, segmentationNode: Any) -> None:
        """Remove the segments of :meth:`startSegment` that no result has made final."""
        preview = self._previews.pop(segmentationNode.GetID(), None)
        if preview is not None:
            preview.drop()

    @staticmethod
    def segmentsOf(segmentationNode: Any) -> list[SegmentInfo]:
        """Return the segments that came from the engine, in the order of the segmentation."""
        return tags.segmentsOf(segmentationNode)

    def _grid(self, result: Mapping[str, Any]) -> VoxelGrid:
        if self.volumeNode is not None:
            return VoxelGrid.ofVolume(self.volumeNode)
        try:
            return VoxelGrid.ofResult(result)
        except ValueError as error:
            raise SegmentationError(_("The masks cannot be placed: {reason}.").format(reason=error)) from error

    def _preview(self, segmentationNode: Any) -> SegmentPreview:
        key = segmentationNode.GetID()
        if key not in self._previews:
            if self.volumeNode is None:
                raise SegmentationError(_("The volume is gone, so masks cannot be shown as they come."))
            grid = VoxelGrid.ofVolume(self.volumeNode)
            self._checkTarget(segmentationNode, grid)
            self._prepare(segmentationNode, grid)
            self._previews[key] = SegmentPreview(segmentationNode, grid)
        return self._previews[key]

    def _place(self, node: Any, grid: VoxelGrid) -> None:
        """Same transform, reference geometry and study as the volume."""
        node.SetAndObserveTransformNodeID(grid.transformNode.GetID() if grid.transformNode is not None else None)
        grid.setReference(node)
        hierarchy = node.GetScene().GetSubjectHierarchyNode()
        if hierarchy is None or grid.volumeNode is None:
            return
        volumeItem, nodeItem = hierarchy.GetItemByDataNode(grid.volumeNode), hierarchy.GetItemByDataNode(node)
        if volumeItem and nodeItem:
            hierarchy.SetItemParent(nodeItem, hierarchy.GetItemParent(volumeItem))

    def _prepare(self, segmentationNode: Any, grid: VoxelGrid) -> None:
        """A segmentation without segments takes the volume's place; one in use stays where its owner put it."""
        segmentation = segmentationNode.GetSegmentation()
        if not segmentation.GetNumberOfSegments():
            segmentation.SetSourceRepresentationName(BINARY)
            self._place(segmentationNode, grid)

    def _checkTarget(self, segmentationNode: Any, grid: VoxelGrid) -> None:
        segmentation = segmentationNode.GetSegmentation()
        if not segmentation.GetNumberOfSegments():
            return
        if segmentation.GetSourceRepresentationName() != BINARY:
            raise SegmentationError(
                _(
                    'The segments of "{name}" are kept as {kind}, not as voxels; choose another segmentation, or make '
                    "the binary labelmap its source representation in the Segmentations module."
                ).format(name=segmentationNode.GetName(), kind=segmentation.GetSourceRepresentationName())
            )
        grid.imageToWorld(segmentationNode)

    def _checkStillThere(self, segmentationNode: Any) -> None:
        """Between two steps the user may have deleted what the result belongs to."""
        if self.volumeNode is not None and self.volumeNode.GetScene() is not self._scene:
            raise SegmentationError(
                _('The volume "{name}" was deleted, so the masks were not written.').format(
                    name=self.volumeNode.GetName()
                )
            )
        if segmentationNode is not None and segmentationNode.GetScene() is not self._scene:
            raise SegmentationError(
                _('The segmentation "{name}" was deleted, so the masks were not written.').format(
                    name=segmentationNode.GetName()
                )
            )

    def _commit(
        self,
        result: Mapping[str, Any],
        plan: SegmentationPlan,
        grid: VoxelGrid,
        segmentationNode: Any,
        replacement: SegmentReplacement | None,
        jobId: str,
    ) -> None:
        node = segmentationNode if segmentationNode is not None else self.createSegmentationNode()
        self.segmentationNode = node
        self._prepare(node, grid)
        segmentation = node.GetSegmentation()
        provenance = result.get("provenance", {})
        wasModifying = node.StartModify()
        try:
            removed = self._choosePlaces(plan.segments, node, replacement)
            replaced = [planned.segmentId for planned in plan.segments if planned.segmentId]
            colors = self._colors([planned.item for planned in plan.segments if not planned.segmentId], segmentation)
            images = plan.images(node)
            for index, planned in enumerate(plan.segments):
                image, label = images[index]
                segment = segmentation.GetSegment(planned.segmentId) if planned.segmentId else None
                isNew = segment is None
                if isNew:
                    name = uniqueName(segmentation, planned.name)
                    segment = self._newSegment(name, planned.item["phrase"], planned.item["target"], planned.kind)
                    segment.SetColor(*(part / 255 for part in colors[planned.item["id"]]))
                segment.SetLabelValue(label)
                segment.AddRepresentation(BINARY, image)
                tags.setResult(segment, planned.item, planned.fingerprint, jobId, provenance)
                _markForReview(segment)
                if isNew:
                    planned.segmentId = tags.newSegmentId(segmentation, segment)
                    segmentation.AddSegment(segment, planned.segmentId)
                self.written[planned.item["id"]] = planned.segmentId
            for segmentId in removed:
                segmentation.RemoveSegment(segmentId)
            tags.setProvenance(node, result, jobId)
        finally:
            node.EndModify(wasModifying)
        _convertAgain(node, replaced)
        for segmentId in replaced:
            segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentId)
        self.dropPreview(node)

    def _choosePlaces(
        self, planned: list[PlannedSegment], segmentationNode: Any, replacement: SegmentReplacement | None
    ) -> list[str]:
        """Give segments the ones that they replace (unedited ones, previews); return those left without a follower."""
        preview = self._previews.get(segmentationNode.GetID())
        growing = preview.segmentIds if preview is not None else ()
        free: dict[str, list[str]] = {}
        for phrase in dict.fromkeys(entry.item["phrase"] for entry in planned):
            # An old segment keeps its id before a preview does: reports point to it.
            free[phrase] = replacement.segmentIds(phrase) if replacement is not None else []
            free[phrase] += [segmentId for segmentId in growing if preview.phraseOf(segmentId) == phrase]
        old = []
        for entry in planned:
            if not free[entry.item["phrase"]]:
                continue
            entry.segmentId = free[entry.item["phrase"]].pop(0)
            if entry.segmentId in growing:
                preview.release(entry.segmentId)
            else:
                old.append(entry.segmentId)
        if replacement is not None:
            replacement.clear(old)
        return [segmentId for ids in free.values() for segmentId in ids if segmentId not in growing]

    def _colors(self, items: Iterable[Mapping[str, Any]], segmentation: Any) -> dict[str, tuple[int, int, int]]:
        items = [{**item, "kind": item.get("kind", "unknown")} for item in items]
        usual = {}
        for item in items:
            color = self._terminology.color(item["phrase"], item["target"])
            if color is not None:
                usual[item["phrase"]] = color
        segments = (segmentation.GetNthSegment(index) for index in range(segmentation.GetNumberOfSegments()))
        taken = [tuple(round(part * 255) for part in segment.GetColor()) for segment in segments]
        return segmentColors(items, usual, taken)

    def _newSegment(self, name: str, phrase: str, target: str, kind: str) -> Any:
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetNameAutoGenerated(False)
        segment.SetColorAutoGenerated(False)
        segment.SetTerminology(self._terminology.entry(phrase, target, kind))
        tags.setPhrase(segment, phrase, target, kind)
        return segment


def uniqueName(segmentation: Any, name: str) -> str:
    """Return ``name``, with a number behind it where a segment is called so already."""
    taken = {segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())}
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name} ({number})", number + 1
    return unique


def _markForReview(segment: Any) -> None:
    """In progress: a result waits for a person to look at it."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segment, logic.InProgress)


def _convertAgain(segmentationNode: Any, segmentIds: list[str]) -> None:
    """Bring the closed surface and the like up to date where the user asked for them."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentIds and any(segmentation.ContainsRepresentation(name) for name in _OTHER_REPRESENTATIONS):
        slicer.vtkSlicerSegmentationsModuleLogic.ReconvertAllRepresentations(segmentationNode, segmentIds)


def _serviceTargets() -> list[Mapping[str, Any]]:
    """The targets of the engine that runs now, if one does."""
    service = getattr(getattr(slicer, "modules", None), "UniBiomedEngineService", None)
    capabilities = getattr(service, "capabilities", None) or {}
    return list(capabilities.get("targets") or ())
