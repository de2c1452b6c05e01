# SPDX-License-Identifier: Apache-2.0
"""Review of a cohort, without a window: open, next, accept, correct, reject, undo. What the page and scripts use.

    review = CohortReview("/path/to/catalogue", python)
    review.changed.connect(lambda: print(review.stateText))
    review.next()                    # loads volume, segments and report of the next case
    review.setText("No findings.")   # a draft a moment later, as everything that is changed
    review.accept("A. Reader")       # accepted as it is, or corrected if segments or text were changed

Everything is asynchronous; ``changed()`` follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from UniBiomedSlicerLib.CohortConversation import CohortConversation
from UniBiomedSlicerLib.CohortNodes import loadSegmentation, loadVolume, modified
from UniBiomedSlicerLib.DraftKeeper import DraftKeeper
from UniBiomedSlicerLib.SegmentationFile import writeSegmentation
from UniBiomedSlicerLib.Signal import Signal

AGAIN_SECONDS = 30.0
"""A draft that could not be saved is tried again after this time."""
_NO_REPORT: dict[str, Any] = {"text": "", "spans": []}

STRATEGIES = ("least-confident", "most-disagreement", "most-different", "random")


class CohortReview(VTKObservationMixin):
    """The state of a review.

    Signals: ``changed()`` whenever something to be shown is different; ``opened()`` when another case, or the same one
    anew, is loaded; ``decided(case)`` when a decision is on disk; ``failed(sentence)``.

    ``cases`` are those that wait, next one first; ``current`` the id of the case that is loaded, ``text`` and ``spans``
    its report (a span is {"start", "end", "segments": [MRML segment ids]}), ``author`` "model" or "reviewer"; ``draft``
    what the engine says of the draft on disk, ``decision`` of what was decided ("verdict", "reviewer"), each None where
    there is none; ``others`` are drafts of other reviewers. Set ``reviewer`` to whose drafts they are.
    """

    def __init__(self, folder: str, python: str) -> None:
        VTKObservationMixin.__init__(self)
        self.changed = Signal("CohortReview.changed")
        self.opened = Signal("CohortReview.opened")
        self.decided = Signal("CohortReview.decided")
        self.failed = Signal("CohortReview.failed")
        self.folder = folder
        self.reviewer = ""
        self.strategy = STRATEGIES[0]
        self.status: dict[str, Any] = {}
        self.cases: list[dict[str, Any]] = []
        self.current = ""
        self.volumeNode: Any = None
        self.segmentationNode: Any = None
        self.text = ""
        self.spans: list[dict[str, Any]] = []
        self.author = "model"
        self.draft: dict[str, Any] | None = None
        self.others: list[dict[str, Any]] = []
        self.decision: dict[str, Any] | None = None
        self._standing: dict[str, Any] = _NO_REPORT
        self._opened: int | None = None
        self._decided: tuple[int, dict[str, Any]] = (0, _NO_REPORT)
        self._isUnsaved = False
        self._leftOpen: list[str] = []
        self._files = 0
        self._scratch = qt.QTemporaryDir()
        self._keeper = DraftKeeper(self._state, self._saveDraft)
        self._conversation = CohortConversation(python, folder)
        self._conversation.ended.connect(self._onEnded)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.refresh()

    @property
    def stateText(self) -> str:
        """One sentence: how far the review is."""
        counts = self.status.get("counts", {})
        return _("{reviewed} of {done} cases are reviewed, {failed} failed.").format(
            reviewed=self.status.get("reviewed", 0), done=counts.get("done", 0), failed=counts.get("failed", 0)
        )

    def cleanup(self) -> None:
        """End the review; what was decided is on disk, what was not is sent as a draft."""
        self._keeper.flush()
        self._keeper.cleanup()
        self.removeObservers()
        for signal in (self.changed, self.opened, self.decided, self.failed):
            signal.disconnectAll()
        self._conversation.cleanup(kept=self._scratch)

    def closeCase(self) -> None:
        """Take the case out of the scene; it stays there, as a last resort, while its changes are not on disk."""
        if not (self._isUnsaved or self._keeper.isBehind()):
            self._keeper.stop()
            self._removeNodes()
            self._forget()

    def setStrategy(self, name: str) -> None:
        """Order the queue another way."""
        self.strategy = name
        self.refresh()

    def refresh(self) -> None:
        """Ask for the state and the queue again."""
        self._conversation.ask("status", self._onStatus)
        self._conversation.ask("queue", self._onQueue, strategy=self.strategy)

    def nextCase(self) -> str:
        """The first case of the queue that was not left undecided in this session, else the one left longest ago.

        Empty if there is none.
        """
        waiting = [case["id"] for case in self.cases if case["id"] != self.current]
        leftAt = {case: number for number, case in enumerate(self._leftOpen)}
        return min(waiting, key=lambda case: leftAt.get(case, -1), default="")

    def next(self) -> None:
        """Load the next case; see ``open``."""
        if case := self.nextCase():
            self.open(case)

    def open(self, case: str, drop: bool = False) -> None:
        """Load volume, segments and report of a case in place of the one before, whose nodes are removed.

        What was changed there is a draft on disk before; where that fails, the case before stays, unless ``drop``.
        """
        if not drop:
            self._keeper.flush()
        self._conversation.ask(
            "open", lambda answer: self._onOpened(answer, case, drop), case=case, reviewer=self.reviewer.strip()
        )

    def setText(self, text: str, spans: Iterable[Mapping[str, Any]] = ()) -> None:
        """The report as it is to be, with what its words speak of."""
        self.text, self.spans = text, [dict(span) for span in spans]

    def isCorrected(self) -> bool:
        """Whether segments or text are others than those that stand in the catalogue."""
        return bool(self.current) and (self._areSegmentsChanged() or self._isTextChanged())

    def accept(self, reviewer: str, note: str = "") -> None:
        """Accept the current case; if its segments or its text were changed they are kept as a correction."""
        if self.isCorrected():
            self.correct(reviewer, note)
        else:
            self._decide("accept", reviewer, note)

    def correct(self, reviewer: str, note: str = "") -> None:
        """Keep the segments and the text as they are now."""
        if not self.current or self.segmentationNode is None or not self._isNamed(reviewer):
            return
        fields = self._changes(everything=not self.isCorrected())
        if fields is not None:
            self._decide("correct", reviewer, note, **fields)

    def reject(self, reviewer: str, note: str = "") -> None:
        """The current case is not to be used; what was changed comes back with an undo."""
        if reviewer.strip():
            self._keeper.flush()
        self._decide("reject", reviewer, note)

    def undo(self) -> None:
        """Take the reviewer's last decision back, without a name the last of all, and load its case again.

        What was changed is a draft again.
        """
        self._keeper.flush()
        self._conversation.ask("undo", self._onUndone, reviewer=self.reviewer.strip())

    def startOver(self) -> None:
        """Drop what was changed, the draft on disk as well, and load the case as it stands."""
        if self.current:
            case = self.current
            self._keeper.settle()
            self._conversation.ask(
                "discard", lambda answer: self._onDiscarded(answer, case), case=case, reviewer=self.reviewer.strip()
            )

    # What is there, and what of it is changed

    def _state(self) -> tuple[Any, ...]:
        node = self.segmentationNode
        return (self.current, modified(node), *self._compared(self.text, self.spans)) if node is not None else ()

    def _areSegmentsChanged(self) -> bool:
        isKept = self.draft is not None and self.draft["segmentation"]
        return isKept or (self._opened is not None and modified(self.segmentationNode) != self._opened)

    def _isTextChanged(self) -> bool:
        return self._compared(self.text, self.spans) != self._compared(**self._standing)

    def _compared(self, text: str, spans: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
        """A report as something to compare."""
        held = self._held(spans)
        return text, tuple(sorted((span["start"], span["end"], tuple(span["segments"])) for span in held))

    def _held(self, spans: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Spans without links to segments that were removed meanwhile."""
        segmentation = self.segmentationNode.GetSegmentation()
        held = []
        for span in spans:
            segments = [one for one in span["segments"] if segmentation.GetSegment(one) is not None]
            if segments:
                held.append({"start": span["start"], "end": span["end"], "segments": segments})
        return held

    def _changes(self, everything: bool = False) -> dict[str, Any] | None:
        """What a correction or a draft holds, the segments as a file; None where they cannot be written."""
        fields: dict[str, Any] = {}
        if everything or self._isTextChanged() or (self.draft is not None and self.draft["text"]):
            fields["text"] = {"text": self.text, "spans": self._held(self.spans)}
        if everything or self._areSegmentsChanged():
            self._files += 1
            path = str(Path(self._scratch.path()) / f"{self.current}-{self._files}.seg.nrrd")
            if not writeSegmentation(self.segmentationNode, path):
                self._isUnsaved = True
                self._keeper.doubt(AGAIN_SECONDS)
                self.failed.emit(_("The segmentation could not be saved to {path}.").format(path=path))
                return None
            fields["segmentation"] = path
        return fields

    # Drafts

    def _saveDraft(self) -> None:
        fields = self._changes()
        if fields == {}:
            self._isUnsaved = False
        elif fields is not None:
            path = fields.get("segmentation", "")
            case = self.current
            self._conversation.ask(
                "draft",
                lambda answer: self._onDrafted(answer, case, path),
                case=case,
                reviewer=self.reviewer.strip(),
                **fields,
            )

    def _onDrafted(self, answer: dict[str, Any], case: str, path: str) -> None:
        _delete(path)
        isOpen = case == self.current
        if not answer["ok"]:
            if isOpen:
                self._isUnsaved = True
                self._keeper.doubt(AGAIN_SECONDS)
            self.failed.emit(_("The draft was not saved: {reason}").format(reason=answer["message"]))
        elif isOpen:
            self._isUnsaved = False
            self.draft = answer["draft"]
            for waiting in self.cases:
                if waiting["id"] == case:
                    waiting["drafts"] = [*{*waiting["drafts"], self.draft["reviewer"]}]
            self.changed.emit()

    def _onDiscarded(self, answer: dict[str, Any], case: str) -> None:
        if self._isGood(answer):
            self.open(case, drop=True)
            self.refresh()
        elif case == self.current:
            self._keeper.doubt()

    def _onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self._keeper.flush()
        self._keeper.stop()
        self.volumeNode = self.segmentationNode = None
        self._forget()
        self.opened.emit()
        self.changed.emit()

    # Decisions

    def _isNamed(self, reviewer: str) -> bool:
        if not reviewer.strip():
            self.failed.emit(_("Enter your name first: it is kept with the decision."))
        return bool(reviewer.strip())

    def _decide(self, verb: str, reviewer: str, note: str, **fields: Any) -> None:
        if not self.current:
            self.failed.emit(_("No case is open; take the next one first."))
        elif self._isNamed(reviewer):
            # What is changed while the answer is under way is not part of the decision.
            report = {"text": self.text, "spans": self.spans}
            self._decided = (modified(self.segmentationNode), report)
            self._keeper.settle()
            case, path = self.current, fields.get("segmentation", "")
            self._conversation.ask(
                verb,
                lambda answer: self._onDecided(answer, case, path, "text" in fields),
                case=case,
                reviewer=reviewer,
                note=note,
                **fields,
            )

    def _onDecided(self, answer: dict[str, Any], case: str, path: str, holdsText: bool) -> None:
        _delete(path)
        isOpen = case == self.current
        if not self._isGood(answer):
            if isOpen:
                # Another case may be on its way already: what was to be decided must not leave before it is a draft.
                self._isUnsaved = self.isCorrected()
                self._keeper.doubt()
            return
        if isOpen:
            self._opened, self._standing = self._decided
            self.author = "reviewer" if holdsText else self.author
            self.draft, self.decision = None, answer["decision"]
            self._isUnsaved = False
        self.decided.emit(case)
        self.refresh()

    def _onUndone(self, answer: dict[str, Any]) -> None:
        if not self._isGood(answer):
            return
        self.refresh()
        if answer["decision"] is None:
            self.failed.emit(_("You have no decision to take back."))
        else:
            self.open(answer["decision"]["case"])

    # Answers

    def _onStatus(self, answer: dict[str, Any]) -> None:
        if self._isGood(answer):
            self.status = answer
            self.changed.emit()

    def _onQueue(self, answer: dict[str, Any]) -> None:
        if self._isGood(answer):
            self.cases = answer["cases"]
            self.changed.emit()

    def _onOpened(self, answer: dict[str, Any], case: str, drop: bool) -> None:
        if not self._isGood(answer):
            self._leave(case)
            return
        if self._isUnsaved and not drop and self.current:
            self.failed.emit(_("The changes of {case} could not be saved, so it stays open.").format(case=self.current))
            return
        files, report = answer["files"], answer["report"]
        if not drop and self._keeper.isBehind():
            self.open(case)  # something was changed since it was asked for, in the same case perhaps
            return
        if self.current and self.current != case:
            self._leave(self.current)
        self._keeper.stop()
        self._removeNodes()
        self._forget()
        try:
            self.volumeNode = loadVolume(Path(files["image"]), files["first"])
            self.segmentationNode = loadSegmentation(files["segmentation"], case)
        except (RuntimeError, OSError, ValueError) as error:  # a file that has gone, or that Slicer cannot read
            self._removeNodes()
            self._leave(case)
            self.failed.emit(_("The case {case} cannot be loaded: {reason}").format(case=case, reason=error))
            self.opened.emit()
            self.changed.emit()
            return
        self.segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(self.volumeNode)
        self.current = case
        self.text, self.spans, self.author = report["text"], report["spans"], report["author"]
        self.draft, self.others = answer["draft"], answer["others"]
        self.decision = answer["case"] if answer["case"]["verdict"] else None
        self._standing = {"text": answer["standing"]["text"], "spans": answer["standing"]["spans"]}
        self._opened = modified(self.segmentationNode)
        self._keeper.start()
        slicer.util.setSliceViewerLayers(background=self.volumeNode, fit=True)
        if answer["problem"]:
            self.failed.emit(answer["problem"])
        self.opened.emit()
        self.changed.emit()

    def _onEnded(self, message: str) -> None:
        if message:
            self.failed.emit(message)

    def _isGood(self, answer: dict[str, Any]) -> bool:
        if not answer["ok"]:
            self.failed.emit(answer["message"])
        return bool(answer["ok"])

    def _leave(self, case: str) -> None:
        """``next`` offers the others first."""
        self._leftOpen = [one for one in self._leftOpen if one != case] + [case]

    def _forget(self) -> None:
        """No case is open."""
        self.current, self.text, self.spans, self.author = "", "", [], "model"
        self.draft, self.decision, self.others = None, None, []
        self._standing, self._opened, self._isUnsaved = _NO_REPORT, None, False

    def _removeNodes(self) -> None:
        for node in (self.segmentationNode, self.volumeNode):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self.segmentationNode = self.volumeNode = None


def _delete(path: str) -> None:
    """A file of the scratch folder that the engine has copied."""
    if path:
        Path(path).unlink(missing_ok=True)
