# SPDX-License-Identifier: Apache-2.0
"""The plan of a cohort: what is looked for, with which model, and what is written. One YAML file, schema-checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from unibiomed.cohort.cases import Case
from unibiomed.cohort.rules import Axis, FrameNumber, Match, Name, Rule, check_words
from unibiomed.cohort.stated import bids_name, dicom_word
from unibiomed.errors import InputError

Output = Literal["seg.nrrd", "nifti", "dicom-seg", "report"]
#: Left out of a plan's document where they say nothing, so that plans from before them keep their digest.
_LATER: dict[str, Any] = {"rules": (), "frame": None, "modality_from_picture": False}

_SHAPES = {
    "tuple_type": "a list is needed, as [liver, spleen]",
    "model_type": "a mapping is needed, as {path: '*.png'}",
}


class Plan(BaseModel):
    """What is done with every case, and by ``rules`` with some of them.

    ``targets`` empty: prompt-free, the model says what it sees (``unibiomed.tasks.interpret``). ``propagation`` asks a
    second time through SAM 2's memory and notes how far both agree (for the review queue). ``frame``: which one of a
    4-D image is taken. ``modality_from_picture``: where neither the plan nor the file says the modality, a prompt-free
    case goes by what the model takes the picture for, instead of failing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["unibiomed.plan/1"] = "unibiomed.plan/1"
    model: Name = "mini"
    device: Name = "auto"
    targets: tuple[Name, ...] = ()
    modality: str | None = None
    site: str | None = None
    window: str | None = None
    axis: Axis | None = None
    method: Literal["slices", "propagate"] = "slices"
    propagation: bool = False
    anatomy: bool = True
    clean: bool = False
    outputs: tuple[Output, ...] = ("seg.nrrd", "report")
    frame: FrameNumber | None = None
    modality_from_picture: bool = False
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _words_are_known(self) -> Plan:
        check_words(self.modality, self.window, self.targets)
        if not self.all_targets and self.propagation:
            raise ValueError("propagation needs targets: there is nothing to follow in a prompt-free plan.")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        silent = {name for name, value in _LATER.items() if getattr(self, name) == value}
        return {name: value for name, value in handler(self).items() if name not in silent}

    @property
    def sha256(self) -> str:
        """Digest of what decides about the results; the same for plans that differ in layout only."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Every target that some case is asked for, the plan's own first."""
        return tuple(dict.fromkeys([*self.targets, *(name for rule in self.rules for name in rule.targets or ())]))

    def rule_of(self, case: Case) -> int | None:
        """The number of the rule for ``case``, counted from 1; None where the plan alone says it."""
        return next((number for number, rule in enumerate(self.rules, start=1) if rule.match.fits(case)), None)

    def of(self, case: Case) -> Plan:
        """The plan for ``case`` alone: without rules, with what its rule says in place of what is said for all.

        ``modality`` is the rule's, else the plan's, else that of the BIDS name; it stays None for DICOM, where the
        reader goes by the header, and for what states nothing.
        """
        number = self.rule_of(case)
        says = self.rules[number - 1].says if number else {}
        own = self.model_copy(update={**says, "rules": ()})
        changed: dict[str, Any] = {}
        if own.modality is None and case.dicom_modality is None:
            changed["modality"] = bids_name(case.path).modality
        if own.propagation and not own.targets:
            changed["propagation"] = False
        is_known = changed.get("modality") or own.modality or dicom_word(case.dicom_modality)
        if own.modality_from_picture and (own.targets or is_known):
            changed["modality_from_picture"] = False
        return own.model_copy(update=changed)


def differs_for(case: Case, one: Plan, other: Plan) -> bool:
    """Whether ``case`` would be annotated in another way; on which device is no other way."""
    return one.of(case) != other.of(case).model_copy(update={"device": one.device})


def read_plan(path: Path) -> Plan:
    """The plan in a YAML file. InputError says in one sentence what is wrong with it, and where."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a plan ({error}).") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{path} is not valid YAML{where}: {getattr(error, 'problem', error)}.") from error
    return plan_from(document, str(path))


def plan_from(document: object, where: str) -> Plan:
    """A checked plan from parsed YAML or JSON; ``where`` names the source in the InputError."""
    if not isinstance(document, dict):
        raise InputError(f"{where} must hold a mapping, such as 'targets: [liver]'.")
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(error)}") from error


def write_plan(path: Path, plan: Plan) -> None:
    """Write ``plan`` as YAML, everything spelled out, for a user to edit."""
    path.write_text(yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def _sentence(error: ValidationError) -> str:
    """What is wrong first, and where: rules are counted from 1 as people count."""
    first = error.errors()[0]
    place = list(first["loc"])
    if first["type"] == "extra_forbidden":
        unknown = place.pop()
        kind: type[BaseModel] = Match if "match" in place else Rule if "rules" in place else Plan
        said = f"there is no key {str(unknown)[:40]!r}; these are: {', '.join(kind.model_fields)}"
    elif first["type"] in _SHAPES:
        said = _SHAPES[first["type"]]
    else:
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        said = f"{message[:1].lower()}{message[1:]}"
    if place[:1] == ["rules"] and len(place) > 1 and isinstance(place[1], int):
        place[:2] = [f"rule {place[1] + 1}"]
    return f"{'.'.join(str(part) for part in place) or 'the plan'}: {said}."
