# SPDX-License-Identifier: Apache-2.0
"""The tasks: from a volume and a model to a result that says what is where, how sure, and how it was obtained."""

from __future__ import annotations

from unibiomed.tasks.answer import answer
from unibiomed.tasks.catalogue import Catalogue, Target, catalogue_of
from unibiomed.tasks.describe import describe
from unibiomed.tasks.interpret import interpret
from unibiomed.tasks.progress import PartialMask, ProgressEvent
from unibiomed.tasks.recognise import recognise
from unibiomed.tasks.report import report
from unibiomed.tasks.results import (
    Answer,
    Finding,
    Interpretation,
    NotFound,
    PresenceEvidence,
    Provenance,
    RecognitionResult,
    RegionDescription,
    Report,
    SegmentationResult,
    SegmentResult,
    SliceReport,
    SourceInfo,
    TextSpan,
)
from unibiomed.tasks.schema import from_json, to_json, to_text
from unibiomed.tasks.segment import segment

__all__ = [
    "Answer",
    "Catalogue",
    "Finding",
    "Interpretation",
    "NotFound",
    "PartialMask",
    "PresenceEvidence",
    "ProgressEvent",
    "Provenance",
    "RecognitionResult",
    "RegionDescription",
    "Report",
    "SegmentResult",
    "SegmentationResult",
    "SliceReport",
    "SourceInfo",
    "Target",
    "TextSpan",
    "answer",
    "catalogue_of",
    "describe",
    "from_json",
    "interpret",
    "recognise",
    "report",
    "segment",
    "to_json",
    "to_text",
]
