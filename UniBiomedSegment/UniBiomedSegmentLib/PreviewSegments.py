# SPDX-License-Identifier: Apache-2.0
"""The masks of a running job, shown as they come.

They live in a segmentation of their own that is neither saved nor offered for editing and goes when the job ends, so
that a cancelled job leaves the scene as it was.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from UniBiomedSlicerLib.BoxMask import Box, decode, union

INTERVAL_MS = 200
BUDGET_S = 0.02


class PreviewSegments:
    """Takes slices of masks at any rate and puts them into the scene at most five times a second, for no longer than
    ``BUDGET_S`` at a time: what is left waits for the next time. ``writer``: a ``SegmentationWriter`` of the volume."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._segmentIds: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._node: Any = None
        self._isScheduled = False

    def node(self) -> Any:
        """The preview's segmentation, None before the first mask and after the end."""
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    def segmentIds(self) -> dict[str, str]:
        """Segment IDs by the phrase that was asked for."""
        return dict(self._segmentIds)

    def add(self, mask: Mapping[str, Any]) -> None:
        """Show a job's mask event {"target", "phrase", "slice", "mask"} soon."""
        self._waiting.append(mask)
        self._schedule()

    def remove(self) -> None:
        """Take the preview out of the scene; masks that still come are dropped."""
        self._waiting.clear()
        self._segmentIds.clear()
        node, self._node = self.node(), None
        if node is not None:
            node.GetScene().RemoveNode(node)
            # Else its end would separate each segment from the labelmap they share: two passes over the whole volume.
            segmentation = node.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                segmentation.GetNthSegment(index).RemoveAllRepresentations()

    def _schedule(self) -> None:
        if not self._isScheduled:
            # Not a timer of its own: connected to a method of its owner it would keep all masks alive in Slicer.
            self._isScheduled = True
            qt.QTimer.singleShot(INTERVAL_MS, self._show)

    def _show(self) -> None:
        self._isScheduled = False
        if not self._waiting:
            return
        if self._node is not None and self.node() is None:  # the user deleted it: no preview is wanted
            self._waiting.clear()
            return
        until = time.monotonic() + BUDGET_S
        if self._node is None:
            self._node = self._newNode()
        arrived: dict[str, list[Box]] = {}
        while self._waiting and time.monotonic() < until:
            event = self._waiting.popleft()
            try:
                box = decode(event["mask"])
            except ValueError:  # the final result is checked by itself
                logging.exception("UniBiomed: a mask could not be shown while the job was running")
                continue
            arrived.setdefault(event.get("phrase") or event["target"], []).append(box)
            self._names.setdefault(event.get("phrase") or event["target"], event.get("target", ""))
        for phrase, boxes in arrived.items():
            self._put(phrase, boxes)
        if self._waiting:
            self._schedule()

    def _put(self, phrase: str, boxes: list[Box]) -> None:
        """Views follow every change of a segment, so that all that has arrived is put there at once."""
        try:
            if phrase not in self._segmentIds:
                self._segmentIds[phrase] = self._writer.startSegment(self._node, phrase, self._names[phrase])
            self._writer.addSlice(self._node, self._segmentIds[phrase], union(boxes))
        except ValueError:
            logging.exception("UniBiomed: a mask could not be shown while the job was running")

    def _newNode(self) -> Any:
        node = self._writer.createSegmentationNode(_("UniBiomed preview"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetUndoEnabled(False)
        displayNode = node.GetDisplayNode()
        if displayNode is not None:
            displayNode.SetSaveWithScene(False)
            displayNode.SetOpacity2DFill(0.35)
        storageNode = node.GetStorageNode()
        if storageNode is not None:
            slicer.mrmlScene.RemoveNode(storageNode)
        return node
