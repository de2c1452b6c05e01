# SPDX-License-Identifier: Apache-2.0
"""DICOM files and series as one :class:`Volume`: classic and enhanced, oblique, uneven, compressed, colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from unibiomed.errors import InputError
from unibiomed.volumes.dicom_files import FileHeader, file_header, pick_series, read_header
from unibiomed.volumes.dicom_frames import DicomFrame, frames_of_file, frames_of_series, pixel_spacing
from unibiomed.volumes.dicom_geometry import Stack, slice_normal, sort_positions, stack_geometry
from unibiomed.volumes.dicom_pixels import PixelFormat, decode, pixel_format, read_dataset
from unibiomed.volumes.frames import choose_frame
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.lazy import LazySlices, wants_lazy
from unibiomed.volumes.volume import Source, Volume


def read_dicom_folder(
    folder: Path, *, modality: str | None, series_uid: str | None, frame: int | None, lazy: bool | None
) -> Volume:
    """Read the series of a folder, or the one that ``series_uid`` names; several without it raise InputError."""
    files = pick_series(folder, series_uid)
    label = f"the series {files[0].description!r}" if files[0].description else f"the series in {folder.name}"
    return _read(folder, label, files, modality, frame, lazy)


def read_dicom_file(
    path: Path, *, modality: str | None, series_uid: str | None, frame: int | None, lazy: bool | None
) -> Volume:
    """Read one DICOM file on its own, not the series around it."""
    header = file_header(read_header(path), path)
    if series_uid is not None and header.series_uid != series_uid:
        raise InputError(f"{path.name} belongs to the series {header.series_uid}, not to {series_uid[:64]}.")
    return _read(path, path.name, [header], modality, frame, lazy)


def _read(
    path: Path, label: str, files: list[FileHeader], modality: str | None, frame: int | None, lazy: bool | None
) -> Volume:
    if len(files) > 1 and any(file.n_frames > 1 for file in files):
        raise InputError(f"{label} is made of {len(files)} multi-frame files; give one of the files.")
    sizes = {(file.rows, file.columns) for file in files}
    if len(sizes) > 1:
        raise InputError(f"{label} holds images of {len(sizes)} different sizes; give one file, not the folder.")
    header = read_header(files[0].path)
    frames = frames_of_file(header, files[0]) if len(files) == 1 else frames_of_series(files)
    placed = _placed(frames, label)
    notes: list[str] = []
    chosen: int | None = None
    if placed:
        frames, chosen = _sorted(frames, label, frame)
        spacing, note = pixel_spacing(header)
        notes += [note] if note else []
        stack = stack_geometry(
            np.array([item.position for item in frames]), frames[0].orientation, spacing, _thickness(header), label
        )
        spatial = not note
    else:
        if frame is not None:
            chosen = choose_frame(len(frames), frame, label)
            frames = [frames[chosen]]
        stack, spatial = _unplaced(header, len(frames), notes), False
    if str(header.get("PhotometricInterpretation")) == "MONOCHROME1":
        notes.append(f"{label} stores bright as dark (MONOCHROME1) and is inverted.")
    array = _array(header, frames, stack, lazy)
    source = Source(
        path=path,
        kind="dicom",
        description=files[0].description,
        series_uid=str(header.get("SeriesInstanceUID") or "") or None,
        study_uid=str(header.get("StudyInstanceUID") or "") or None,
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID") or "") or None,
        dicom_files=tuple(item.path for item in frames) if len(files) > 1 else (files[0].path,),
        dicom_frames=tuple(item.index or 0 for item in frames) if len(files) == 1 else (),
        frame=chosen,
        resampled=stack.resampled,
        notes=(*notes, *stack.notes),
    )
    return Volume(array, stack.ijk_to_ras, modality or files[0].modality, source, spatial)


def _placed(frames: Sequence[DicomFrame], label: str) -> bool:
    """Whether the frames have a place in the patient; raises InputError where only some do, or not the same way."""
    lost = sum(item.position is None or item.orientation is None for item in frames)
    if lost == len(frames):
        return False
    if lost:
        raise InputError(
            f"{lost} of the {len(frames)} slices of {label} do not say where they lie in the patient, so the volume "
            "would have holes; remove them or export the series again."
        )
    orientations = np.array([item.orientation for item in frames])
    if np.abs(orientations - orientations[0]).max() > 2e-3:
        count = len(np.unique(orientations.round(2), axis=0))
        raise InputError(
            f"{label} holds slices of {count} different orientations (a localizer or a radial scan), which make no one "
            "volume; give one file, or a folder with the slices of one orientation."
        )
    return True


def _sorted(frames: list[DicomFrame], label: str, frame: int | None) -> tuple[list[DicomFrame], int | None]:
    """Sort along the normal; of slices that share their position take the ``frame``-th."""
    positions = np.array([item.position for item in frames])
    groups = sort_positions(positions, slice_normal(frames[0].orientation, label), label)
    n_frames = len(groups[0])
    chosen = choose_frame(n_frames, frame, label)
    picked = [sorted((frames[index] for index in group), key=lambda item: item.order)[chosen] for group in groups]
    return picked, chosen if n_frames > 1 else None


def _thickness(header: Dataset) -> float:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        if header.get(name) and float(header[name].value) > 0:
            return float(header[name].value)
    return 1.0


def _unplaced(header: Dataset, count: int, notes: list[str]) -> Stack:
    spacing, note = pixel_spacing(header)
    if note:
        notes.append(note)
    affine = LPS_TO_RAS @ np.diag([spacing[1], spacing[0], 1.0, 1.0])
    return Stack(affine, np.arange(count), np.zeros(count), False, ())


def _array(header: Dataset, frames: list[DicomFrame], stack: Stack, lazy: bool | None) -> np.ndarray | LazySlices:
    target = pixel_format(header, [item.rescale for item in frames])
    shape = (len(stack.lower), int(header.Rows), int(header.Columns), *((3,) if target.colour else ()))
    is_lazy = wants_lazy(lazy, shape, target.dtype)
    one_file = frames[0].index is not None
    reader = _FrameReader(
        tuple(frames), target, (header if is_lazy else read_dataset(frames[0].path)) if one_file else None
    )
    slices = LazySlices(lambda k: _interpolated(reader, stack, k), shape, target.dtype)
    return slices if is_lazy else np.asarray(slices)


@dataclass(frozen=True, eq=False)
class _FrameReader:
    frames: tuple[DicomFrame, ...]
    target: PixelFormat
    dataset: Dataset | None
    """The dataset of a multi-frame file; None where each frame is a file of its own."""

    def read(self, index: int) -> np.ndarray:
        item = self.frames[index]
        dataset = self.dataset if self.dataset is not None else read_dataset(item.path)
        return decode(item.path, dataset, item.index, item.rescale, self.target)


def _interpolated(reader: _FrameReader, stack: Stack, k: int) -> np.ndarray:
    lower, fraction = int(stack.lower[k]), float(stack.fraction[k])
    first = reader.read(lower)
    if fraction == 0.0:
        return first
    mixed = (1.0 - fraction) * first + fraction * reader.read(lower + 1)
    return mixed if reader.target.dtype.kind == "f" else np.rint(mixed)
