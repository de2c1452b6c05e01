# SPDX-License-Identifier: Apache-2.0
"""Where a result came from, taken down at the moment it is made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unibiomed import __version__
from unibiomed.tasks.catalogue import catalogue_of
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.presence import thresholds_used
from unibiomed.tasks.results import Provenance, SourceInfo
from unibiomed.volumes.volume import Volume

PUBLISHED_NOTE = (
    "This model's folder states neither its targets nor thresholds for presence: the list of targets is drawn from its "
    "published training folders, and the thresholds are not fitted."
)


def provenance_of(
    task: str,
    model: Any,
    frames: Frames,
    *,
    prompts: Iterable[str] = (),
    slices: Iterable[int] = (),
    method: str = "slices",
    phrases: Iterable[str] | None = None,
    notes: Iterable[str] = (),
    modality: str | None = None,
    site: str | None = None,
) -> Provenance:
    """The provenance block of ``task`` on ``frames``; the reader's own notes come first, folders keep only their name.

    ``phrases`` are the targets that the presence gate judged; None where it was not used.
    """
    info, volume = model.info, frames.volume
    said = [*volume.source.notes, *notes]
    if catalogue_of(model).published:
        said.append(PUBLISHED_NOTE)
    return Provenance(
        task=task,
        model=Path(str(info.name)).name if Path(str(info.name)).is_absolute() else str(info.name),
        model_version=str(getattr(info, "version", "") or ""),
        weights_sha256=str(info.sha256 or ""),
        engine_version=__version__,
        modality=modality or frames.modality or "unknown",
        axis=frames.mapping.axis,
        window=frames.window.to_json(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device=str(model.device),
        dtype=str(model.dtype).removeprefix("torch."),
        source=source_info(volume),
        shape=volume.shape,
        ijk_to_ras=tuple(tuple(float(value) for value in row) for row in volume.ijk_to_ras),
        prompts=tuple(dict.fromkeys(prompts)),
        slices=tuple(slices),
        site=site or frames.site,
        model_revision=str(info.revision) if getattr(info, "revision", None) else None,
        method=method,
        thresholds={} if phrases is None else thresholds_used(model, phrases),
        notes=tuple(dict.fromkeys(said)),
    )


def source_info(volume: Volume) -> SourceInfo:
    """The volume's source without its path, which may name a person."""
    source = volume.source
    return SourceInfo(
        name=source.name,
        kind=source.kind,
        sha256=volume.sha256,
        series_uid=source.series_uid,
        study_uid=source.study_uid,
        frame_of_reference_uid=source.frame_of_reference_uid,
    )
