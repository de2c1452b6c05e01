# SPDX-License-Identifier: Apache-2.0
"""The report of a case as it stands: its text, who wrote it, and which segments its words speak of.

A reviewer's text is the file ``report.json`` beside the segmentation that it speaks of, a ``unibiomed.document/1`` (see
``tasks.outputs.document``, the form in which reports leave UniBiomed Report) with these fields and no others::

    {"format": "unibiomed.document/1",
     "text": "The liver is enlarged. No focal lesion.",
     "spans": [{"start": 0, "end": 21, "text": "The liver is enlarged", "segments": ["Segment_1"]}],
     "segments": [{"id": "Segment_1", "name": "liver", "phrase": "liver in abdomen CT"}],
     "edited": true}

A span goes from character ``start`` to ``end`` (excluded) and names segments by their ids in the segmentation file,
which stay when a segment is renamed; ``segments`` says how those are called. The model's own text is read from its
result, its links carried over to the segments that are still there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from unibiomed.errors import InputError
from unibiomed.tasks.compose import sentence_bounds
from unibiomed.tasks.outputs.document import FORMAT, Document, DocumentSpan
from unibiomed.volumes.segment_heads import SegmentHead

TEXT = "report.json"
Author = Literal["model", "reviewer"]

_FIELDS = {"format", "text", "spans", "segments", "edited"}
#: Words of a linked phrase that says something by itself.
_A_SENTENCE = 3
#: What the engine writes behind a finding: its size, where it is, how sure the model is.
_FIGURES = re.compile(r"\s*\([^()]*confidence \d\.\d\d\)")


@dataclass(frozen=True)
class Remark:
    """One sentence of a report, and the ids of the segments that it speaks of; ``start``, ``end`` in the text."""

    sentence: str
    start: int
    end: int
    segments: tuple[str, ...]


@dataclass(frozen=True)
class ReportText:
    """A report: spans lie in the text and name segments that are there."""

    text: str = ""
    spans: tuple[DocumentSpan, ...] = ()
    author: Author = "model"

    def only(self, segments: Iterable[str]) -> ReportText:
        """Without the links to other segments than these."""
        known = set(segments)
        kept = (
            span.model_copy(update={"segments": tuple(one for one in span.segments if one in known)})
            for span in self.spans
        )
        return ReportText(self.text, tuple(span for span in kept if span.segments), self.author)

    def remarks(self) -> tuple[Remark, ...]:
        """The sentences that speak of segments, in the order of the text."""
        found: dict[tuple[int, int], list[str]] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            found.setdefault(sentence_bounds(self.text, span.start, span.end), []).extend(span.segments)
        return tuple(
            Remark(self.text[start:end], start, end, tuple(dict.fromkeys(segments)))
            for (start, end), segments in found.items()
        )

    def said_of(self, segment: str, names: Iterable[str] = ()) -> str:
        """What the text says of one segment, without the figures that the engine puts behind a finding.

        That is the longest phrase linked to it, and where this is but its name (one of ``names``) the sentence around;
        "" where nothing is linked, or nothing but the name is said.
        """
        linked = [span for span in self.spans if segment in span.segments]
        if not linked:
            return ""
        known = {name.casefold() for name in names}
        longest = max(linked, key=lambda span: span.end - span.start)
        said = self.text[longest.start : longest.end].strip()
        if said.casefold() in known or len(said.split()) < _A_SENTENCE:
            start, end = sentence_bounds(self.text, longest.start, longest.end)
            said = self.text[start:end]
        said = _FIGURES.sub("", said).strip()
        return "" if said.rstrip(".").casefold() in known else said


def checked_text(value: Any, heads: Sequence[SegmentHead]) -> ReportText:
    """A text as a reviewer sends it. InputError, one sentence with the place that is wrong.

    ``value`` holds ``text`` and, as a rule, ``spans``; every segment named must be one of ``heads``.
    """
    text = parse_text(value, "The corrected text is not right")
    known = {head.id for head in heads}
    for span in text.spans:
        for segment in span.segments:
            if segment not in known:
                raise InputError(
                    f"The corrected text is not right: characters {span.start} to {span.end} speak of the segment "
                    f"{segment[:60]!r}, which the segmentation does not have."
                )
    return text


def parse_text(value: Any, what: str) -> ReportText:
    """``value`` as a reviewer's text, whatever segments it names. InputError that begins with ``what``."""
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise InputError(f"{what}: it is a JSON object with text and spans.")
    unknown = sorted(set(value) - _FIELDS)
    if unknown:
        raise InputError(f"{what}: it has no field {str(unknown[0])[:40]!r}.")
    try:
        document = Document.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "spans"
        raise InputError(f"{what}: {place}: {first['msg'].removeprefix('Value error, ')}.") from error
    spans = (
        span.model_copy(update={"text": document.text[span.start : span.end]})
        for span in document.spans
        if span.segments and span.end > span.start
    )
    return ReportText(document.text, tuple(spans), "reviewer")


def read_text(path: Path) -> ReportText:
    """A reviewer's text from its file. InputError when it is broken."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a report ({error}).") from error
    return parse_text(value, f"{path} is not a report")


def write_text(path: Path, text: ReportText, heads: Sequence[SegmentHead]) -> None:
    """Write ``report.json``; see the module for its form."""
    path.write_text(json.dumps(to_json(text, heads), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def to_json(text: ReportText, heads: Sequence[SegmentHead]) -> dict[str, Any]:
    """The document of a reviewer's text."""
    named = {segment for span in text.spans for segment in span.segments}
    return {
        "format": FORMAT,
        "text": text.text,
        "spans": [span.model_dump(mode="json") for span in text.spans],
        "segments": [
            {"id": head.id, "name": head.name[:256], "phrase": head.phrase[:256]} for head in heads if head.id in named
        ],
        "edited": True,
    }


def model_text(result: Path, heads: Sequence[SegmentHead]) -> ReportText:
    """What the model wrote, linked to the segments of ``heads``; empty for a plan that asked for segments only.

    Segments are found again by the id that the model gave them, else by their name.
    """
    try:
        document = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{result} cannot be read as a result ({error}).") from error
    if not document.get("text"):
        return ReportText()
    names = {item["id"]: item["target"] for item in document.get("segments", ())}
    of_model = {head.model_id: head.id for head in heads if head.model_id}
    by_name = {head.name: head.id for head in heads if not head.model_id}
    spans = []
    for span in document.get("spans", ()):
        found = (of_model.get(one) or by_name.get(names.get(one, "")) for one in span["segments"])
        linked = tuple(dict.fromkeys(one for one in found if one))
        if linked:
            spans.append(DocumentSpan(start=span["start"], end=span["end"], text=span["text"], segments=linked))
    return ReportText(document["text"], tuple(spans))
