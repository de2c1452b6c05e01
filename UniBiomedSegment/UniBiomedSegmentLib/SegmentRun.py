# SPDX-License-Identifier: Apache-2.0
"""One request on its way: the job, its preview, and where the result goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.Signal import Signal

from UniBiomedSegmentLib.OutputGuard import OutputGuard
from UniBiomedSegmentLib.PreviewSegments import PreviewSegments
from UniBiomedSegmentLib.SegmentRequest import SegmentRequest
from UniBiomedSegmentLib.StepwiseWriter import StepwiseWriter

RUNNING = "running"
CANCELLING = "cancelling"
WRITING = "writing"
DONE = "done"
OFFERED = "offered"
FAILED = "failed"
CANCELLED = "cancelled"
DISCARDED = "discarded"


class SegmentRun:
    """What ``UniBiomedSegmentLogic.segment`` returns.

    ``state`` is one of the constants above. ``finished(run)`` is emitted exactly once, when it is:

    * "done": ``segmentationNode`` (None if nothing was found), ``segmentIds`` by phrase, ``result``;
    * "offered": there is a ``result``, but the volume or the segmentation was deleted or changed meanwhile
      (``message`` says which), so nothing was written. ``addAsNew()`` or ``discard()``; ``settled(run)`` follows;
    * "failed": ``message`` says why in one sentence, ``code`` is the machine-readable reason;
    * "cancelled".

    Before: ``progressed(stage, fraction | None, secondsLeft | None)``, ``noticed(sentence)``, ``stateChanged(run)``.
    """

    def __init__(
        self,
        service: Any,
        volumeNode: Any,
        request: SegmentRequest,
        segmentationNode: Any = None,
        segmentationName: str = "",
        replace: bool = False,
        preview: bool = True,
    ) -> None:
        self.request = request
        self.state = RUNNING
        self.message = ""
        self.code = ""
        self.notices: list[str] = []
        self.result: dict[str, Any] | None = None
        self.segmentationNode: Any = None
        self.segmentIds: dict[str, str] = {}
        self.volumeName = volumeNode.GetName()
        self.progressed = Signal("SegmentRun.progressed")
        self.noticed = Signal("SegmentRun.noticed")
        self.stateChanged = Signal("SegmentRun.stateChanged")
        self.finished = Signal("SegmentRun.finished")
        self.settled = Signal("SegmentRun.settled")

        self.guard = OutputGuard(segmentationNode)
        self._segmentationName = segmentationName
        self._replace = replace
        self._stepwise: StepwiseWriter | None = None
        self._isNew = False
        self._service = service
        self._preview: PreviewSegments | None = None
        self._hasFinished = False
        self.job = service.submit("segment", volumeNode, request.parameters(), modality=request.modality)
        self.job.progressed.connect(self.progressed.emit)
        self.job.stateChanged.connect(self._onJobState)
        self.job.noticed.connect(self._onNotice)
        self.job.finished.connect(self._onJobFinished)
        if preview:
            self.job.maskArrived.connect(self._onMask)

    @property
    def isActive(self) -> bool:
        """Whether it has not ended: the engine works on it, or its result is being written."""
        return self.state in (RUNNING, CANCELLING, WRITING)

    @property
    def notFound(self) -> list[dict[str, Any]]:
        """What was looked for and not seen: records with "target", "phrase", "reason"."""
        return list((self.result or {}).get("not_found") or ())

    def previewNode(self) -> Any:
        """The segmentation that shows the masks as they come, or None."""
        return self._preview.node() if self._preview is not None else None

    def cancel(self) -> None:
        """Stop it; nothing is written. While the result is already being written it is too late: no effect."""
        if self.state == RUNNING:
            self._setState(CANCELLING)
            self._removePreview()
            self.job.cancel()

    def abandon(self) -> None:
        """The scene goes: stop at once, write nothing, offer nothing."""
        if self._stepwise is not None:
            self._stepwise.stop()
        self._removePreview()
        if self.state == OFFERED:
            self.discard()
        elif self.isActive:
            job = self.job
            self._end(CANCELLED, _("The scene was closed."))
            job.cancel()

    def addAsNew(self) -> None:
        """Put an offered result into a new segmentation, where the volume was when the job was started."""
        if self.state == OFFERED:
            self._write(None)

    def discard(self) -> None:
        """Drop an offered result."""
        if self.state == OFFERED:
            self.result = None
            self._setState(DISCARDED)
            self.settled.emit(self)

    def _onMask(self, event: Mapping[str, Any]) -> None:
        if self.state != RUNNING or self.job.volumeChanged():
            return
        if self._preview is None:
            self._preview = PreviewSegments(self._writer(self.job.volumeNode()))
        self._preview.add(event)

    def _onJobState(self, job: Any) -> None:
        if job.state in ("queued", "running") and self.state == RUNNING:
            self.progressed.emit("queued" if job.state == "queued" else "segment", None, None)

    def _onNotice(self, sentence: str) -> None:
        self.notices.append(sentence)
        self.noticed.emit(sentence)

    def _onJobFinished(self, job: Any) -> None:
        if not self.isActive:
            return
        if job.state == "cancelled" or (job.state == "done" and self.state == CANCELLING):
            self._finish(CANCELLED, _("Cancelled; nothing was changed."))
        elif job.state == "failed":
            self.code = job.code
            self._finish(FAILED, job.message)
        else:
            self.result = job.result
            self._deliver()

    def _deliver(self) -> None:
        if not self.result["segments"] and not self.guard.node():
            self._finish(DONE)  # an empty segmentation would only be in the way
            return
        problem = self.job.volumeChanged() or self.guard.problem()
        if problem and self.result["segments"]:
            self._finish(OFFERED, problem)
        elif problem:
            self._finish(DONE)
        else:
            self._write(self.guard.node())

    def _write(self, segmentationNode: Any) -> None:
        self._setState(WRITING)
        # Without a volume that fits, the masks go where the result says that the volume was.
        writer = self._writer(None if self.job.volumeChanged() else self.job.volumeNode())
        self._isNew = segmentationNode is None
        if self._isNew:
            name = self._segmentationName or _("{volume} UniBiomed").format(volume=self.volumeName)
            segmentationNode = writer.createSegmentationNode(name)
        self.segmentationNode = segmentationNode
        self._stepwise = StepwiseWriter(
            writer, segmentationNode, self.result, self._onWritten, replace=self._replace, jobId=self.job.id
        )
        self._stepwise.start()

    def _writer(self, volumeNode: Any) -> SegmentationWriter:
        # Made when it is needed: before the engine has started it has not said its colours.
        return SegmentationWriter(volumeNode, list(self._service.targets or ()))

    def _onWritten(self, problem: str) -> None:
        if problem:
            # What cannot go there, or has lost its place, can still go into a segmentation of its own.
            isHopeless = self._isNew and self.segmentationNode.GetScene() and not self.job.volumeChanged()
            self._removeNew()
            self._end(FAILED if isHopeless else OFFERED, problem)
            return
        byPhrase = {segment["id"]: segment["phrase"] for segment in self.result["segments"]}
        self.segmentIds = {byPhrase[resultId]: own for resultId, own in self._stepwise.segmentIds.items()}
        self._end(DONE)

    def _removeNew(self) -> None:
        """Take back the segmentation that was made for a result that could not be written."""
        node, self.segmentationNode = self.segmentationNode, None
        if self._isNew and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def _end(self, state: str, message: str = "") -> None:
        """The end of the run, or, for one that was offered, of what came after."""
        if not self._hasFinished:
            self._finish(state, message)
            return
        self.message = message
        self._setState(state)
        self.settled.emit(self)

    def _finish(self, state: str, message: str = "") -> None:
        self._removePreview()
        self._hasFinished = True
        self.message = message
        self._setState(state)
        self.finished.emit(self)

    def _removePreview(self) -> None:
        if self._preview is not None:
            self._preview.remove()

    def _setState(self, state: str) -> None:
        self.state = state
        self.stateChanged.emit(self)
