# SPDX-License-Identifier: Apache-2.0
"""What every task returns: frozen records that say what was found, where, how sure, and how it was obtained.

Slices are indices along ``provenance.axis``'s array axis; masks are boxes in the volume's ``[k, j, i]``; volumes are in
millilitres and extents in mm along i, j and k (None for a picture without real spacing). "Nothing was found" is a
record (``NotFound``, ``nothing_found``), never an empty segment. Confidences are products of the model's own scores in
0..1; they are not calibrated probabilities.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic.dataclasses import dataclass

from unibiomed.errors import InputError
from unibiomed.volumes.masks import BoxMask

FORMAT = "unibiomed.result/1"
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

Kind = Literal["anatomy", "abnormality", "unknown"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Index = Annotated[int, Field(ge=0)]
Extent = tuple[float, float, float]
Row = tuple[float, float, float, float]


def _mask(value: Any) -> BoxMask:
    if isinstance(value, BoxMask):
        return value
    try:
        return BoxMask.from_json(value)
    except InputError as error:
        raise ValueError(str(error)) from error


Mask = Annotated[
    BoxMask,
    PlainValidator(_mask),
    PlainSerializer(lambda mask: mask.to_json()),
    WithJsonSchema(
        {
            "type": "object",
            "title": "Mask",
            "description": "Bits of the bounding box in C order, eight a byte, zlib, base64; offset, shape: k, j, i.",
            "properties": {
                "offset": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 3, "maxItems": 3},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 3, "maxItems": 3},
                "bits": {"type": "string", "contentEncoding": "base64"},
            },
            "required": ["offset", "shape", "bits"],
            "additionalProperties": False,
        }
    ),
]


@dataclass(frozen=True, config=CONFIG)
class SourceInfo:
    """Where the pixels came from; ``name`` is a file or folder name without its path."""

    name: str
    kind: str
    sha256: str = ""
    series_uid: str | None = None
    study_uid: str | None = None
    frame_of_reference_uid: str | None = None


@dataclass(frozen=True, config=CONFIG)
class Provenance:
    """Everything needed to obtain the result again. ``prompts`` are the texts sent, ``thresholds`` the presence gate's
    (``default``: of every phrase without its own), ``notes`` what a reader should know about how it came about."""

    task: str
    model: str
    model_version: str
    weights_sha256: str
    engine_version: str
    modality: str
    axis: str
    window: dict[str, Any]
    date: str
    device: str
    dtype: str
    source: SourceInfo
    shape: tuple[int, int, int]
    ijk_to_ras: tuple[Row, Row, Row, Row]
    prompts: tuple[str, ...] = ()
    slices: tuple[Index, ...] = ()
    site: str | None = None
    model_revision: str | None = None
    method: str = "slices"
    thresholds: dict[str, dict[str, float]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, config=CONFIG)
class PresenceEvidence:
    """Why a target counts as present or absent in one slice; ``reason`` names the test that failed, "" if none did.

    ``token_logprob`` is None when the model does not give it or the slice was tracked; ``neighbour`` (best Dice with
    the slices beside it) is None when none was read.
    """

    slice: Index
    present: bool
    object_score: float
    iou: float
    token_logprob: float | None = None
    neighbour: float | None = None
    pixels: Index = 0
    reason: str = ""


@dataclass(frozen=True, config=CONFIG)
class SegmentResult:
    """One segment. ``cleaned`` says what a clean-up changed, "" when none was asked for."""

    id: str
    phrase: str
    target: str
    kind: Kind
    mask: Mask
    slices: tuple[Index, ...]
    voxels: Index
    confidence: Fraction
    volume_ml: float | None = None
    extent_mm: Extent | None = None
    presence: tuple[PresenceEvidence, ...] = ()
    cleaned: str = ""


@dataclass(frozen=True, config=CONFIG)
class NotFound:
    """A target that was looked for in ``slices_read`` slices and not found; ``best`` is the nearest miss."""

    phrase: str
    target: str
    kind: Kind
    slices_read: Index
    reason: str
    best: PresenceEvidence | None = None


@dataclass(frozen=True, config=CONFIG)
class TextSpan:
    """Characters ``start``..``end`` (end excluded) of the text, and the ids of the segments that they speak of."""

    start: Index
    end: Index
    text: str
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, config=CONFIG)
class SliceReport:
    """What the model said of one slice. ``segments`` are the ids of the segments it belongs to after joining."""

    slice: Index
    text: str
    nothing_found: bool
    spans: tuple[TextSpan, ...] = ()
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, config=CONFIG)
class Finding:
    """One abnormality, joined over its slices. ``sentence`` is the model's own, from its most certain slice."""

    id: str
    phrase: str
    target: str
    segments: tuple[str, ...]
    slices: tuple[Index, ...]
    confidence: Fraction
    sentence: str = ""
    volume_ml: float | None = None
    extent_mm: Extent | None = None


