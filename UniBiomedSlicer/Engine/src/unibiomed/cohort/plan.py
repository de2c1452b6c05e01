# SPDX-License-Identifier: Apache-2.0
"""The plan of a cohort: what is looked for, with which model, and what is written. One YAML file, schema-checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import parse_modality
from unibiomed.volumes.windows import parse_window

Output = Literal["seg.nrrd", "nifti", "dicom-seg", "report"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Plan(BaseModel):
    """What is done with every case.

    ``targets`` empty: prompt-free, the model says what it sees (``unibiomed.tasks.interpret``). ``propagation`` asks a
    second time through SAM 2's memory and notes how far both agree (for the review queue).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["unibiomed.plan/1"] = "unibiomed.plan/1"
    model: Name = "mini"
    device: Name = "auto"
    targets: tuple[Name, ...] = ()
    modality: str | None = None
    site: str | None = None
    window: str | None = None
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    method: Literal["slices", "propagate"] = "slices"
    propagation: bool = False
    anatomy: bool = True
    clean: bool = False
    outputs: tuple[Output, ...] = ("seg.nrrd", "report")

    @model_validator(mode="after")
    def _words_are_known(self) -> Plan:
        try:
            if self.modality is not None:
                parse_modality(self.modality)
            if self.window is not None:
                parse_window(self.window)
        except InputError as error:
            raise ValueError(str(error)) from error
        if not self.targets and self.propagation:
            raise ValueError("propagation needs targets: there is nothing to follow in a prompt-free plan.")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("a target stands twice in targets.")
        return self

    @property
    def sha256(self) -> str:
        """Digest of what decides about the results; the same for plans that differ in layout only."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


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
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the plan"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {place}: {message[:1].lower()}{message[1:].rstrip('.')}.") from error


def write_plan(path: Path, plan: Plan) -> None:
    """Write ``plan`` as YAML, everything spelled out, for a user to edit."""
    path.write_text(yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
