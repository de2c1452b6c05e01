# SPDX-License-Identifier: Apache-2.0
"""The report of the case that is reviewed: read, edited, its words tied to segments."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.CohortReview import CohortReview
from UniBiomedSlicerLib.GroundedTextView import GroundedTextView
from UniBiomedSlicerLib.PanelTools import showText
from UniBiomedSlicerLib.SegmentHighlighter import SegmentHighlighter
from UniBiomedSlicerLib.SegmentVoxels import boxOf, largestSlice
from UniBiomedSlicerLib.SliceGeometry import arrayAxis, defaultAxis, jumpToSlice

FLASH_MS = 1500


class CohortText:
    """Drives ``reportText``, ``reportLabel``, ``segmentCombo`` and ``linkButton`` of the page."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._review: CohortReview | None = None
        self._highlighter = SegmentHighlighter()
        self.view = GroundedTextView(ui.reportText, self._color, self._name)
        self._flashTimer = qt.QTimer()
        self._flashTimer.setSingleShot(True)
        self._flashTimer.setInterval(FLASH_MS)
        self._flashTimer.connect("timeout()", self._highlighter.clear)
        self.view.hovered.connect(self._onHovered)
        self.view.clicked.connect(self._onClicked)
        self.view.edited.connect(self._onEdited)
        ui.linkButton.connect("clicked()", self._onLink)
        self.show(None)

    def cleanup(self) -> None:
        """Let go of the widgets, and leave nothing dimmed."""
        self._flashTimer.stop()
        self._flashTimer.disconnect("timeout()", self._highlighter.clear)
        self._ui.linkButton.disconnect("clicked()", self._onLink)
        self._highlighter.clear()
        self.view.cleanup()

    def show(self, review: CohortReview | None) -> None:
        """Show the report of the case that is open now."""
        self._flashTimer.stop()
        self._highlighter.clear()
        self._review = review if review is not None and review.current else None
        if self._review is None:
            self.view.show("", [], isEditable=False)
        else:
            self.view.show(self._review.text, self._review.spans)
        self.refresh()

    def refresh(self) -> None:
        """Show which segments there are, and who wrote the report."""
        combo, segments = self._ui.segmentCombo, self._segments()
        chosen = combo.itemData(combo.currentIndex) if combo.count else None
        if [combo.itemData(index) for index in range(combo.count)] != list(segments):
            combo.clear()
            for segmentId, name in segments.items():
                combo.addItem(name, segmentId)
            combo.setCurrentIndex(max(0, combo.findData(chosen)) if segments else -1)
        else:
            for index, name in enumerate(segments.values()):
                combo.setItemText(index, name)
        combo.setEnabled(bool(segments))
        self._ui.linkButton.setEnabled(bool(segments))
        self._ui.reportText.setEnabled(self._review is not None)
        self.view.paint()
        showText(self._ui.authorLabel, self._author())

    def _author(self) -> str:
        review = self._review
        if review is None:
            return ""
        if review.author == "reviewer" or (review.draft is not None and review.draft["text"]):
            return _("Edited by a person.")
        return _("By the model.") if review.text else _("The model wrote none; you may write one.")

    def _segments(self) -> dict[str, str]:
        if self._review is None or self._review.segmentationNode is None:
            return {}
        segmentation = self._review.segmentationNode.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
        return {one: segmentation.GetSegment(one).GetName() for one in ids}

    def _segment(self, segmentId: str) -> Any:
        node = self._review.segmentationNode if self._review is not None else None
        return node.GetSegmentation().GetSegment(segmentId) if node is not None else None

    def _color(self, segmentId: str) -> tuple[int, int, int] | None:
        segment = self._segment(segmentId)
        return None if segment is None else tuple(round(255 * part) for part in segment.GetColor())

    def _name(self, segmentId: str) -> str:
        segment = self._segment(segmentId)
        return segment.GetName() if segment is not None else ""

    def _onEdited(self) -> None:
        if self._review is not None:
            self._review.setText(self.view.text, self.view.spans())

    def _onLink(self) -> None:
        combo = self._ui.segmentCombo
        if self._review is not None and combo.count:
            self.view.link([str(combo.itemData(combo.currentIndex))])
            self._ui.reportText.setFocus()

    def _onHovered(self, segmentIds: list[str]) -> None:
        self._flashTimer.stop()
        self._highlighter.clear()
        if segmentIds and self._review is not None:
            self._highlighter.emphasise(self._review.segmentationNode, segmentIds)

    def _onClicked(self, segmentIds: list[str]) -> None:
        """Go to the largest cut of the first segment that the words speak of."""
        review = self._review
        if review is None or not segmentIds:
            return
        self.view.mark(segmentIds)
        self._highlighter.emphasise(review.segmentationNode, segmentIds)
        self._flashTimer.start()
        index = self._ui.segmentCombo.findData(segmentIds[0])
        if index >= 0:
            self._ui.segmentCombo.setCurrentIndex(index)
        box = boxOf(review.segmentationNode, segmentIds[0], review.volumeNode)
        if box is not None:
            axis = defaultAxis(review.volumeNode)
            jumpToSlice(review.volumeNode, axis, *largestSlice(box, arrayAxis(review.volumeNode, axis)))
