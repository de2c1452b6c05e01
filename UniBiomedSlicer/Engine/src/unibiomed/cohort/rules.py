# SPDX-License-Identifier: Apache-2.0
"""Rules of a plan: what some cases get instead of what the plan says for all. The first rule that matches wins."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from unibiomed.cohort.cases import Case
from unibiomed.cohort.stated import bids_name
from unibiomed.errors import InputError
from unibiomed.volumes.modalities import parse_modality
from unibiomed.volumes.windows import parse_window

Name = Annotated[str, Field(min_length=1, max_length=200)]
Axis = Literal["axial", "coronal", "sagittal"]
FrameNumber = Annotated[int, Field(ge=0)]


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


#: One word, or a list of which one has to fit.
Words = Annotated[tuple[Name, ...], BeforeValidator(_listed)]


class Match(BaseModel):
    """Which cases a rule is for: everything that is given must fit, of a list one entry.

    ``path``: a pattern with ``*``, ``?`` and ``[...]`` for the case's path in the cohort, or for the last part of it;
    ``*`` goes over folders. ``bids``: suffix (``T1w``) or data type (``anat``) of a BIDS name. ``dicom``: the DICOM
    attribute Modality (``CT``, ``MR``, ``US``). Capitals do not matter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Words = ()
    bids: Words = ()
    dicom: Words = ()

    @model_validator(mode="after")
    def _says_something(self) -> Match:
        if not (self.path or self.bids or self.dicom):
            raise ValueError("match needs a path, a bids or a dicom entry.")
        return self

    @model_serializer(mode="wrap")
    def _only_what_is_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value}

    def fits(self, case: Case) -> bool:
        """Whether ``case`` is one of those meant."""
        if self.path and not any(_fits_path(case.path, pattern) for pattern in self.path):
            return False
        if self.bids:
            named = bids_name(case.path)
            if not {word.lower() for word in self.bids} & ({named.suffix, named.datatype} - {""}):
                return False
        return not self.dicom or (case.dicom_modality or "").upper() in {word.upper() for word in self.dicom}

    def __str__(self) -> str:
        """``path *.png``, for a table."""
        given = (("path", self.path), ("bids", self.bids), ("dicom", self.dicom))
        return ", ".join(f"{key} {' or '.join(words)}" for key, words in given if words)


class Rule(BaseModel):
    """What the cases that ``match`` get; what is not given is as the plan says it for all.

    ``targets: []`` makes them prompt-free.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Match
    targets: tuple[Name, ...] | None = None
    modality: str | None = None
    site: str | None = None
    window: str | None = None
    axis: Axis | None = None
    frame: FrameNumber | None = None

    @model_validator(mode="after")
    def _is_of_use(self) -> Rule:
        check_words(self.modality, self.window, self.targets or ())
        if not self.says:
            raise ValueError(
                "the rule says nothing for its cases; give modality, site, window, targets, axis or frame."
            )
        return self

    @model_serializer(mode="wrap")
    def _only_what_is_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def says(self) -> dict[str, Any]:
        """Only what the rule says, by the names of the plan's fields."""
        return {name: value for name, value in self if name != "match" and value is not None}


def check_words(modality: str | None, window: str | None, targets: tuple[str, ...]) -> None:
    """ValueError for a modality or a window that is not known and for a target that stands twice."""
    try:
        if modality is not None:
            parse_modality(modality)
        if window is not None:
            parse_window(window)
    except InputError as error:
        raise ValueError(str(error)) from error
    if len(set(targets)) != len(targets):
        raise ValueError("a target stands twice in targets.")


def _fits_path(path: str, pattern: str) -> bool:
    path, pattern = path.lower(), pattern.lower().removeprefix("./")
    return fnmatchcase(path, pattern) or fnmatchcase(PurePosixPath(path).name, pattern)
