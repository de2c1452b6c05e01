# SPDX-License-Identifier: Apache-2.0
"""What an export knows of its cases and its format has no place for: ``unibiomed-export.json`` beside the data.

The program that a format is for never reads it; ``unibiomed evaluate`` does, so that every format is measured with the
same phrases, patients, millimetres and texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unibiomed.errors import InputError
from unibiomed.tasks.results import Kind

FACTS = "unibiomed-export.json"
FORMAT = "unibiomed.export/1"
_STRICT = ConfigDict(extra="forbid", frozen=True)

Words = Annotated[str, Field(min_length=1)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SegmentFacts(BaseModel):
    """A segment that stands in a case: the phrase it is asked for by, the bare target, and what kind it is."""

    model_config = _STRICT

    phrase: Words
    target: Words
    kind: Kind = "unknown"


class SentenceFacts(BaseModel):
    """What is said of a finding on ``slices`` (indices of the case's pictures)."""

    model_config = _STRICT

    phrase: Words
    slices: tuple[int, ...]
    sentence: str


class HowFacts(BaseModel):
    """How a case was annotated, and so how a model is asked about it; the words of a plan."""

    model_config = _STRICT

    modality: str | None = None
    site: str | None = None
    window: str | None = None
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    method: Literal["slices", "propagate"] = "slices"
    clean: bool = False
    anatomy: bool = True


class CaseFacts(BaseModel):
    """One case under its name in the export.

    ``asked`` are the phrases that it was annotated for, of a prompt-free case those that the model named;
    ``prompt_free``: the model said what it sees, so that every abnormality it knows was looked for. ``picture_mm`` is
    the size of a picture's pixel along rows and columns, and the distance of two pictures; all nominal unless
    ``spatial``; ``picture_box`` (top, left, bottom, right; the last two excluded) is where a picture lies in its black
    frame. ``text_stands``: a person wrote text and sentences, or accepted the case with them.
    """

    model_config = _STRICT

    name: Words
    patient: Words
    split: Literal["train", "validation", "test"]
    modality: str | None = None
    site: str | None = None
    spatial: bool = True
    picture_mm: tuple[Length, Length, Length] = (1.0, 1.0, 1.0)
    picture_box: tuple[int, int, int, int] | None = None
    how: HowFacts = Field(default_factory=HowFacts)
    prompt_free: bool = False
    asked: tuple[Words, ...] = ()
    segments: tuple[SegmentFacts, ...] = ()
    sentences: tuple[SentenceFacts, ...] = ()
    text: str = ""
    text_stands: bool = False


class ExportFacts(BaseModel):
    """All cases of an export."""

    model_config = _STRICT

    format: Literal["unibiomed.export/1"] = FORMAT
    cases: tuple[CaseFacts, ...] = ()

    def by_name(self) -> dict[str, CaseFacts]:
        """The cases by their name in the export."""
        return {case.name: case for case in self.cases}


def write_facts(folder: Path, facts: ExportFacts) -> None:
    """Write ``facts`` into ``folder``."""
    (folder / FACTS).write_text(facts.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> ExportFacts | None:
    """What the export in ``folder`` says of itself, None where it says nothing. InputError when it is damaged."""
    path = folder / FACTS
    if not path.is_file():
        return None
    try:
        return ExportFacts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path} is damaged ({place}: {first['msg']}); export the data set again, or remove the file."
        ) from error


def phrases_of(cases: Iterable[CaseFacts]) -> tuple[str, ...]:
    """Every phrase that was asked for or outlined in ``cases``, once each, in order."""
    return tuple(
        dict.fromkeys(phrase for case in cases for phrase in (*case.asked, *(item.phrase for item in case.segments)))
    )
