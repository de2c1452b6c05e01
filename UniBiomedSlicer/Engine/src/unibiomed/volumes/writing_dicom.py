# SPDX-License-Identifier: Apache-2.0
"""DICOM Segmentation (binary) on the instances that a volume was read from, through highdicom.

Every frame lies on a frame of the source series, in its frame of reference, whatever the volume did to them: slices of
a uniform grid that stand between two unevenly spaced instances are not written.
"""

from __future__ import annotations

import re
import warnings
from importlib.metadata import version
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from unibiomed.errors import OutputError
from unibiomed.volumes.atomic import atomic_path
from unibiomed.volumes.dicom_planes import SourcePlanes, read_source_planes
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.terminology import Code, resolve
from unibiomed.volumes.volume import Volume

ALGORITHM_NAME = "UniBiomed"
MAX_STACK_BYTES = 2**30
"""Above this size only the instances that hold segments are handed to highdicom (and referenced)."""


def write_dicom_seg(path: Path, segmentation: Segmentation, reference: Volume) -> tuple[Path, ...]:
    """Write ``path``: one segment object, one segment for each that is not empty (all of them if all are).

    OutputError: ``reference`` was not read from DICOM, its files are gone, there is no segment, or the source is of a
    kind that no segmentation can refer to.
    """
    if reference.source.kind != "dicom" or not reference.source.dicom_files:
        raise OutputError(
            f"{path.name} would have to refer to a DICOM series and {reference.name} is none; write a .seg.nrrd or "
            ".nii.gz, or start from the DICOM folder."
        )
    if not segmentation.segments:
        raise OutputError(f"{path.name} was not written: a DICOM SEG needs at least one segment and none was found.")
    segments = [s for s in segmentation.segments if not s.mask.is_empty] or list(segmentation.segments)
    planes = read_source_planes(reference)
    if planes.n_frames > 1 and not planes.has_positions:
        raise OutputError(
            f"{path.name} was not written: the frames of {reference.name} have no position in the patient, which a "
            "DICOM SEG needs; write a .seg.nrrd instead."
        )
    stack, used = _stack(segments, planes, segmentation)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # highdicom warns of the person names that it copies from the source, which are not ours to judge.
        warnings.filterwarnings("ignore", category=UserWarning, module="highdicom")
        _build(segmentation, segments, planes, stack, used, reference).save_as(temporary)
    return (path,)


def _stack(segments: list[Segment], planes: SourcePlanes, segmentation: Segmentation) -> tuple[np.ndarray, list[int]]:
    """The segments on the source frames ``used``: labels (frame, row, column), or, where they overlap there,
    (frame, row, column, segment)."""
    used = list(range(planes.n_frames))
    size = planes.rows * planes.columns
    if planes.n_frames * size * len(segments) > MAX_STACK_BYTES and not planes.is_multiframe:
        used = [n for n in used if any(planes.cut(s.mask, n).any() for s in segments)] or used[:1]
    overlap = segmentation.first_overlap() is not None
    dtype = np.uint8 if overlap or len(segments) < 256 else np.uint16
    shape = (len(used), planes.rows, planes.columns)
    stack = np.zeros((*shape, len(segments)) if overlap else shape, dtype=dtype)
    for row, frame in enumerate(used):
        for index, segment in enumerate(segments):
            cut = planes.cut(segment.mask, frame)
            if overlap:
                stack[row, :, :, index] = cut
            else:
                stack[row][cut] = index + 1
    return stack, used


def _build(
    segmentation: Segmentation,
    segments: list[Segment],
    planes: SourcePlanes,
    stack: np.ndarray,
    used: list[int],
    reference: Volume,
) -> hd.seg.Segmentation:
    first = planes.datasets[0]
    sources = planes.datasets if planes.is_multiframe else [planes.datasets[n] for n in used]
    software = version("unibiomed")
    try:
        document = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=stack,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_describe(n + 1, s, segmentation, software) for n, s in enumerate(segments)],
            series_instance_uid=generate_uid(prefix=None),
            series_number=int(first.get("SeriesNumber") or 0) + 1000,
            sop_instance_uid=generate_uid(prefix=None),
            instance_number=1,
            manufacturer="UniBiomed for 3D Slicer",
            manufacturer_model_name=ALGORITHM_NAME,
            software_versions=software,
            device_serial_number="none",
            content_label="SEGMENTATION",
            content_description="Segments found by UniBiomed",
            content_creator_name="UniBiomed^",
            series_description="UniBiomed segmentation",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            specific_character_set="ISO_IR 192",
        )
    except (ValueError, AttributeError, KeyError) as error:
        reason = re.sub(r"\s+", " ", str(error)).strip(" .'\"")
        raise OutputError(
            f"A DICOM SEG cannot refer to {reference.name} ({reason}); write a .seg.nrrd instead."
        ) from error
    if "FrameOfReferenceUID" not in document:
        document.PatientOrientation = first.get("PatientOrientation") or ""
    return document


def _describe(number: int, segment: Segment, segmentation: Segmentation, software: str) -> hd.seg.SegmentDescription:
    term = resolve(segment.target, segment.terminology)
    color = segment.color if segment.color is not None else term.color
    kind = _concept(term.type)
    if term.modifier is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(term.modifier)]
    region = _concept(term.region) if term.region is not None else None
    if region is not None and term.region_modifier is not None:
        region.AnatomicRegionModifierSequence = [_concept(term.region_modifier)]
    name = _line(segment.name, 64) or f"Segment {number}"
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=_concept(term.category),
        segmented_property_type=kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=ALGORITHM_NAME,
            version=software,
            family=codes.cid7162.ArtificialIntelligence,
            parameters=_parameters(segment, segmentation),
        ),
        tracking_uid=generate_uid(prefix=None),
        tracking_id=name,
        anatomic_regions=[region] if region is not None else None,
        display_color=CIELabColor.from_rgb(*(round(255 * float(value)) for value in color)),
    )
    description.SegmentDescription = _line(segment.target, 1024)
    return description


def _parameters(segment: Segment, segmentation: Segmentation) -> dict[str, str] | None:
    """Provenance of the whole and of the segment; DICOM keeps it as the algorithm's parameters (LT, 10240 bytes)."""
    found, room = {}, 10000
    for key, value in {**segmentation.attributes, **segment.attributes}.items():
        name, text = _line(key, 64).replace(",", " ").replace("=", " "), _line(value, 1000).replace(",", ";")
        room -= len(name) + len(text) + 2
        if room < 0:
            break
        found[name] = text
    return found or None


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning[:64])


def _line(text: object, length: int) -> str:
    """One line without backslash, which separates values in DICOM."""
    return re.sub(r"[\x00-\x1f\x7f\\]+", " ", str(text)).strip()[:length].strip()
