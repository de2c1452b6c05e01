# SPDX-License-Identifier: Apache-2.0
"""What UniBiomed Segment does, without a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic
from UniBiomedSlicerLib.EngineService import engineService

from UniBiomedSegmentLib.SegmentRequest import SegmentRequest
from UniBiomedSegmentLib.SegmentRun import WRITING, SegmentRun


class UniBiomedSegmentLogic(ScriptedLoadableModuleLogic):
    """Segments what is named in words. Everything returns at once; Slicer stays usable while the engine works.

    In Slicer's Python console, with a CT loaded::

        from UniBiomedSegment import UniBiomedSegmentLogic

        logic = UniBiomedSegmentLogic()
        volume = slicer.util.getNode("CTChest")

        def onFinished(run):
            print(run.state, run.message)              # done | offered | failed | cancelled
            print(run.segmentationNode, run.segmentIds)  # the node, {"left lung in chest CT": "Segment_1", ...}
            print([entry["target"] for entry in run.notFound])

        run = logic.segment(volume, ["left lung", "right lung"], onFinished=onFinished)
        # run.cancel() stops it.

    The engine is started if need be. AI generated, not for clinical use.
    """

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        self.runs: list[SegmentRun] = []
        self._sharing: dict[SegmentRun, list[SegmentRun]] = {}
        self._scene = slicer.mrmlScene
        self._sceneTag = self._scene.AddObserver(self._scene.StartCloseEvent, self._onSceneStartClose)

    def segment(
        self,
        volumeNode: Any,
        targets: str | Iterable[str],
        *,
        modality: str | None = None,
        window: str | None = None,
        axis: str | None = None,
        slices: Iterable[int] | None = None,
        method: str = "slices",
        keySlice: int | None = None,
        clean: bool = False,
        segmentationNode: Any = None,
        segmentationName: str = "",
        replace: bool = False,
        preview: bool = True,
        onFinished: Callable[[SegmentRun], None] | None = None,
    ) -> SegmentRun:
        """Segment ``targets`` in ``volumeNode``; returns the run at once and calls ``onFinished(run)`` once at its end.

        :param volumeNode: a scalar volume, or a colour picture as a vector volume.
        :param targets: names ("liver") or phrases ("liver in abdomen CT") of what the model knows.
        :param modality: "CT", "MRI", "X-Ray" ...; None: from the volume, else what the targets imply.
        :param window: a window's name ("ct-lung"), "width/level" or "1%-99%"; None: chosen for the modality.
        :param axis: "axial", "coronal" or "sagittal", the slices that the model sees; None: the plane of acquisition.
        :param slices: slice numbers, voxel indices along that axis; None: all.
        :param method: "slices" asks on each slice; "propagate" follows each target from ``keySlice`` (None: the slice
            where the model is surest) to both sides.
        :param clean: remove small islands and fill holes.
        :param segmentationNode: where the segments are added; None: a new one, named ``segmentationName`` or after the
            volume. It is only made when something is found.
        :param replace: segments that the model made there for the same phrase before are replaced.
        :param preview: show masks while they come.

        Raises ValueError, one sentence, if nothing can be asked; every later problem ends the run ("failed").
        """
        if volumeNode is None or volumeNode.GetScene() is None:
            raise ValueError(_("No volume is selected; load or choose one first."))
        request = SegmentRequest.of(
            targets, slices, modality=modality, window=window, axis=axis, method=method, keySlice=keySlice, clean=clean
        )
        run = SegmentRun(
            engineService(),
            volumeNode,
            request,
            segmentationNode=segmentationNode,
            segmentationName=segmentationName,
            replace=replace,
            preview=preview,
        )
        self.runs.append(run)
        run.stateChanged.connect(self._onRunState)
        run.finished.connect(self._onRunEnded)
        run.settled.connect(self._onRunEnded)
        if onFinished is not None:
            run.finished.connect(onFinished)
        return run

    def activeRuns(self) -> list[SegmentRun]:
        """The runs that have not ended."""
        return [run for run in self.runs if run.isActive]

    def offeredRuns(self) -> list[SegmentRun]:
        """The runs whose result waits for a decision, oldest first."""
        return [run for run in self.runs if run.state == "offered"]

    def cleanup(self) -> None:
        """Stop all that runs and let go of the scene; the logic is not used any more."""
        self._abandonAll()
        self._scene.RemoveObserver(self._sceneTag)

    def _onRunState(self, run: SegmentRun) -> None:
        # What one run writes is no reason to withhold the result of another one for the same segmentation.
        if run.state == WRITING:
            self._sharing[run] = [
                other
                for other in self.activeRuns()
                if other is not run and other.guard.node() is not None and not other.guard.problem()
            ]

    def _onRunEnded(self, run: SegmentRun) -> None:
        for other in self._sharing.pop(run, ()):
            if other.guard.node() is run.segmentationNode:
                other.guard.accept()
        if run.state != "offered" and run in self.runs:
            self.runs.remove(run)

    def _abandonAll(self) -> None:
        for run in list(self.runs):
            run.abandon()
        self.runs.clear()

    def _onSceneStartClose(self, caller: Any = None, event: Any = None) -> None:
        self._abandonAll()
