# SPDX-License-Identifier: Apache-2.0
"""Everything that the module does, without its window.

    import slicer
    from UniBiomedReportLib.Logic import UniBiomedReportLogic

    logic = UniBiomedReportLogic()
    task = logic.interpret(slicer.util.getNode("CTACardio"))

    def done(task):
        if task.state == "stored":
            print(logic.store.document(task.reportNode)["text"])
            logic.export(task.reportNode, "/tmp/report.html")
        else:
            print(task.state, task.message)

    task.finished.connect(done)

Nothing waits: every method returns at once and the rest comes by signals from Slicer's event loop. A result whose
volume was changed meanwhile is offered (``task.offered``) and kept by ``task.keep()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic
from UniBiomedSlicerLib.EngineService import engineService
from UniBiomedSlicerLib.ReportStore import SEGMENTATION_ROLE, ReportError, ReportStore
from UniBiomedSlicerLib.SegmentationWriter import SegmentationError, SegmentationWriter
from UniBiomedSlicerLib.SegmentRegion import segmentRegion
from UniBiomedSlicerLib.SegmentVoxels import boxOf, cutAt, largestSlice
from UniBiomedSlicerLib.SlicedWork import SlicedWork
from UniBiomedSlicerLib.SliceGeometry import arrayAxis, jumpToSlice

from UniBiomedReportLib import Exporters, Questions, ReportDocument
from UniBiomedReportLib.Conversation import Conversation
from UniBiomedReportLib.Figures import FIGURES, figuresOf, withoutVoxels
from UniBiomedReportLib.HtmlReport import plain
from UniBiomedReportLib.ReportTask import ReportTask

Done = Callable[[str], None]


class UniBiomedReportLogic(ScriptedLoadableModuleLogic):
    """Reads volumes, keeps reports in the scene and writes them to files; see the module for an example.

    ``scene`` and ``service`` are Slicer's own unless given. ``axis`` is "axial", "coronal" or "sagittal",
    ``sliceIndex`` the voxel index along it; ``modality`` one of the engine's words and ``window`` a name, "width/level"
    or None (chosen by the engine).
    """

    def __init__(self, parent: Any = None, scene: Any = None, service: Any = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        self._scene = scene
        self._service = service
        self._exports: list[SlicedWork] = []
        self._store: ReportStore | None = None

    @property
    def service(self) -> Any:
        """The engine."""
        return self._service if self._service is not None else engineService()

    @property
    def store(self) -> ReportStore:
        """The reports of the scene."""
        scene = self._scene if self._scene is not None else slicer.mrmlScene
        if self._store is None or self._store.scene is not scene:
            self._store = ReportStore(scene)
        return self._store

    # Reading

    def interpret(self, volumeNode: Any, anatomy: bool = True, **options: Any) -> ReportTask:
        """Read the whole volume: what it shows, its anatomy and what is wrong with it."""
        title = _("Interpretation of {volume}").format(volume=volumeNode.GetName())
        return self._submit("interpret", title, volumeNode, {"anatomy": anatomy}, options)

    def report(
        self, volumeNode: Any, axis: str | None = None, sliceIndex: int | None = None, **options: Any
    ) -> ReportTask:
        """Write the grounded report of one slice; without a slice, that of the whole volume (findings only)."""
        if sliceIndex is None:
            title = _("Report of {volume}").format(volume=volumeNode.GetName())
            return self._submit("interpret", title, volumeNode, {"anatomy": False}, options)
        title = _("Report of {volume}, {axis} slice {slice}").format(
            volume=volumeNode.GetName(), axis=axis, slice=sliceIndex
        )
        return self._submit("report", title, volumeNode, {"axis": axis, "slice_index": sliceIndex}, options)

    def findings(
        self, volumeNode: Any, axis: str | None = None, sliceIndex: int | None = None, **options: Any
    ) -> ReportTask:
        """Look for abnormalities on one slice; without a slice, on the whole volume."""
        parameters: dict[str, Any] = {"axis": axis}
        title = _("Findings in {volume}").format(volume=volumeNode.GetName())
        if sliceIndex is not None:
            parameters["slices"] = [sliceIndex]
            title = _("Findings in {volume}, {axis} slice {slice}").format(
                volume=volumeNode.GetName(), axis=axis, slice=sliceIndex
            )
        return self._submit("recognise", title, volumeNode, parameters, options)

    def ask(
        self,
        volumeNode: Any,
        question: str,
        axis: str | None = None,
        sliceIndex: int | None = None,
        conversationNode: Any = None,
        **options: Any,
    ) -> ReportTask:
        """Ask about one slice (None: the middle one).

        With ``conversationNode``, a report that ``ask`` made before, it is a follow-up about that conversation's slice,
        and the answer is put behind what stands there.
        """
        parameters: dict[str, Any] = Questions.parameters(question, self.service.targets)
        talk = self.conversation(conversationNode) if conversationNode is not None else None
        if talk is not None:
            axis, sliceIndex = talk.axis, talk.slice
            parameters["history"] = talk.history
        parameters.update(axis=axis, slice_index=sliceIndex)
        title = _("Conversation about {volume}").format(volume=volumeNode.GetName())
        if sliceIndex is not None:
            title = _("Conversation about {volume}, {axis} slice {slice}").format(
                volume=volumeNode.GetName(), axis=axis, slice=sliceIndex
            )
        asked = " ".join(question.split())
        return self._submit(
            "answer", title, volumeNode, parameters, options, lambda task: self._answered(task, asked, conversationNode)
        )

    def describe(
        self,
        volumeNode: Any,
        segmentationNode: Any,
        segmentId: str,
        axis: str | None = None,
        sliceIndex: int | None = None,
        **options: Any,
    ) -> ReportTask:
        """Say what is in the box around a segment, on one slice (None: the one with its largest cut).

        Raises ValueError, one sentence, where the segment has no voxel in the volume.
        """
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        name = segment.GetName() if segment is not None else segmentId
        region = segmentRegion(segmentationNode, segmentId, volumeNode)
        if region is None:
            raise ValueError(
                _('The segment "{segment}" is empty in "{volume}"; draw it or choose another one.').format(
                    segment=name, volume=volumeNode.GetName()
                )
            )
        if axis is not None and sliceIndex is not None and not self._isCut(region, volumeNode, axis, sliceIndex):
            sliceIndex = None
        title = _("Description of {segment}").format(segment=name)
        parameters = {"region": region, "axis": axis, "slice_index": sliceIndex}
        return self._submit(
            "describe",
            title,
            volumeNode,
            parameters,
            options,
            lambda task: self._described(task, segmentationNode, segmentId),
        )

    # Reports

    def conversation(self, node: Any) -> Conversation | None:
        """The conversation that a report holds; None where it is no conversation."""
        return ReportDocument.conversationOf(self.store.document(node))

    def figures(self, node: Any) -> dict[str, dict[str, Any]]:
        """What is known of each segment of a report, by MRML segment id."""
        return self.store.document(node).get(FIGURES) or {}

    def rename(self, node: Any, title: str) -> None:
        """Give a report another name."""
        node.SetName(title)
        self.store.update(node, title=title)

    def plainText(self, node: Any) -> str:
        """A report with its notice, as it goes to the clipboard."""
        return plain(ReportDocument.buildDocument(self.store, node))

    def showSegment(self, node: Any, segmentId: str) -> int:
        """Go to a slice of a segment in the slice views; returns how many views show it."""
        volumeNode, segmentationNode = self.store.volumeNode(node), self.store.segmentationNode(node)
        if volumeNode is None or segmentationNode is None:
            return 0
        box = boxOf(segmentationNode, segmentId, volumeNode)
        if box is None:
            return 0
        provenance = self.store.document(node)["result"].get("provenance", {})
        axis = provenance.get("axis") or "axial"
        along = arrayAxis(volumeNode, axis)
        read = list(self.figures(node).get(segmentId, {}).get("slices", ()))
        index, focus = cutAt(box, along, read[0]) if len(read) == 1 else largestSlice(box, along)
        return jumpToSlice(volumeNode, axis, index, focus)

    def export(self, node: Any, path: str, kind: str = "", done: Done | None = None) -> None:
        """Write a report to a file as "html", "pdf", "text", "json" or "dicom-sr" (by default what the file's name ends
        in); then ``done(error)``, "" or one sentence."""
        finish = done or (lambda error: None)
        kind = kind or Exporters.kindOf(path)
        try:
            document = ReportDocument.buildDocument(self.store, node)
        except ReportError as error:
            finish(str(error))
            return
        if kind == Exporters.DICOM_SR:
            self._exportThroughEngine(kind, document, path, finish)
            return
        if kind not in Exporters.SUFFIXES:
            finish(_('A report cannot be saved as "{path}"; end its name in {known}.').format(
                path=path, known=", ".join(Exporters.SUFFIXES.values())))  # fmt: skip
            return
        steps = Exporters.exportSteps(
            kind, path, document, self.store.volumeNode(node), self.store.segmentationNode(node)
        )

        def written(_value: Any, error: Exception | None) -> None:
            self._exports.remove(work)
            finish("" if error is None else _cannotWrite(path, error))

        work = SlicedWork(steps, written, expected=(OSError, ValueError))
        self._exports.append(work)

    def cleanup(self) -> None:
        """Drop what is being written."""
        for work in self._exports:
            work.cancel()
        self._exports.clear()

    def _exportThroughEngine(self, kind: str, document: Mapping[str, Any], path: str, finish: Done) -> None:
        sent = dict(document)
        sent["provenance"] = {name: value for name, value in sent["provenance"].items() if name != "window"}

        def answered(data: bytes, _mediaType: str, error: str) -> None:
            if error:
                finish(error)
                return
            try:
                Exporters.writeBytes(path, data)
            except OSError as problem:
                finish(_cannotWrite(path, problem))
            else:
                finish("")

        self.service.exportDocument(kind, sent, answered)

    # From a result to a report

    def _submit(
        self,
        task: str,
        title: str,
        volumeNode: Any,
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
        storing: Callable[[ReportTask], Iterator[None]] | None = None,
    ) -> ReportTask:
        unknown = set(options) - {"modality", "window"}
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        sent = {name: value for name, value in parameters.items() if value is not None}
        if options.get("window"):
            sent["window"] = options["window"]
        made = ReportTask(task, title, storing or self._stored)
        made.follow(self.service.submit(task, volumeNode, sent, options.get("modality") or None))
        return made

    def _stored(self, task: ReportTask) -> Iterator[None]:
        """Segments, then the report; the generator's return value is its node."""
        result = task.job.result
        segmentation, segmentIds = yield from self._segments(task)
        node = self._added(task, segmentation, segmentIds, figures=figuresOf(result, segmentIds))
        yield
        return node

    def _answered(self, task: ReportTask, question: str, conversationNode: Any) -> Iterator[None]:
        """A new conversation, or a further turn of the one that was followed up if it is still there."""
        result = task.job.result
        isFollowUp = conversationNode is not None and conversationNode.GetScene() is self.store.scene
        talk = self.conversation(conversationNode) if isFollowUp else None
        if talk is None:
            talk = Conversation()
            segmentation, segmentIds = yield from self._segments(task)
            text, spans = talk.add(question, result, segmentIds)
            node = self._added(task, segmentation, segmentIds, text=text, spans=[])
            figures = figuresOf(result, segmentIds)
        else:
            node = conversationNode
            segmentation, segmentIds = yield from self._segments(task, self.store.segmentationNode(node))
            standing = self.store.document(node)
            text, spans = talk.add(question, result, segmentIds, standing["text"], standing["spans"])
            figures = {**(standing.get(FIGURES) or {}), **figuresOf(result, segmentIds)}
            if segmentation is not None:
                node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentation.GetID())
        self.store.update(node, text=text, spans=spans, conversation=talk.toJson(), figures=figures)
        return node

    def _described(self, task: ReportTask, segmentationNode: Any, segmentId: str) -> Iterator[None]:
        """What was said of a segment is linked to that segment."""
        result = task.job.result
        isThere = segmentationNode.GetScene() is not None
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId) if isThere else None
        figures = {}
        if segment is not None:
            logprob = result.get("mean_logprob")
            known = {
                "target": result.get("target"),
                "slices": [result["slice"]],
                "confidence": None if logprob is None else min(1.0, math.exp(logprob)),
            }
            figures[segmentId] = {name: value for name, value in known.items() if value is not None}
        node = self._added(task, segmentationNode if isThere else None, {}, figures=figures)
        if segment is not None and result["text"]:
            whole = {"start": 0, "end": len(result["text"]), "text": result["text"], "segments": [segmentId]}
            self.store.update(node, spans=[whole])
        yield
        return node

    def _added(self, task: ReportTask, segmentation: Any, segmentIds: Mapping[str, str], **fields: Any) -> Any:
        """Put the report into the scene under the task's title, numbered where there is another one of that name."""
        taken = {other.GetName() for other in self.store.reports()}
        number, title = 2, task.title
        while title in taken:
            title, number = f"{task.title} ({number})", number + 1
        result = withoutVoxels(task.job.result)
        node = self.store.add(result, task.job.volumeNode(), segmentation, segmentIds, **fields)
        self.rename(node, title)
        return node

    def _segments(self, task: ReportTask, segmentationNode: Any = None) -> Iterator[None]:
        """Write the segments of a result in steps; returns (node or None, {result id: MRML id}).

        Where the volume is gone they are put on the grid that the result remembers.
        """
        result = task.job.result
        if not result.get("segments"):
            return segmentationNode, {}
        writer = SegmentationWriter(task.job.volumeNode())
        try:
            for _fraction in writer.writeSteps(result, segmentationNode, jobId=task.job.id):
                yield
        except SegmentationError as error:
            if not task.problem:
                raise
            # The text is worth keeping although the voxels have no place any more.
            task.message = str(error)
            return segmentationNode, {}
        node = writer.segmentationNode
        if segmentationNode is None and node is not None:
            node.SetName(self.store.scene.GenerateUniqueName(task.title))
        # Putting the segments into the scene was the longest step; the text has a turn of its own.
        yield
        return node, dict(writer.written)

    @staticmethod
    def _isCut(region: Mapping[str, Any], volumeNode: Any, axis: str, index: int) -> bool:
        """Whether a region's box reaches a slice; on any other slice there is nothing to describe."""
        along = arrayAxis(volumeNode, axis)
        first = region["offset"][along]
        return first <= index < first + region["shape"][along]


def _cannotWrite(path: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return _('"{path}" cannot be written: {reason}.').format(path=path, reason=reason.rstrip("."))
