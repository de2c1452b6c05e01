# SPDX-License-Identifier: Apache-2.0
"""DICOM SEG and SR (TID 1500) beside their study: objects that an archive files with the images they speak of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom

from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.errors import InputError
from unibiomed.tasks.measure import extent_mm, volume_ml
from unibiomed.tasks.outputs.exports import export as export_document
from unibiomed.tasks.schema import to_json
from unibiomed.volumes.writing import write_segmentation


def write_dicom(folder: Path, samples: Iterable[Sample]) -> list[Path]:
    """``<case>/segmentation.dcm`` and ``<case>/report.dcm`` for every case from a DICOM series; returns the files.

    They carry the study's identifiers, or they could not be filed with it. InputError when no case is DICOM.
    """
    written: list[Path] = []
    for sample in one_by_one(samples):
        if sample.volume.source.kind != "dicom":
            continue
        written += write_case(folder / sample.name, sample)
    if not written:
        raise InputError("None of the cases comes from DICOM, so there is no study that SEG and SR could refer to.")
    return written


def write_case(folder: Path, sample: Sample) -> list[Path]:
    """The objects of one case: SEG where there is a segment, SR always."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    segmentation = folder / "segmentation.dcm"
    if sample.segmentation.segments:
        write_segmentation(segmentation, sample.segmentation, reference=sample.volume)
        written.append(segmentation)
    document = _document(sample, segmentation if written else None)
    content, _ = export_document("dicom-sr", document)
    (folder / "report.dcm").write_bytes(content)
    return [*written, folder / "report.dcm"]


def _document(sample: Sample, segmentation: Path | None) -> dict[str, Any]:
    """What the SR writer takes: the result, the reviewer's text, the study, and the SEG that it may point to."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sample.volume.source.dicom_files]
    first = headers[0]
    study: dict[str, Any] = {
        "patient": {
            "id": str(first.get("PatientID", "")),
            "name": str(first.get("PatientName", "")),
            "birth_date": str(first.get("PatientBirthDate", "")),
            "sex": str(first.get("PatientSex", "")),
        },
        "study_uid": str(first.StudyInstanceUID),
        "series_uid": str(first.SeriesInstanceUID),
        "study_date": str(first.get("StudyDate", "")),
        "study_time": str(first.get("StudyTime", "")),
        "study_id": str(first.get("StudyID", "")),
        "accession_number": str(first.get("AccessionNumber", "")),
        "frame_of_reference_uid": str(first.get("FrameOfReferenceUID", "")) or None,
        "instances": [
            {"sop_class_uid": str(header.SOPClassUID), "sop_instance_uid": str(header.SOPInstanceUID)}
            for header in headers
        ],
    }
    if segmentation is not None:
        written = pydicom.dcmread(segmentation, stop_before_pixels=True)
        study["segmentation"] = {
            "sop_class_uid": str(written.SOPClassUID),
            "sop_instance_uid": str(written.SOPInstanceUID),
            "series_uid": str(written.SeriesInstanceUID),
            "segments": _numbers(sample),
        }
    return {
        "result": to_json(sample.result),
        "text": sample.text,
        "spans": [span.model_dump(mode="json") for span in sample.report.spans],
        "edited": sample.is_text_corrected,
        "segments": [_segment(sample, number) for number in range(len(sample.heads))],
        "dicom": study,
    }


def _numbers(sample: Sample) -> dict[str, int]:
    """Which number of the DICOM SEG each segment has: empty ones are left out of it, unless all are."""
    pairs = list(zip(sample.heads, sample.segmentation.segments, strict=True))
    held = [head for head, segment in pairs if not segment.mask.is_empty] or list(sample.heads)
    return {head.id: number for number, head in enumerate(held, start=1)}


def _segment(sample: Sample, number: int) -> dict[str, Any]:
    """The figures of a segment as it stands; the model's confidence goes with the voxels that it was given for."""
    head, segment = sample.heads[number], sample.segmentation.segments[number]
    phrase = sample.phrase(number)
    found = next((item for item in sample.result.segments if item.id == head.model_id), None)
    return {
        "id": head.id,
        "name": head.name[:256],
        "phrase": phrase[:256],
        "target": segment.target[:256],
        "kind": sample.kind(number),
        "volume_ml": volume_ml(segment.mask, sample.volume),
        "voxels": segment.mask.voxel_count,
        "slices": sample.slices[number],
        "extent_mm": extent_mm(segment.mask, sample.volume),
        "confidence": found.confidence if found is not None and found.mask == segment.mask else None,
    }
