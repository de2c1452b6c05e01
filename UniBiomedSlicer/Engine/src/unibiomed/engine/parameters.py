# SPDX-License-Identifier: Apache-2.0
"""The parameters of each task as a client may give them: checked before a job is taken on, unknown ones refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from unibiomed.engine.refusal import Refused

Word = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Phrase = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Axis = Literal["axial", "coronal", "sagittal"]
SliceIndex = Annotated[int, Field(ge=0, le=1_000_000)]
Slices = Annotated[list[SliceIndex], Field(min_length=1, max_length=100_000)]
BatchSize = Annotated[int, Field(ge=1, le=64)]


class Parameters(BaseModel):
    """What every task takes: words for what the image is, and how it is cut and windowed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    modality: Word | None = Field(None, description="CT, MRI, X-Ray ... ; null: the volume's own.")
    site: Word | None = Field(None, description="The part of the body, as in the model's phrases.")
    window: Word | None = Field(None, description='A window\'s name, "WIDTH/LEVEL" or "1%-99%"; null: by modality.')
    axis: Axis | None = Field(None, description="The axis that slices are cut across; null: as acquired.")

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the task."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class SegmentParameters(Parameters):
    """``unibiomed.tasks.segment``."""

    targets: Annotated[list[Phrase], Field(min_length=1, max_length=64)]
    slices: Slices | None = None
    method: Literal["slices", "propagate"] = "slices"
    key_slice: SliceIndex | None = None
    clean: bool = False
    batch_size: BatchSize | None = None

    @model_validator(mode="after")
    def _key_slice_is_for_propagation(self) -> Self:
        if self.key_slice is not None and self.method != "propagate":
            raise ValueError('a key slice is used by the method "propagate" only')
        return self


class RecogniseParameters(Parameters):
    """``unibiomed.tasks.recognise``."""

    slices: Slices | None = None
    batch_size: BatchSize | None = None


class ReportParameters(Parameters):
    """``unibiomed.tasks.report``."""

    slice_index: SliceIndex | None = Field(None, description="null: the middle one.")


class AnswerParameters(Parameters):
    """``unibiomed.tasks.answer``: either ``question`` or ``anatomy``."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=4000)] | None = None
    anatomy: Phrase | None = None
    history: Annotated[str, StringConstraints(max_length=20_000)] = Field(
        "", description="The `history` of the answer before, about the same slice."
    )
    slice_index: SliceIndex | None = Field(None, description="null: the middle one.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.question is None) == (self.anatomy is None):
            raise ValueError("give either question or anatomy, one of the two")
        return self


class MaskRegion(BaseModel):
    """A mask of the volume in its box: the JSON of ``unibiomed.volumes.masks.BoxMask``."""

    model_config = ConfigDict(extra="forbid")

    offset: tuple[SliceIndex, SliceIndex, SliceIndex]
    shape: tuple[SliceIndex, SliceIndex, SliceIndex]
    bits: str


class DescribeParameters(Parameters):
    """``unibiomed.tasks.describe``."""

    region: MaskRegion | tuple[SliceIndex, SliceIndex, SliceIndex, SliceIndex] = Field(
        description="A mask of the volume, or a box [top, left, bottom, right] in the pixels of the slice's picture."
    )
    slice_index: SliceIndex | None = Field(None, description="null: the slice of the mask's largest cut.")

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the task, the region still as it was given (see ``decode_region``)."""
        return {**super().arguments(), "region": self.region}


class InterpretParameters(Parameters):
    """``unibiomed.tasks.interpret``."""

    anatomy: bool = True
    batch_size: BatchSize | None = None


TASKS: dict[str, type[Parameters]] = {
    "segment": SegmentParameters,
    "recognise": RecogniseParameters,
    "report": ReportParameters,
    "answer": AnswerParameters,
    "describe": DescribeParameters,
    "interpret": InterpretParameters,
}


def parse_parameters(task: str, parameters: Any) -> Parameters:
    """Checked parameters of ``task``; Refused with one sentence that names the first thing wrong."""
    if task not in TASKS:
        raise Refused("unknown_task", f"There is no task {task[:40]!r}; choose {', '.join(TASKS)}.")
    try:
        return TASKS[task].model_validate(parameters)
    except ValidationError as error:
        raise Refused("invalid_parameters", f"{task}: {first_problem(error.errors(include_url=False))}") from error


def first_problem(problems: list[Any]) -> str:
    """The first of pydantic's problems as one sentence."""
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{place}: {said}." if place else f"{said[:1].upper()}{said[1:]}."


def decode_region(region: MaskRegion | tuple[int, ...], shape: tuple[int, int, int]) -> Any:
    """The region that ``describe`` takes; Refused for a box outside a volume of ``shape`` before it is unpacked."""
    if not isinstance(region, MaskRegion):
        return region
    from unibiomed.volumes.masks import BoxMask

    ends = [start + size for start, size in zip(region.offset, region.shape, strict=True)]
    if any(end > most for end, most in zip(ends, shape, strict=True)):
        raise Refused(
            "invalid_parameters", f"The region ends at {ends} [k, j, i], outside the volume of {list(shape)}."
        )
    return BoxMask.from_json(region.model_dump())
