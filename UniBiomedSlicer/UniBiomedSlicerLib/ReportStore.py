# SPDX-License-Identifier: Apache-2.0
"""Reports in the scene: a text node each, tied to its volume and segmentation by node references.

The text is a JSON document; segments are named by their MRML segment ids, which do not change when a scene is saved and
loaded, and nodes by reference roles, which Slicer keeps right when it renumbers nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

FORMAT = "unibiomed.slicer-report/1"
KIND_ATTRIBUTE = "UniBiomed.Kind"
KIND = "report"
TYPE_ATTRIBUTE = "UniBiomed.Type"
NOTICE_ATTRIBUTE = "UniBiomed.Notice"
NOTICE = "AI generated, not for clinical use"
VOLUME_ROLE = "UniBiomed.Volume"
SEGMENTATION_ROLE = "UniBiomed.Segmentation"


class ReportError(ValueError):
    """A node that holds no readable report; the text is one sentence."""


class ReportStore:
    """The reports of one scene. ``problems`` are sentences on the nodes that the last :meth:`reports` left out."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.problems: list[str] = []
        self._cache: dict[str, tuple[int, dict[str, Any]]] = {}

    def add(
        self,
        result: Mapping[str, Any],
        volumeNode: Any,
        segmentationNode: Any = None,
        segmentIds: Mapping[str, str] | None = None,
        text: str | None = None,
        spans: Iterable[Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> Any:
        """Put a result with a text into the scene and return its vtkMRMLTextNode.

        ``segmentIds`` is {result segment id: MRML segment id}, as ``SegmentationWriter.write`` returns it; phrases
        whose segments were not written have none. Either node may be None, when it was deleted meanwhile. ``text`` and
        ``spans`` (of the result's form) stand in for the result's own; ``fields`` are kept as they are (JSON values).
        """
        ids = dict(segmentIds or {})
        text = str(result.get("text", "") if text is None else text)
        spans = result.get("spans", ()) if spans is None else spans
        kind = str(result.get("type", "report"))
        volumeName = volumeNode.GetName() if volumeNode is not None else ""
        title = _("{type} of {volume}").format(type=_title(kind), volume=volumeName) if volumeName else _title(kind)
        document = {
            "format": FORMAT,
            "title": title,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "type": kind,
            "text": text,
            "spans": [_linked(span, ids) for span in spans],
            "originalText": text,
            "edited": False,
            "segmentIds": ids,
            "result": dict(result),
            **fields,
        }
        node = self.scene.CreateNodeByClass("vtkMRMLTextNode")
        node.UnRegister(None)
        node.SetName(self.scene.GenerateUniqueName(title))
        node.SetEncoding(vtk.VTK_ENCODING_UTF_8)
        # A file of its own in the saved scene: a report is longer than what belongs into the scene's XML.
        node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
        node.SetAttribute(KIND_ATTRIBUTE, KIND)
        node.SetAttribute(TYPE_ATTRIBUTE, kind)
        node.SetAttribute(NOTICE_ATTRIBUTE, NOTICE)
        node.SetText(_toText(document))
        self.scene.AddNode(node)
        if volumeNode is not None:
            node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
            self._join(node, volumeNode)
        if segmentationNode is not None:
            node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
        return node

    def reports(self, volumeNode: Any = None) -> list[Any]:
        """Return the text nodes with a readable report, in the order of the scene; those of one volume if given."""
        self.problems = []
        found = []
        nodes = self.scene.GetNodesByClass("vtkMRMLTextNode")
        nodes.UnRegister(None)
        for index in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(index)
            if not self.isReport(node):
                continue
            if volumeNode is not None and self.volumeNode(node) is not volumeNode:
                continue
            try:
                self._read(node)
            except ReportError as error:
                self.problems.append(str(error))
            else:
                found.append(node)
        return found

    def document(self, node: Any) -> dict[str, Any]:
        """Return what a node holds: ``title created type text spans originalText edited segmentIds result``.

        It is the caller's own but for ``result``, which is shared and not to be changed. A span is {"start", "end",
        "text", "segments": [MRML segment ids]}; segments that are no longer in the segmentation are left out. Raises
        ReportError where the node holds no report.
        """
        stored = self._read(node)
        # A result may hold megabytes of masks.
        document = {key: value if key == "result" else deepcopy(value) for key, value in stored.items()}
        segmentation = self.segmentationNode(node)
        known = set(_segmentIds(segmentation)) if segmentation is not None else set()
        for span in document["spans"]:
            span["segments"] = [segmentId for segmentId in span["segments"] if segmentId in known]
        return document

    def setText(self, node: Any, text: str, spans: Iterable[Mapping[str, Any]]) -> None:
        """Replace text and spans, as after an edit; the result and the text that the model wrote are kept."""
        document = dict(self._read(node))
        document["text"] = str(text)
        document["spans"] = [_span(span) for span in spans]
        document["edited"] = document["text"] != document["originalText"]
        node.SetText(_toText(document))

    def update(self, node: Any, **fields: Any) -> None:
        """Set fields of the document (JSON values), those of the caller's own as well; one change of the node.

        A new ``text`` counts as the model's own, as after a further answer, unless the user edited the one before.
        """
        document = {**self._read(node), **fields}
        if "text" in fields and "originalText" not in fields and not document["edited"]:
            document["originalText"] = document["text"]
        node.SetText(_toText(_checkedFields(document, node.GetName() or "")))

    def remove(self, node: Any) -> None:
        """Take a report out of the scene; its segments stay."""
        self._cache.pop(node.GetID(), None)
        storage = node.GetStorageNode()
        self.scene.RemoveNode(node)
        if storage is not None:
            self.scene.RemoveNode(storage)

    @staticmethod
    def isReport(node: Any) -> bool:
        """Return whether a node says that it is a report of ours, readable or not."""
        return node is not None and node.IsA("vtkMRMLTextNode") and node.GetAttribute(KIND_ATTRIBUTE) == KIND

    @staticmethod
    def volumeNode(node: Any) -> Any:
        """Return the volume that a report is about, None when it is gone."""
        return node.GetNodeReference(VOLUME_ROLE)

    @staticmethod
    def segmentationNode(node: Any) -> Any:
        """Return the segmentation that a report's phrases point into, None when there is none."""
        return node.GetNodeReference(SEGMENTATION_ROLE)

    def _read(self, node: Any) -> dict[str, Any]:
        """The document, parsed once for each change of the text; not to be changed."""
        text = node.GetText() or ""
        key, stamp = node.GetID() or "", hash(text)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        document = _checked(text, node.GetName() or "")
        self._cache[key] = (stamp, document)
        return document

    def _join(self, node: Any, volumeNode: Any) -> None:
        """Into the volume's study or folder of the subject hierarchy."""
        hierarchy = self.scene.GetSubjectHierarchyNode()
        if hierarchy is None:
            return
        own, volume = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volumeNode)
        if own and volume:
            hierarchy.SetItemParent(own, hierarchy.GetItemParent(volume))


def _checked(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ReportError(
            _('"{name}" is not a readable report (its text is broken) and is left out.').format(name=name)
        ) from error
    form = document.get("format") if isinstance(document, dict) else None
    if form != FORMAT:
        raise ReportError(
            _(
                '"{name}" is a report of another form ({form}), as another version of this extension writes it, and is '
                "left out."
            ).format(name=name, form=str(form)[:40])
        )
    return _checkedFields(document, name)


def _checkedFields(document: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        document["text"] = _text(document["text"])
        document["spans"] = [_span(span) for span in document["spans"]]
        document["originalText"] = _text(document.get("originalText", document["text"]))
        document["edited"] = bool(document.get("edited", False))
        document["segmentIds"] = dict(document.get("segmentIds", {}))
        document["result"] = dict(document.get("result", {}))
        for field in ("title", "created", "type"):
            document[field] = _text(document.get(field, ""))
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(
            _('"{name}" is a damaged report ({reason}) and is left out.').format(name=name, reason=error)
        ) from error
    return document


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    start, end = int(span["start"]), int(span["end"])
    if not 0 <= start <= end:
        raise ValueError(f"a phrase goes from {start} to {end}")
    segments = [_text(segmentId) for segmentId in span.get("segments", ())]
    return {"start": start, "end": end, "text": _text(span.get("text", "")), "segments": segments}


def _linked(span: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """A span of a result, whose segments are result ids, with MRML segment ids."""
    linked = _span(span)
    linked["segments"] = [ids[segmentId] for segmentId in linked["segments"] if segmentId in ids]
    return linked


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was expected, not {type(value).__name__}")
    return value


def _toText(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _segmentIds(segmentationNode: Any) -> Sequence[str]:
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def _title(kind: str) -> str:
    titles = {
        "report": _("Report"),
        "interpretation": _("Report"),
        "recognition": _("Findings"),
        "answer": _("Answer"),
        "region": _("Description"),
        "segmentation": _("Segments"),
    }
    return titles.get(kind, _("Report"))
