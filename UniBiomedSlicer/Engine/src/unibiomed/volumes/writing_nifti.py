# SPDX-License-Identifier: Apache-2.0
"""NIfTI labelmap (SimpleITK) with its table of labels beside it."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from unibiomed.errors import OutputError
from unibiomed.volumes.atomic import atomic_path
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.terminology import resolve
from unibiomed.volumes.volume import Volume

MAX_LABEL = 65535
NIFTI_HEADER_BYTES = 352
"""A NIfTI-1 header (348) and its empty extension flag (4); voxels follow."""


def write_nifti(path: Path, segmentation: Segmentation, reference: Volume) -> tuple[Path, ...]:
    """Write the labelmap (segment n of 1, 2, ... has label n, 0 is nothing) and ``<name>_labels.json``.

    OutputError where segments overlap, since a labelmap holds one label a voxel.
    """
    overlap = segmentation.first_overlap()
    if overlap is not None:
        one, other = (segment.name for segment in overlap)
        raise OutputError(
            f"{path.name} can hold one label per voxel, but {one!r} and {other!r} overlap; write a .seg.nrrd instead."
        )
    if len(segmentation.segments) > MAX_LABEL:
        raise OutputError(f"{path.name} cannot hold {len(segmentation.segments)} segments; {MAX_LABEL} are possible.")
    dtype = np.uint8 if len(segmentation.segments) < 256 else np.uint16
    labels = np.zeros(segmentation.shape, dtype=dtype)
    for index, segment in enumerate(segmentation.segments):
        start = segment.mask.offset
        box = tuple(slice(a, a + size) for a, size in zip(start, segment.mask.array.shape, strict=True))
        labels[box][segment.mask.array] = index + 1
    image = sitk.GetImageFromArray(labels)
    place_image(image, segmentation.ijk_to_ras)
    table = label_table_path(path)
    with atomic_path(table) as temporary_table, atomic_path(path) as temporary:
        temporary_table.write_text(json.dumps(label_table(segmentation), indent=2) + "\n", encoding="utf-8")
        _write_image(image, temporary, path)
    return path, table


def label_table_path(path: Path) -> Path:
    """``head.nii.gz`` -> ``head_labels.json``."""
    stem = path.name.removesuffix(".gz").removesuffix(".GZ")
    return path.with_name(Path(stem).stem + "_labels.json")


def label_table(segmentation: Segmentation) -> dict[str, Any]:
    """What the labels mean: name, target, codes, colour and attributes of each, and the provenance."""
    labels = []
    for index, segment in enumerate(segmentation.segments):
        term = resolve(segment.target, segment.terminology)
        color = segment.color if segment.color is not None else term.color
        labels.append(
            {
                "label": index + 1,
                "name": segment.name,
                "target": segment.target,
                "code": {"scheme": term.type.scheme, "value": term.type.value, "meaning": term.type.meaning},
                "modifier": term.modifier.meaning if term.modifier else None,
                "region": term.region.meaning if term.region else None,
                "color": [round(255 * float(value)) for value in color],
                "voxels": segment.mask.voxel_count,
                "volume_ml": round(segmentation.volume_ml(segment), 6),
                "attributes": dict(segment.attributes),
            }
        )
    return {"labels": labels, "attributes": dict(segmentation.attributes)}


def place_image(image: sitk.Image, ijk_to_ras: np.ndarray) -> None:
    """Give ``image`` the geometry ``ijk_to_ras`` (SimpleITK counts in LPS)."""
    ijk_to_lps = LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())


def _write_image(image: sitk.Image, temporary: Path, path: Path) -> None:
    """Write and make sure that all of it is there: SimpleITK says nothing when the disk fills up under a NIfTI."""
    full = OutputError(f"Cannot write {path}: make sure that the disk has room and try again.")
    try:
        sitk.WriteImage(image, str(temporary), useCompression=temporary.suffix.lower() == ".gz")
    except RuntimeError as error:
        raise full from error
    if not _is_complete(temporary, image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()):
        raise full


def _is_complete(path: Path, voxel_bytes: int) -> bool:
    """Whether header and voxels are all in the file; a compressed one is read through, which checks its sum."""
    if path.suffix.lower() != ".gz":
        return path.stat().st_size >= NIFTI_HEADER_BYTES + voxel_bytes
    length = 0
    try:
        with gzip.open(path, "rb") as handle:
            while chunk := handle.read(1 << 20):
                length += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return length >= NIFTI_HEADER_BYTES + voxel_bytes
