# SPDX-License-Identifier: Apache-2.0
"""The frames of the DICOM source of a volume, where each lies on the volume's grid, and masks cut along them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from unibiomed.errors import OutputError
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.volume import Volume

_EMPTY_IF_ABSENT = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
"""Type 2 attributes that sloppy files leave out; an empty value means the same and is valid."""

_PLAIN_TIME = {"DA": re.compile(r"\d{8}"), "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")}
"""Dates and times of today's DICOM; older files write 2004.01.19 and 11:42:21."""


@dataclass(frozen=True)
class SourcePlanes:
    """Headers (no pixels) of the source and, for each frame, the 4x4 that takes (column, row, 0) to (i, j, k).

    ``frame_to_ijk`` is None for a frame without position: the frame then is slice ``slices[frame]`` itself, and a
    frame with neither is not part of the volume.
    """

    datasets: list[Dataset]
    frame_to_ijk: tuple[np.ndarray | None, ...]
    slices: dict[int, int]
    rows: int
    columns: int
    has_positions: bool
    """Whether every frame has a place in a frame of reference."""

    @property
    def n_frames(self) -> int:
        """Frames of the source: of one multi-frame file, or files."""
        return len(self.frame_to_ijk)

    @property
    def is_multiframe(self) -> bool:
        """Whether one file holds all frames."""
        return "NumberOfFrames" in self.datasets[0]

    def cut(self, mask: BoxMask, frame: int) -> np.ndarray:
        """``mask`` on source frame ``frame`` as bool (rows, columns): exact where the frame is a slice of the volume,
        else the nearest voxel, and nothing outside the volume."""
        matrix = self.frame_to_ijk[frame]
        plane = np.zeros((self.rows, self.columns), dtype=bool)
        if not mask.array.size:
            return plane
        if matrix is None:
            return mask.plane(self.slices[frame], plane.shape) if frame in self.slices else plane
        if frame in self.slices and _is_slice(matrix, self.slices[frame]):
            return mask.plane(self.slices[frame], plane.shape)
        row, column = np.mgrid[: self.rows, : self.columns]
        ijk = matrix[:3, :2] @ np.stack([column.ravel(), row.ravel()]) + matrix[:3, 3:]
        box = np.rint(ijk[::-1]).astype(np.int64) - np.array(mask.offset)[:, None]
        inside = ((box >= 0) & (box < np.array(mask.array.shape)[:, None])).all(axis=0)
        plane.ravel()[inside] = mask.array[tuple(box[:, inside])]
        return plane


def read_source_planes(reference: Volume) -> SourcePlanes:
    """Read the headers of ``reference``'s DICOM files; OutputError when they are gone or do not fit the volume."""
    source = reference.source
    datasets = [_read_header(path) for path in source.dicom_files]
    first = datasets[0]
    if "NumberOfFrames" in first:
        datasets = datasets[:1]
        n_frames = int(first.NumberOfFrames)
        frames = source.dicom_frames or tuple(range(n_frames))
        headers = [(first, frame) for frame in range(n_frames)]
    else:
        frames = tuple(range(len(datasets)))
        headers = [(dataset, 0) for dataset in datasets]
    slices = {} if source.resampled else {frame: k for k, frame in enumerate(frames)}
    to_ijk = np.linalg.inv(reference.ijk_to_ras)
    matrices = tuple(_frame_to_ijk(dataset, frame, to_ijk) for dataset, frame in headers)
    _share_orientation(datasets)
    rows, columns = int(first.Rows), int(first.Columns)
    has_positions = "FrameOfReferenceUID" in first and all(matrix is not None for matrix in matrices)
    if not reference.spatial:
        matrices = (None,) * len(matrices)
    if (rows, columns) != reference.shape[1:] and any(matrix is None for matrix in matrices):
        raise OutputError(
            f"The DICOM files of {reference.name} have {rows} x {columns} pixels and the volume {reference.shape[1]} x "
            f"{reference.shape[2]}, so its segments cannot be placed on them; write a .seg.nrrd instead."
        )
    return SourcePlanes(datasets, matrices, slices, rows, columns, has_positions)


