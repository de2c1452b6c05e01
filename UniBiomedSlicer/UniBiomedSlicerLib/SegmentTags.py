# SPDX-License-Identifier: Apache-2.0
"""What a segment and a segmentation node remember of the result that they came from.

Tags and attributes are text, saved with the scene and with ``.seg.nrrd`` files; "|" separates tags there, so no value
holds one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from UniBiomedSlicerLib.BoxMask import Offset, tighten
from UniBiomedSlicerLib.SegmentLayers import labelsOf

PREFIX = "UniBiomed."
RESULT_ID = "UniBiomed.ResultId"
PHRASE = "UniBiomed.Phrase"
TARGET = "UniBiomed.Target"
KIND = "UniBiomed.Kind"
CONFIDENCE = "UniBiomed.Confidence"
JOB_ID = "UniBiomed.JobId"
MODEL = "UniBiomed.Model"
DATE = "UniBiomed.Date"
AXIS = "UniBiomed.Axis"
SLICES = "UniBiomed.Slices"
KEY_SLICE = "UniBiomed.KeySlice"
VOLUME_ML = "UniBiomed.VolumeMl"
FINGERPRINT = "UniBiomed.Fingerprint"
PREVIEW = "UniBiomed.Preview"
PROVENANCE = "UniBiomed.Provenance"
NOTICE = "AI generated, not for clinical use"

BINARY = "Binary labelmap"
_FILE_ID = "UniBiomed.Id"  # in the files that the engine writes itself
_KEPT_JOBS = 20


@dataclass(frozen=True)
class SegmentInfo:
    """A segment that came from the engine; texts are "" and ``confidence`` None where unknown."""

    id: str
    name: str
    phrase: str
    target: str
    kind: str
    resultId: str
    confidence: float | None
    jobId: str
    isPreview: bool


def tag(segment: Any, name: str) -> str:
    """Return a segment's tag, "" where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def setTag(segment: Any, name: str, value: object) -> None:
    """Set a tag to one line of text without the separator of tags."""
    segment.SetTag(name, " ".join(str(value).replace("|", "/").split()))


