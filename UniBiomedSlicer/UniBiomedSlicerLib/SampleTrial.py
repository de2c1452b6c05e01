# SPDX-License-Identifier: Apache-2.0
"""The third step of the first run: one sample image, segmented by the engine, into the scene."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.SampleImages import loadSampleImage, sampleImages
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.Signal import Signal
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.SliceGeometry import jumpToSlice


class SampleTrial:
    """``progressed(text, fraction | None)`` while it works, ``finished(ok, sentence)`` once for each ``run``."""

    def __init__(self, service: Any) -> None:
        self.progressed = Signal("SampleTrial.progressed")
        self.finished = Signal("SampleTrial.finished")
        self._service = service
        self._job: Any = None
        self._writing: SlicedWork | None = None

    def isRunning(self) -> bool:
        """Whether ``finished`` is still to come."""
        return self._job is not None or self._writing is not None

    def run(self, name: str) -> None:
        """Load the sample ``name``, ask for its targets, write what is found."""
        if self.isRunning():
            return
        sample = sampleImages()[name]
        try:
            volumeNode = loadSampleImage(name)
        except RuntimeError as error:
            self.finished.emit(False, _("The sample image could not be loaded: {reason}").format(reason=error))
            return
        self.progressed.emit(_("Starting"), None)
        job = self._job = self._service.submit(
            "segment", volumeNode, {"targets": list(sample.targets)}, modality=sample.modality
        )
        job.progressed.connect(self._onProgress)
        job.finished.connect(self._onJob)

    def cancel(self) -> None:
        """Give it up; ``finished(False, …)`` follows."""
        if self._job is not None:
            self._job.cancel()

    def cleanup(self) -> None:
        """Give it up and tell nobody."""
        self.progressed.disconnectAll()
        self.finished.disconnectAll()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        self.cancel()

    def _onProgress(self, stage: str, fraction: float | None, secondsLeft: float | None = None) -> None:
        left = _(", {seconds} s left").format(seconds=round(secondsLeft)) if secondsLeft else ""
        words = {
            "preparing": _("Reading the image"),
            "uploading": _("Handing the image over"),
            "segment": _("Segmenting"),
        }
        self.progressed.emit(f"{words.get(stage, stage)}{left}", fraction)

    def _onJob(self, job: Any) -> None:
        self._job = None
        if job.state != "done":
            self.finished.emit(False, job.message or _("Cancelled."))
            return
        problem = job.volumeChanged()
        volumeNode = job.volumeNode()
        if problem or volumeNode is None:
            self.finished.emit(False, problem or _("The sample image is not in the scene any more."))
            return
        writer = SegmentationWriter(volumeNode)
        result = job.result
        self._writing = SlicedWork(
            writer.writeSteps(result, jobId=job.id),
            lambda value, error: self._onWritten(writer, volumeNode, result, error),
        )

    def _onWritten(self, writer: Any, volumeNode: Any, result: dict[str, Any], error: Exception | None) -> None:
        self._writing = None
        if error is not None:
            self.finished.emit(False, str(error))
            return
        if result["segments"]:
            self._showBest(volumeNode, result)
        self.finished.emit(True, resultSentence(result))

    def _showBest(self, volumeNode: Any, result: dict[str, Any]) -> None:
        """Turn the slice views to the middle of the last target that was found."""
        slices = result["segments"][-1].get("slices") or []
        axis = (result.get("provenance") or {}).get("axis")
        if slices and axis:
            jumpToSlice(volumeNode, axis, slices[len(slices) // 2])


def resultSentence(result: dict[str, Any]) -> str:
    """What was found with its size, and what was not."""
    found = [
        _("{name} {volume} ml").format(name=segment["target"], volume=f"{segment['volume_ml']:.0f}")
        for segment in result["segments"]
    ]
    missed = [str(entry.get("target") or entry.get("phrase")) for entry in result["not_found"]]
    parts = [_("Found: {list}.").format(list=", ".join(found))] if found else []
    if missed:
        parts.append(_("Nothing found for: {list}.").format(list=", ".join(missed)))
    return " ".join([*parts, _("Made by AI; not for clinical use.")])
