# SPDX-License-Identifier: Apache-2.0
"""Review of a cohort, without a window: open, next, accept, correct, reject, undo. What the page and scripts use.

    review = CohortReview("/path/to/catalogue", python)
    review.changed.connect(lambda: print(review.stateText))
    review.next()                    # loads volume and segments of the next case
    review.accept("A. Reader")       # accepted as it is, or corrected if the segments were changed

Everything is asynchronous; ``changed()`` follows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib.CohortConversation import CohortConversation
from UniBiomedSlicerLib.Signal import Signal

STRATEGIES = ("least-confident", "most-disagreement", "most-different", "random")


class CohortReview:
    """The state of a review. ``changed()`` whenever something to be shown is different; ``failed(sentence)``.

    ``cases`` are those that wait, next one first; ``current`` the id of the case that is loaded.
    """

    def __init__(self, folder: str, python: str) -> None:
        self.changed = Signal("CohortReview.changed")
        self.failed = Signal("CohortReview.failed")
        self.folder = folder
        self.strategy = STRATEGIES[0]
        self.status: dict[str, Any] = {}
        self.cases: list[dict[str, Any]] = []
        self.current = ""
        self.volumeNode: Any = None
        self.segmentationNode: Any = None
        self._opened: int | None = None
        self._decided: int | None = None
        self._scratch = qt.QTemporaryDir()
        self._conversation = CohortConversation(python, folder)
        self._conversation.ended.connect(self._onEnded)
        self.refresh()

    @property
    def stateText(self) -> str:
        """One sentence: how far the review is."""
        counts = self.status.get("counts", {})
        return _("{reviewed} of {done} cases are reviewed, {failed} failed.").format(
            reviewed=self.status.get("reviewed", 0), done=counts.get("done", 0), failed=counts.get("failed", 0)
        )

    def cleanup(self) -> None:
        """End the review; what was decided is on disk."""
        self.changed.disconnectAll()
        self.failed.disconnectAll()
        self._conversation.cleanup()

    def setStrategy(self, name: str) -> None:
        """Order the queue another way."""
        self.strategy = name
        self.refresh()

    def refresh(self) -> None:
        """Ask for the state and the queue again."""
        self._conversation.ask("status", self._onStatus)
        self._conversation.ask("queue", self._onQueue, strategy=self.strategy)

    def nextCase(self) -> str:
        """The first case of the queue that is not the current one, empty if there is none."""
        return next((case["id"] for case in self.cases if case["id"] != self.current), "")

    def next(self) -> None:
        """Load the next case; see ``open``."""
        if case := self.nextCase():
            self.open(case)

    def open(self, case: str, drop: bool = False) -> None:
        """Load volume and segments of a case in place of the one before, whose nodes are removed.

        Segments of that one which were changed and not accepted are kept and nothing is loaded, unless ``drop``.
        """
        if self.isCorrected() and not drop:
            self.failed.emit(_("The changes of {case} are not accepted yet.").format(case=self.current))
            return
        self._conversation.ask("open", self._onOpened, case=case)

    def isCorrected(self) -> bool:
        """Whether the segments were changed since they were loaded."""
        node = self.segmentationNode
        return node is not None and self._opened is not None and _modified(node) != self._opened

    def accept(self, reviewer: str, note: str = "") -> None:
        """Accept the current case; if its segments were changed they are kept as a correction."""
        if self.isCorrected():
            self.correct(reviewer, note)
        else:
            self._decide("accept", reviewer, note)

    def correct(self, reviewer: str, note: str = "") -> None:
        """Keep the segments as they are now."""
        if not self.current or self.segmentationNode is None:
            return
        path = str(Path(self._scratch.path()) / f"{self.current}.seg.nrrd")
        if not slicer.util.saveNode(self.segmentationNode, path):
            self.failed.emit(_("The segmentation could not be saved to {path}.").format(path=path))
            return
        self._decide("correct", reviewer, note, segmentation=path)

    def reject(self, reviewer: str, note: str = "") -> None:
        """The current case is not to be used."""
        self._decide("reject", reviewer, note)

    def undo(self) -> None:
        """Take the last decision back and load its case again."""
        self._conversation.ask("undo", self._onUndone)

    def _decide(self, verb: str, reviewer: str, note: str, **fields: Any) -> None:
        if not self.current:
            self.failed.emit(_("No case is open; take the next one first."))
        elif not reviewer.strip():
            self.failed.emit(_("Enter your name first: it is kept with the decision."))
        else:
            # What is drawn while the answer is under way is not part of the decision.
            self._decided = _modified(self.segmentationNode)
            self._conversation.ask(verb, self._onDecided, case=self.current, reviewer=reviewer, note=note, **fields)

    def _onStatus(self, answer: dict[str, Any]) -> None:
        if self._isGood(answer):
            self.status = answer
            self.changed.emit()

    def _onQueue(self, answer: dict[str, Any]) -> None:
        if self._isGood(answer):
            self.cases = answer["cases"]
            self.changed.emit()

    def _onOpened(self, answer: dict[str, Any]) -> None:
        if not self._isGood(answer):
            return
        self._removeNodes()
        self.current, self._opened = "", None
        files = answer["files"]
        try:
            self.volumeNode = _loadVolume(Path(files["image"]))
            self.segmentationNode = slicer.util.loadSegmentation(files["segmentation"])
        except (RuntimeError, OSError, ValueError) as error:  # a file that has gone, or that Slicer cannot read
            self._removeNodes()
            self.failed.emit(
                _("The case {case} cannot be loaded: {reason}").format(case=answer["case"]["id"], reason=error)
            )
            self.changed.emit()
            return
        self.segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(self.volumeNode)
        self.current = answer["case"]["id"]
        self._opened = _modified(self.segmentationNode)
        slicer.util.setSliceViewerLayers(background=self.volumeNode, fit=True)
        self.changed.emit()

    def _onDecided(self, answer: dict[str, Any]) -> None:
        if self._isGood(answer):
            self._opened = self._decided
            self.refresh()

    def _onUndone(self, answer: dict[str, Any]) -> None:
        if not self._isGood(answer):
            return
        self.refresh()
        if answer["decision"] is None:
            self.failed.emit(_("There is no decision to take back."))
        else:
            self.open(answer["decision"]["case"])

    def _onEnded(self, message: str) -> None:
        if message:
            self.failed.emit(message)

    def _isGood(self, answer: dict[str, Any]) -> bool:
        if not answer["ok"]:
            self.failed.emit(answer["message"])
        return bool(answer["ok"])

    def _removeNodes(self) -> None:
        for node in (self.segmentationNode, self.volumeNode):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self.segmentationNode = self.volumeNode = None


def _loadVolume(path: Path) -> Any:
    """A file as Slicer loads it; of a DICOM folder its first file, from which Slicer's reader finds the others."""
    if path.is_dir():
        return slicer.util.loadVolume(str(min(path.iterdir())), {"singleFile": False})
    # Numbered pictures would be read as one stack.
    return slicer.util.loadVolume(str(path), {"singleFile": True})


def _modified(node: Any) -> int:
    """Changes when voxels or the list of segments do, not when colours or the visibility do."""
    segmentation = node.GetSegmentation()
    times = [segmentation.GetNumberOfSegments()]
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        image = segment.GetRepresentation("Binary labelmap")
        times.append(image.GetMTime() if image is not None else 0)
    return hash(tuple(times))