def newSegmentId(segmentation: Any, segment: Any) -> str:
    """Return an id for a segment to be added, like its name but of letters, digits and "_" only: exporters make names
    of files and lists of it."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", segment.GetName()).strip("_")
    return segmentation.GenerateUniqueSegmentID(plain or "Segment")


def setPhrase(segment: Any, phrase: str, target: str, kind: str) -> None:
    """Note what was asked for."""
    setTag(segment, PHRASE, phrase)
    setTag(segment, TARGET, target)
    setTag(segment, KIND, kind)


def setResult(
    segment: Any, item: Mapping[str, Any], fingerprint: str, jobId: str, provenance: Mapping[str, Any]
) -> None:
    """Note which segment of which result this is."""
    segment.RemoveTag(PREVIEW)
    setPhrase(segment, item["phrase"], item["target"], item.get("kind", "unknown"))
    setTag(segment, RESULT_ID, item["id"])
    setTag(segment, JOB_ID, jobId)
    confidence = item.get("confidence")
    setTag(segment, CONFIDENCE, "" if confidence is None else f"{float(confidence):.4f}")
    volume = item.get("volume_ml")
    setTag(segment, VOLUME_ML, "" if volume is None else f"{float(volume):.6g}")
    setTag(segment, AXIS, provenance.get("axis", ""))
    setTag(segment, SLICES, ranges(item.get("slices", ())))
    setTag(segment, KEY_SLICE, _keySlice(item))
    model = _model(provenance)
    setTag(segment, MODEL, model)
    # Attributes of DICOM SEG, read by Slicer's exporter; without them a segment counts as drawn by hand.
    setTag(segment, "DICOM.SegmentAlgorithmType", "AUTOMATIC")
    setTag(segment, "DICOM.SegmentAlgorithmName", f"UniBiomed {model}".strip()[:64])
    setTag(segment, DATE, provenance.get("date", ""))
    setTag(segment, FINGERPRINT, fingerprint)


def setProvenance(segmentationNode: Any, result: Mapping[str, Any], jobId: str) -> None:
    """Note on the node how the newest result came about, and in one document how each of the last ones did."""
    provenance = dict(result.get("provenance", {}))
    window = provenance.get("window")
    texts = {
        "Task": provenance.get("task", result.get("type", "")),
        "Model": _model(provenance),
        "WeightsSha256": provenance.get("weights_sha256", ""),
        "EngineVersion": provenance.get("engine_version", ""),
        "Date": provenance.get("date", ""),
        "Modality": provenance.get("modality", ""),
        "Axis": provenance.get("axis", ""),
        "Window": json.dumps(window, sort_keys=True) if window else "",
        "Notice": NOTICE,
    }
    for name, value in texts.items():
        segmentationNode.SetAttribute(PREFIX + name, str(value))
    jobs = provenanceOf(segmentationNode)
    key = jobId or f"{provenance.get('date', '')} {provenance.get('task', '')}".strip() or str(len(jobs) + 1)
    jobs.pop(key, None)
    jobs[key] = provenance
    kept = dict(list(jobs.items())[-_KEPT_JOBS:])
    segmentationNode.SetAttribute(PROVENANCE, json.dumps(kept, ensure_ascii=False, separators=(",", ":")))


def provenanceOf(segmentationNode: Any) -> dict[str, dict[str, Any]]:
    """Return {job id: provenance} of the results written to this node, oldest first; {} where none can be read."""
    try:
        jobs = json.loads(segmentationNode.GetAttribute(PROVENANCE) or "{}")
    except ValueError:
        return {}
    return jobs if isinstance(jobs, dict) else {}


def segmentsOf(segmentationNode: Any) -> list[SegmentInfo]:
    """Return the segments that came from the engine, in the order of the segmentation."""
    segmentation = segmentationNode.GetSegmentation()
    found = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        phrase = tag(segment, PHRASE)
        if not phrase:
            continue
        found.append(
            SegmentInfo(
                id=segmentation.GetNthSegmentID(index),
                name=segment.GetName(),
                phrase=phrase,
                target=tag(segment, TARGET),
                kind=tag(segment, KIND) or "unknown",
                resultId=tag(segment, RESULT_ID) or tag(segment, _FILE_ID),
                confidence=_number(tag(segment, CONFIDENCE)),
                jobId=tag(segment, JOB_ID),
                isPreview=bool(tag(segment, PREVIEW)),
            )
        )
    return found


def segmentBox(segmentation: Any, segmentId: str) -> tuple[Offset, np.ndarray]:
    """Return a segment's voxels as their tightest box and its (k, j, i) index in the labelmap's extent."""
    segment = segmentation.GetSegment(segmentId)
    image = segment.GetRepresentation(BINARY)
    if image is None:
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    start, labels = labelsOf(image)
    # Labels of other segments may lie in the same labelmap.
    offset, box = tighten((0, 0, 0), labels == segment.GetLabelValue())
    return tuple(int(a) + int(b) for a, b in zip(start[::-1], offset, strict=True)), box


def fingerprint(offset: Offset, shape: Sequence[int], bits: bytes) -> str:
    """Return a short hash of a tight box of voxels, packed eight a byte in C order, and of its (k, j, i) index in the
    labelmap's extent."""
    digest = hashlib.blake2b(f"{tuple(map(int, offset))} {tuple(map(int, shape))}".encode(), digest_size=16)
    digest.update(bits)
    return digest.hexdigest()


def isFingerprintOf(segment: Any, offset: Offset, box: np.ndarray) -> bool:
    """Return whether the tight ``box`` at ``offset`` holds exactly the voxels that were written to a segment."""
    written = tag(segment, FINGERPRINT)
    return bool(written) and written == fingerprint(offset, box.shape, np.packbits(box, axis=None).tobytes())


def isUnedited(segmentation: Any, segmentId: str) -> bool:
    """Return whether a segment holds exactly the voxels that were written to it."""
    return isFingerprintOf(segmentation.GetSegment(segmentId), *segmentBox(segmentation, segmentId))


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending whole numbers as text: "3,5-9"."""
    runs: list[list[int]] = []
    for number in sorted({int(value) for value in numbers}):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _keySlice(item: Mapping[str, Any]) -> str:
    """The slice that shows most of it, or the middle one where the result does not say."""
    present = [evidence for evidence in item.get("presence", ()) if evidence.get("present")]
    if present:
        return str(max(present, key=lambda evidence: evidence.get("pixels", 0))["slice"])
    slices = sorted(item.get("slices", ()))
    return str(slices[len(slices) // 2]) if slices else ""


def _model(provenance: Mapping[str, Any]) -> str:
    return f"{provenance.get('model', '')} {provenance.get('model_version', '')}".strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
