# SPDX-License-Identifier: Apache-2.0
"""One search for the selected segment: the job, the masks as they come, and the result until it is used or dropped."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from UniBiomedSegmentLib.PreviewSegments import PreviewSegments
from UniBiomedSlicerLib.BoxMask import Box, fits, union, unpackDocument
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.SliceGeometry import arrayAxis
from UniBiomedSlicerLib.VolumeGeometry import shapeOf

from .EffectPreview import EffectPreview
from .EffectTarget import EffectTarget, Obstacle
from .ReferenceMask import slab

RUNNING = "running"
CANCELLING = "cancelling"
READY = "ready"
EMPTY = "empty"
FAILED = "failed"
CANCELLED = "cancelled"
OVER = "over"


class EffectRun:
    """``state`` is one of the constants above; "over" once its result was applied, added or discarded.

    ``plane`` is (axis, slice index) of the engine's, or None for the whole volume. ``finished(run)`` is emitted once,
    when it is "ready" (``box`` holds the voxels), "empty", "failed" or "cancelled".
    """

    def __init__(
        self,
        service: Any,
        editorNode: Any,
        targets: Sequence[str],
        modality: str | None,
        plane: tuple[str, int] | None,
    ) -> None:
        self.state = RUNNING
        self.message = ""
        self.code = ""
        self.result: dict[str, Any] | None = None
        self.box: Box | None = None
        self.targets = tuple(targets)
        self.plane = plane
        self.progressed = Signal("EffectRun.progressed")  # (stage, fraction | None, secondsLeft | None)
        self.noticed = Signal("EffectRun.noticed")  # (sentence)
        self.finished = Signal("EffectRun.finished")  # (run)
        self.target = EffectTarget(editorNode)
        self._known = list(service.targets or ())
        self._isVisible = True
        self._preview = EffectPreview()
        self._work: SlicedWork | None = None
        volumeNode = editorNode.GetSourceVolumeNode()
        self._arriving = PreviewSegments(SegmentationWriter(volumeNode, self._known))
        parameters: dict[str, Any] = {"targets": list(targets)}
        if plane is not None:
            parameters.update(axis=plane[0], slices=[plane[1]])
        self.job = service.submit("segment", volumeNode, parameters, modality=modality)
        self.job.progressed.connect(self.progressed.emit)
        self.job.noticed.connect(self.noticed.emit)
        self.job.maskArrived.connect(self._onMask)
        self.job.finished.connect(self._onFinished)

    @property
    def isActive(self) -> bool:
        """Whether the engine still works on it."""
        return self.state in (RUNNING, CANCELLING)

    def obstacle(self, editorNode: Any) -> Obstacle | None:
        """Why the result cannot be put into the segment it was meant for; None if it can."""
        problem = self.job.volumeChanged()
        return Obstacle(problem, True) if problem else self.target.obstacle(editorNode)

    def region(self) -> Box | None:
        """The voxels that were searched; None: the whole volume."""
        if self.plane is None:
            return None
        volumeNode = self.target.volumeNode()
        return slab(shapeOf(volumeNode), arrayAxis(volumeNode, self.plane[0]), self.plane[1])

    def setVisible(self, isVisible: bool) -> None:
        """Show or hide the preview of the result."""
        self._isVisible = isVisible
        self._preview.setVisible(isVisible)

    def previewNode(self) -> Any:
        """The segmentation that shows the masks, None while there is none."""
        return self._preview.node() or self._arriving.node()

    def cancel(self) -> None:
        """Stop the engine's work on it."""
        if self.state == RUNNING:
            self.state = CANCELLING
            self._arriving.remove()
            if self._work is None:
                self.job.cancel()
            else:
                self._work.cancel()
                self._end(CANCELLED)

    def close(self) -> None:
        """The result was used, or is not wanted."""
        wasActive, self.state = self.isActive, OVER
        self._arriving.remove()
        self._preview.remove()
        if self._work is not None:
            self._work.cancel()
        if wasActive:
            self.job.cancel()

    def addAsNew(self) -> Any:
        """Put the result into new segments of its segmentation, or of a new one where that is gone, and return the
        node. All other segments stay as they are, whatever the masking settings. ValueError, one sentence."""
        volumeNode = None if self.job.volumeChanged() else self.target.volumeNode()
        node = self.target.segmentationNode()
        writer = SegmentationWriter(volumeNode, self._known)
        if node is None and volumeNode is not None:
            node = writer.createSegmentationNode()
        writer.write(self.result, node, jobId=self.job.id)
        return writer.segmentationNode

    def _onMask(self, event: dict[str, Any]) -> None:
        if self.state == RUNNING and self._isVisible and not self.job.volumeChanged():
            self._arriving.add(event)

    def _onFinished(self, job: Any) -> None:
        self._arriving.remove()
        if not self.isActive:
            return
        self.message, self.code = job.message, job.code
        if job.state == "cancelled" or self.state == CANCELLING:
            self._end(CANCELLED)
        elif job.state == "failed":
            self._end(FAILED)
        else:
            self.result = job.result
            self._work = SlicedWork(self._unpack(), self._onUnpacked)

    def _unpack(self) -> Generator[None, None, Box]:
        """The voxels of all that was found, in one box; ValueError for a document that does not fit its own grid."""
        shape = self.result["provenance"]["shape"]
        boxes = []
        for segment in self.result["segments"]:
            packed = unpackDocument(segment["mask"])
            if not fits(packed.offset, packed.shape, shape):
                raise ValueError(_("a mask lies outside the volume."))
            voxels = np.empty(packed.shape, bool)
            yield from packed.unpackSteps(voxels)
            boxes.append((packed.offset, voxels))
        return union(boxes)

    def _onUnpacked(self, box: Box | None, error: Exception | None) -> None:
        if error is not None:
            self.message = _("The engine's answer cannot be used: {reason}").format(reason=error)
            self._end(FAILED)
            return
        self.box = box
        if not box[1].any():
            self._end(EMPTY)
            return
        volumeNode, node = self.target.volumeNode(), self.target.segmentationNode()
        if volumeNode is not None and not self.job.volumeChanged():
            segment = node.GetSegmentation().GetSegment(self.target.segmentId) if node is not None else None
            self._preview.show(box, volumeNode, segment.GetColor() if segment is not None else (1.0, 1.0, 0.0))
            self._preview.setVisible(self._isVisible)
        self._end(READY)

    def _end(self, state: str) -> None:
        self.state = state
        self.finished.emit(self)
