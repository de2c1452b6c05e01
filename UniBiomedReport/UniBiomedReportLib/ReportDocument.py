# SPDX-License-Identifier: Apache-2.0
"""A report as it leaves the scene: its text as it stands, the segments as they are called now, and how it came about.

The same document is written as page, text and JSON here, and sent to the engine for the structured report
(``unibiomed.document/1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _
from UniBiomedSlicerLib.ReportStore import ReportStore

from UniBiomedReportLib.Conversation import Conversation
from UniBiomedReportLib.DicomIdentity import dicomIdentity
from UniBiomedReportLib.Figures import CONVERSATION, FIGURES

FORMAT = "unibiomed.document/1"
_PROVENANCE = (
    "task",
    "model",
    "model_version",
    "weights_sha256",
    "engine_version",
    "modality",
    "site",
    "axis",
    "shape",
    "window",
    "slices",
    "date",
    "device",
)
_SEGMENT = ("phrase", "target", "kind", "volume_ml", "voxels", "slices", "extent_mm", "confidence", "sentence")


def buildDocument(store: ReportStore, node: Any) -> dict[str, Any]:
    """Return the document of a report node; raises ReportError where the node holds none."""
    report = store.document(node)
    result = report["result"]
    provenance = result.get("provenance", {})
    segmentation = store.segmentationNode(node)
    figures = report.get(FIGURES) or {}
    spans = [
        {"start": s["start"], "end": s["end"], "text": report["text"][s["start"] : s["end"]], "segments": s["segments"]}
        for s in report["spans"]
        if s["segments"] and s["end"] <= len(report["text"])
    ]
    named = dict.fromkeys(one for span in spans for one in span["segments"])
    document = {
        "format": FORMAT,
        "title": report["title"],
        "text": report["text"],
        "spans": spans,
        "edited": isEdited(report),
        "unreliable": isUnreliable(report),
        "notes": [str(note) for note in provenance.get("notes", ())],
        "segments": [
            _segment(segmentation, one, figures.get(one, {})) for one in dict.fromkeys([*named, *figures])
            if segmentation is not None and segmentation.GetSegmentation().GetSegment(one) is not None
        ],
        "provenance": {name: provenance[name] for name in _PROVENANCE if provenance.get(name) is not None},
    }  # fmt: skip
    identity = dicomIdentity(store.volumeNode(node))
    if identity:
        document["dicom"] = identity
    return document


def conversationOf(report: Mapping[str, Any]) -> Conversation | None:
    """Return the conversation that a report in the scene holds; None where it is no conversation."""
    values = report.get(CONVERSATION)
    return Conversation.fromJson(values) if values else None


def isEdited(report: Mapping[str, Any]) -> bool:
    """Whether a person changed the text."""
    talk = conversationOf(report)
    generated = talk.generated if talk is not None else report["originalText"]
    return report["text"] != generated


def isUnreliable(report: Mapping[str, Any]) -> bool:
    """Whether any of it answers a question that the model was not trained on."""
    talk = conversationOf(report)
    return talk.hasUnreliable if talk is not None else bool(report["result"].get("off_template"))


def warnings(report: Mapping[str, Any], hasVolume: bool) -> list[str]:
    """Return what a reader of a report in the scene must know besides, one sentence each."""
    said = []
    result = report["result"]
    if isUnreliable(report):
        said.append(_("Unreliable: a question that the model was not trained on. Do not rely on the answer."))
    missing = [str(item.get("target", "")) for item in result.get("not_found", ())]
    if missing:
        said.append(_("Looked for and not found: {names}.").format(names=", ".join(dict.fromkeys(missing))))
    if not result.get("off_template"):
        said.extend(str(note) for note in result.get("provenance", {}).get("notes", ()))
    if not hasVolume:
        said.append(_("The volume of this report is no longer in the scene."))
    return said


def notice(document: Mapping[str, Any]) -> list[str]:
    """Return the sentences that go with the text wherever it goes."""
    said = [_("AI generated, not for clinical use.")]
    if document.get("unreliable"):
        said.append(_("Unreliable: it answers a question that the model was not trained on."))
    if document.get("edited"):
        said.append(_("Edited by a person after it was generated."))
    return said


def _segment(segmentation: Any, segmentId: str, known: Mapping[str, Any]) -> dict[str, Any]:
    name = segmentation.GetSegmentation().GetSegment(segmentId).GetName()
    values = {field: known[field] for field in _SEGMENT if known.get(field) is not None}
    return {"id": segmentId, "name": name[:256] or segmentId, **values}
