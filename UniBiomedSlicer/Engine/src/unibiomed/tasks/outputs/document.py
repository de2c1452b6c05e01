# SPDX-License-Identifier: Apache-2.0
"""The report as a reader left it: its text, possibly edited, the segments that it speaks of, and what DICOM needs.

Unlike a task's result it needs no masks: ``segments`` carries the figures. Where it is missing it is made from
``result``. Everything comes from outside, so sizes are bounded and unknown fields are refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from unibiomed.errors import InputError
from unibiomed.tasks.outputs.segmentation import segment_names
from unibiomed.tasks.results import Extent, Fraction, Index, Interpretation, Kind, Result
from unibiomed.tasks.schema import from_json

FORMAT = "unibiomed.document/1"
MAX_TEXT = 100_000
MAX_SEGMENTS = 2_000
MAX_INSTANCES = 20_000
MAX_IMAGES = 32
MAX_IMAGE = 4_000_000
"""Characters of one picture in base64."""

Uid = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Line = Annotated[str, StringConstraints(max_length=256)]
Name = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\\\x00-\x1f\x7f]*$")]
Date = Annotated[str, StringConstraints(pattern=r"^([0-9]{8})?$")]
Time = Annotated[str, StringConstraints(pattern=r"^([0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?)?$")]
Png = Annotated[str, StringConstraints(max_length=MAX_IMAGE)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DocumentSpan(_Record):
    """Characters ``start``..``end`` (end excluded) of the text and the ids of the segments that they speak of."""

    start: Index
    end: Index
    text: str = ""
    segments: tuple[Line, ...] = ()


class DocumentSegment(_Record):
    """One segment that the text speaks of; volumes in ml, extents in mm along i, j and k."""

    id: Line
    name: Line
    phrase: Line = ""
    target: Line = ""
    kind: Kind = "unknown"
    volume_ml: Annotated[float, Field(ge=0)] | None = None
    voxels: Index | None = None
    slices: tuple[Index, ...] = ()
    extent_mm: Extent | None = None
    confidence: Fraction | None = None
    sentence: Annotated[str, StringConstraints(max_length=4_000)] = ""


class DocumentImage(_Record):
    """One slice as a square PNG (base64) and, by segment id, its masks as PNGs of the same size (white: inside)."""

    slice: Index
    picture: Png
    masks: dict[str, Png] = Field(default_factory=dict, max_length=200)


class Instance(_Record):
    """One DICOM instance that was read."""

    sop_class_uid: Uid
    sop_instance_uid: Uid
    series_uid: Uid | None = None
    study_uid: Uid | None = None


class SegObject(Instance):
    """The DICOM Segmentation that holds the segments: id to segment number."""

    segments: dict[str, Annotated[int, Field(ge=1, le=65535)]] = Field(default_factory=dict)


class Patient(_Record):
    """What the report's patient module says; dates ``YYYYMMDD``."""

    id: Name = ""
    name: Name = ""
    birth_date: Date = ""
    sex: Annotated[str, StringConstraints(pattern="^[MFO]?$")] = ""


class Dicom(_Record):
    """Identity of the images that the report is about; everything is optional."""

    patient: Patient | None = None
    study_uid: Uid | None = None
    study_date: Date = ""
    study_time: Time = ""
    study_id: Annotated[str, StringConstraints(max_length=16)] = ""
    accession_number: Annotated[str, StringConstraints(max_length=16)] = ""
    series_uid: Uid | None = None
    frame_of_reference_uid: Uid | None = None
    instances: tuple[Instance, ...] = Field(default=(), max_length=MAX_INSTANCES)
    segmentation: SegObject | None = None


class Document(_Record):
    """A report ready to leave; see the module."""

    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)]
    spans: tuple[DocumentSpan, ...] = Field(default=(), max_length=10_000)
    title: Line = ""
    edited: bool = False
    unreliable: bool = False
    """The answer to a question that the model was not trained on."""
    notes: tuple[Annotated[str, StringConstraints(max_length=2_000)], ...] = Field(default=(), max_length=100)
    segments: tuple[DocumentSegment, ...] = Field(default=(), max_length=MAX_SEGMENTS)
    provenance: dict[str, Any] = Field(default_factory=dict)
    images: tuple[DocumentImage, ...] = Field(default=(), max_length=MAX_IMAGES)
    dicom: Dicom = Field(default_factory=Dicom)
    format: Annotated[str, StringConstraints(pattern=f"^{re.escape(FORMAT)}$")] = FORMAT

    @model_validator(mode="after")
    def _spans_lie_in_the_text(self) -> Document:
        for span in self.spans:
            if not span.start <= span.end <= len(self.text):
                raise ValueError(f"the span {span.start} to {span.end} lies outside the text")
        return self


def read_document(document: Any) -> tuple[Document, Result | None]:
    """The document and the task's result in it, if there is one. InputError with the place that is wrong."""
    if not isinstance(document, dict):
        raise InputError("A report to export is a JSON object with at least its text.")
    fields = dict(document)
    raw = fields.pop("result", None)
    result = None if raw is None else from_json(raw)
    if result is not None:
        for name, value in _from_result(result).items():
            fields.setdefault(name, value)
    try:
        return Document.model_validate(fields), result
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"This report cannot be exported: {place}: {message}.") from error


def _from_result(result: Result) -> dict[str, Any]:
    """The document's fields as the task made them."""
    segments = getattr(result, "segments", ())
    names = segment_names(segments)
    sentences = {
        identity: finding.sentence for finding in getattr(result, "findings", ()) for identity in finding.segments
    }
    return {
        "text": getattr(result, "text", ""),
        "spans": [
            {"start": span.start, "end": span.end, "text": span.text, "segments": span.segments}
            for span in getattr(result, "spans", ())
        ],
        "title": "",
        "unreliable": bool(getattr(result, "off_template", False)),
        "notes": result.provenance.notes,
        "segments": [
            {
                "id": item.id,
                "name": names[item.id],
                "phrase": item.phrase,
                "target": item.target,
                "kind": item.kind,
                "volume_ml": item.volume_ml,
                "voxels": item.voxels,
                "slices": item.slices,
                "extent_mm": item.extent_mm,
                "confidence": item.confidence,
                "sentence": sentences.get(item.id, ""),
            }
            for item in segments
        ],
        "provenance": {
            name: getattr(result.provenance, name)
            for name in (
                "task",
                "model",
                "model_version",
                "weights_sha256",
                "engine_version",
                "modality",
                "site",
                "axis",
                "shape",
                "date",
                "device",
            )
        },
    }


def as_interpretation(document: Document, result: Result) -> Interpretation:
    """``result`` with the document's text and links, in the form that the page is written from.

    Links to segments that the result does not have are left out.
    """
    segments = getattr(result, "segments", ())
    known = {item.id for item in segments}
    return Interpretation(
        provenance=result.provenance,
        modality=result.provenance.modality,
        site=result.provenance.site,
        text=document.text,
        nothing_found=bool(getattr(result, "nothing_found", False)),
        spans=tuple(
            {"start": s.start, "end": s.end, "text": s.text, "segments": tuple(i for i in s.segments if i in known)}
            for s in document.spans
        ),
        findings=getattr(result, "findings", ()),
        segments=segments,
        slices=getattr(result, "slices", ()),
        not_found=getattr(result, "not_found", ()),
    )