@dataclass(frozen=True, config=CONFIG)
class SegmentationResult:
    """Answer to "segment these targets": one segment each, or a record that it was not found."""

    provenance: Provenance
    segments: tuple[SegmentResult, ...] = ()
    not_found: tuple[NotFound, ...] = ()
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["segmentation"] = "segmentation"


@dataclass(frozen=True, config=CONFIG)
class RecognitionResult:
    """Answer to "are there signs of abnormality?", by slice and joined over slices."""

    provenance: Provenance
    text: str
    nothing_found: bool
    spans: tuple[TextSpan, ...] = ()
    findings: tuple[Finding, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    slices: tuple[SliceReport, ...] = ()
    not_found: tuple[NotFound, ...] = ()
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["recognition"] = "recognition"


@dataclass(frozen=True, config=CONFIG)
class RegionDescription:
    """Answer to "what is in this box?".

    ``box`` is (top, left, bottom, right) in pixels of the slice's picture, ``box_kji`` (first, end) voxel along k, j
    and i; ends are excluded; ``target`` is None when the answer is not a phrase. ``mean_logprob`` is that of the
    answer's tokens (0 = certain)."""

    provenance: Provenance
    slice: Index
    box: tuple[int, int, int, int]
    box_kji: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    text: str
    target: str | None = None
    site: str | None = None
    modality: str | None = None
    mean_logprob: float | None = None
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["region"] = "region"


@dataclass(frozen=True, config=CONFIG)
class Answer:
    """Answer to a question about one slice. ``off_template`` marks a question that the model was not trained on: its
    answer must be shown as unreliable. ``history`` is given back for the next question."""

    provenance: Provenance
    slice: Index
    question: str
    text: str
    off_template: bool
    nothing_found: bool
    spans: tuple[TextSpan, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    history: str = ""
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["answer"] = "answer"


@dataclass(frozen=True, config=CONFIG)
class Report:
    """The grounded report of one slice."""

    provenance: Provenance
    slice: Index
    text: str
    nothing_found: bool
    spans: tuple[TextSpan, ...] = ()
    findings: tuple[Finding, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["report"] = "report"


@dataclass(frozen=True, config=CONFIG)
class Interpretation:
    """The whole reading of a volume or picture: ``segments`` holds anatomy and findings, ``text`` speaks of each."""

    provenance: Provenance
    modality: str
    site: str | None
    text: str
    nothing_found: bool
    spans: tuple[TextSpan, ...] = ()
    findings: tuple[Finding, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    slices: tuple[SliceReport, ...] = ()
    not_found: tuple[NotFound, ...] = ()
    caption: str = ""
    format: Literal["unibiomed.result/1"] = FORMAT
    type: Literal["interpretation"] = "interpretation"


Result = Annotated[
    SegmentationResult | RecognitionResult | RegionDescription | Answer | Report | Interpretation,
    Field(discriminator="type"),
]
