# SPDX-License-Identifier: Apache-2.0
"""The JSON documents of the protocol that are not results; unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model, field_validator

from unibiomed.engine.parameters import TASKS
from unibiomed.engine.uploads import ENCODINGS
from unibiomed.engine.volume_store import DTYPES, VolumeDescription
from unibiomed.errors import InputError

Id = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
Row = Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=4, max_length=4)]
Length = Annotated[int, Field(ge=1, le=65_536)]


class Document(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ErrorDetail(BaseModel):
    """What went wrong: ``code`` for programs, ``message`` one sentence for people."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail


class ProtocolBody(BaseModel):
    """Who answers, and in which version."""

    name: str
    protocol: int
    version: str


class SessionBody(BaseModel):
    """A session; it is lost when no request is made for ``lease_seconds``."""

    session: str
    lease_seconds: float


class ModelEntry(BaseModel):
    """A model that can be loaded by its name."""

    name: str
    title: str
    licence: str
    source: Literal["bundled", "store", "folder"]
    bytes: int
    loaded: bool


class LoadRequest(Document):
    """Which model to load, where, and how precisely."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantize: Literal["int8"] | None = None


class JobStarted(BaseModel):
    """A job that was taken on."""

    job: str
    state: str


class JobBody(BaseModel):
    """A job as it is now; times are seconds since 1970."""

    job: str
    task: str
    volume: str | None
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    position: int
    stage: str | None
    done: int
    total: int
    seconds_left: float | None
    submitted: float
    started: float | None
    ended: float | None
    result_bytes: int | None
    code: str | None
    message: str | None


class SourceUids(Document):
    """DICOM identifiers of where the volume came from."""

    series_uid: Uid | None = None
    study_uid: Uid | None = None
    frame_of_reference_uid: Uid | None = None


class VolumeRequest(Document):
    """A volume that is about to be sent; see ``docs/protocol.md``."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    shape: Annotated[list[Length], Field(min_length=3, max_length=4)]
    dtype: Literal[*DTYPES]
    ijk_to_ras: Annotated[list[Row], Field(min_length=4, max_length=4)]
    modality: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    spatial: bool = True
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    window_hint: Annotated[str, StringConstraints(max_length=60)] | None = None
    encoding: Literal[*ENCODINGS] = "raw"
    bytes: Annotated[int, Field(ge=1)]
    source: SourceUids = SourceUids()

    @field_validator("shape")
    @classmethod
    def _colour_is_rgb(cls, shape: list[int]) -> list[int]:
        if len(shape) == 4 and shape[3] != 3:
            raise ValueError("the fourth length is that of the colour and must be 3")
        return shape

    def description(self) -> VolumeDescription:
        """The same for the engine; InputError for a modality, window or geometry that cannot be used."""
        from unibiomed.volumes.geometry import checked_affine
        from unibiomed.volumes.modalities import parse_modality
        from unibiomed.volumes.windows import parse_window

        checked_affine(self.ijk_to_ras, self.name or "the volume")
        if self.window_hint is not None:
            parse_window(self.window_hint)
        told = VolumeDescription(
            sha256=self.sha256,
            shape=tuple(self.shape),
            dtype=self.dtype,
            ijk_to_ras=tuple(tuple(row) for row in self.ijk_to_ras),
            encoding=self.encoding,
            encoded_bytes=self.bytes,
            modality=None if self.modality is None else parse_modality(self.modality),
            spatial=self.spatial,
            name=self.name,
            window=self.window_hint,
            uids=tuple((key, value) for key, value in self.source.model_dump().items() if value is not None),
        )
        if self.encoding == "raw" and self.bytes != told.size:
            raise InputError(f"A raw volume of this shape and type has {told.size} bytes, not {self.bytes}.")
        # zlib adds a few bytes to what it cannot compress; more than that is not the voxels.
        if self.bytes > told.size + told.size // 1000 + 1024:
            raise InputError(f"{self.bytes} bytes are more than {told.size} bytes of voxels can become in zlib.")
        return told


class VolumeBody(BaseModel):
    """A volume: ``received`` of its ``bytes`` have arrived; jobs can use it when it is ``complete``."""

    volume: str
    complete: bool
    received: int
    bytes: int


class ExportRequest(Document):
    """A report to be written in another form; ``document`` as ``unibiomed.tasks.outputs.document`` has it."""

    kind: Literal["dicom-sr", "html", "text", "json"]
    document: dict[str, Any]


def _job_request(task: str) -> type[BaseModel]:
    parameters = TASKS[task]
    needed = any(field.is_required() for field in parameters.model_fields.values())
    fields: dict[str, Any] = {
        "task": (Literal[task], ...),
        "volume": (Id, ...),
        "parameters": (parameters, ... if needed else parameters.model_construct()),
    }
    name = f"{task.capitalize()}Job"
    return create_model(name, __base__=Document, __doc__=f"``unibiomed.tasks.{task}`` on a volume.", **fields)


SegmentJob, RecogniseJob, ReportJob, AnswerJob, DescribeJob, InterpretJob = (_job_request(task) for task in TASKS)
JobRequest = Annotated[
    SegmentJob | RecogniseJob | ReportJob | AnswerJob | DescribeJob | InterpretJob, Field(discriminator="task")
]
