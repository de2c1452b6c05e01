# SPDX-License-Identifier: Apache-2.0
"""What the header of a ``.seg.nrrd`` says of its segments, without reading a voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unibiomed.volumes.seg_documents import read_document


@dataclass(frozen=True)
class SegmentHead:
    """One segment: its ``id`` in the file, which Slicer keeps through renames, the name shown, its tags."""

    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_id(self) -> str:
        """Its id in the result of the model, "" for a segment that a person added."""
        return self.tags.get("UniBiomed.Id", "")

    @property
    def phrase(self) -> str:
        """What the model was asked for, "" for a segment that a person added."""
        return self.tags.get("UniBiomed.Phrase", "")


def read_heads(path: Path) -> tuple[SegmentHead, ...]:
    """The segments of ``path`` in the order of ``read_segmentation``. InputError when it is no such file."""
    return tuple(
        SegmentHead(
            id=str(entry["id"]),
            name=str(entry.get("name") or entry["id"]),
            tags={str(key): str(value) for key, value in (entry.get("tags") or {}).items()},
        )
        for entry in read_document(path, skip_voxels=True)["segments"]
    )