def _read_header(path: Path) -> Dataset:
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise OutputError(
            f"The source file {path.name} can no longer be read ({error.__class__.__name__}), and a DICOM SEG must "
            "refer to it; put the series back or write a .seg.nrrd."
        ) from error
    dataset.decode()
    _mend(dataset)
    return dataset


def _mend(dataset: Dataset) -> None:
    """Make a sloppy header one that a valid object can copy from; only what is missing or malformed changes."""
    for keyword in _EMPTY_IF_ABSENT:
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    for element in dataset:
        if element.VR == "PN" and element.value:
            element.value = str(element.value)
        elif element.VR in _PLAIN_TIME and element.VM == 1:
            digits = re.sub("[.-]" if element.VR == "DA" else ":", "", str(element.value))
            element.value = digits if _PLAIN_TIME[element.VR].fullmatch(digits) else ""
    if "PixelSpacing" in dataset and min(dataset.PixelSpacing, default=0) <= 0:
        del dataset.PixelSpacing


def _frame_to_ijk(dataset: Dataset, frame: int, to_ijk: np.ndarray) -> np.ndarray | None:
    """(column, row, 0, 1) of a frame to (i, j, k, 1) of the volume; None without position, orientation or spacing."""
    position = _plane_value(dataset, frame, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _plane_value(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _plane_value(dataset, frame, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return None
    matrix = np.eye(4)
    matrix[:3, 0] = orientation[:3] * spacing[1]
    matrix[:3, 1] = orientation[3:] * spacing[0]
    matrix[:3, 2] = np.cross(orientation[:3], orientation[3:])
    matrix[:3, 3] = position
    return to_ijk @ LPS_TO_RAS @ matrix


def _plane_value(dataset: Dataset, frame: int, group: str, keyword: str) -> np.ndarray | None:
    """A value of the frame itself: from its functional groups, the shared ones, or the top level."""
    holders = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame and frame < len(per_frame):
        holders.append(per_frame[frame])
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        holders.append(shared[0])
    for holder in holders:
        items = holder.get(group)
        if items and items[0].get(keyword) is not None:
            return np.array(items[0].get(keyword), dtype=float)
    value = dataset.get(keyword) if "NumberOfFrames" not in dataset else None
    return None if value is None else np.array(value, dtype=float)


def _share_orientation(datasets: list[Dataset]) -> None:
    """Make the orientation (and pixel size) of all frames one value where they differ by rounding only.

    highdicom compares the orientation of instances exactly, and reads that of a multi-frame file from the shared
    functional groups, where many scanners do not put it.
    """
    first = datasets[0]
    if "PerFrameFunctionalGroupsSequence" in first and first.get("SharedFunctionalGroupsSequence"):
        shared, frames = first.SharedFunctionalGroupsSequence[0], first.PerFrameFunctionalGroupsSequence
        for group, keyword in (
            ("PlaneOrientationSequence", "ImageOrientationPatient"),
            ("PixelMeasuresSequence", "PixelSpacing"),
        ):
            values = [_plane_value(first, frame, group, keyword) for frame in range(len(frames))]
            if group not in shared and all(v is not None and np.allclose(v, values[0], atol=1e-4) for v in values):
                setattr(shared, group, getattr(frames[0], group))
        return
    orientation = first.get("ImageOrientationPatient")
    for dataset in datasets[1:]:
        other = dataset.get("ImageOrientationPatient")
        if orientation is not None and other is not None and np.allclose(orientation, other, atol=1e-4):
            dataset.ImageOrientationPatient = orientation


def _is_slice(matrix: np.ndarray, k: int) -> bool:
    """Whether the frame coincides with slice ``k``, pixel on voxel."""
    expected = np.array([[1, 0, 0], [0, 1, 0], [0, 0, k]], dtype=float)
    return bool(np.abs(matrix[:3, [0, 1, 3]] - expected).max() < 1e-2)
