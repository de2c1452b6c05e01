# SPDX-License-Identifier: Apache-2.0
"""The single pictures that DICOM files hold: where each lies, how its values are scaled, in which order they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from unibiomed.errors import InputError
from unibiomed.volumes.dicom_files import FileHeader, rescale_of

_CENTIMETRES = 3
"""Physical Units code of an ultrasound region (PS3.3 C.8.5.5.1.15)."""


@dataclass(frozen=True, slots=True)
class DicomFrame:
    """One picture: ``index`` is its 0-based frame in a file of one or more, None where the series has a file each."""

    path: Path
    index: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    rescale: tuple[float, float]
    order: tuple[float, ...]


def frames_of_series(files: Sequence[FileHeader]) -> list[DicomFrame]:
    """One frame for each single-frame file, by instance number."""
    ordered = sorted(files, key=lambda file: (file.order[-1], file.path.name))
    return [DicomFrame(file.path, None, file.position, file.orientation, file.rescale, file.order) for file in ordered]


def frames_of_file(dataset: Dataset, file: FileHeader) -> list[DicomFrame]:
    """The frames of one file; an enhanced file says for each of them where it lies and how it is scaled."""
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if groups and len(groups) != file.n_frames:
        raise InputError(f"{file.path.name} describes {len(groups)} frames but should hold {file.n_frames}.")
    frames = []
    for index in range(file.n_frames):
        group = groups[index] if groups else Dataset()
        position = _macro(group, shared, "PlanePositionSequence").get("ImagePositionPatient")
        orientation = _macro(group, shared, "PlaneOrientationSequence").get("ImageOrientationPatient")
        value = _macro(group, shared, "PixelValueTransformationSequence")
        # A classic multi-frame file has at most one position for all of its frames: they differ in time, not in place.
        alone = file.n_frames == 1
        content = _macro(group, shared, "FrameContentSequence")
        frames.append(
            DicomFrame(
                file.path,
                index,
                _floats(position) or (file.position if alone else None),
                _floats(orientation) or (file.orientation if alone else None),
                rescale_of(value if "RescaleSlope" in value else dataset),
                (float(content.get("TemporalPositionIndex") or 0), float(index)),
            )
        )
    return frames


def pixel_spacing(dataset: Dataset) -> tuple[tuple[float, float], str]:
    """Return ((between rows, between columns) in mm, note); where the file has none: 1 mm and a note that says so.

    Looked for in PixelSpacing, the enhanced PixelMeasures, the detector's spacing of radiographs and the one region
    of an ultrasound picture; an aspect ratio alone keeps the picture's proportions.
    """
    group = _first(dataset, "PerFrameFunctionalGroupsSequence")
    measures = _macro(group, _first(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    for value in (
        dataset.get("PixelSpacing"),
        measures.get("PixelSpacing"),
        dataset.get("ImagerPixelSpacing"),
        dataset.get("NominalScannedPixelSpacing"),
    ):
        spacing = _floats(value)
        if spacing is not None and len(spacing) == 2 and min(spacing) > 0:
            return (spacing[0], spacing[1]), ""
    if (spacing := _ultrasound_spacing(dataset)) is not None:
        return spacing, ""
    aspect = _floats(dataset.get("PixelAspectRatio"))
    if aspect is not None and len(aspect) == 2 and min(aspect) > 0:
        finest = min(aspect)
        return (aspect[0] / finest, aspect[1] / finest), "The file gives no pixel size in mm; sizes are nominal."
    return (1.0, 1.0), "The file gives no pixel size in mm; 1 mm is assumed, so sizes and volumes are nominal."


def _ultrasound_spacing(dataset: Dataset) -> tuple[float, float] | None:
    regions = dataset.get("SequenceOfUltrasoundRegions") or ()
    if len(regions) != 1:
        return None
    region = regions[0]
    if not region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == _CENTIMETRES:
        return None
    # A region that ends outside of the picture was left behind when the picture was reduced.
    if region.get("RegionLocationMaxX1", 0) >= dataset.Columns or region.get("RegionLocationMaxY1", 0) >= dataset.Rows:
        return None
    x, y = abs(float(region.get("PhysicalDeltaX") or 0)), abs(float(region.get("PhysicalDeltaY") or 0))
    return (10.0 * y, 10.0 * x) if x > 0 and y > 0 else None


def _first(dataset: Dataset, name: str) -> Dataset:
    items = dataset.get(name)
    return items[0] if items else Dataset()


def _macro(group: Dataset, shared: Dataset, name: str) -> Dataset:
    """The item of a functional group: the frame's own, else the shared one, else empty."""
    return _first(group, name) if group.get(name) else _first(shared, name)


def _floats(values: object) -> tuple[float, ...] | None:
    if values is None or not hasattr(values, "__len__") or isinstance(values, str) or len(values) == 0:
        return None
    return tuple(float(value) for value in values)
