# SPDX-License-Identifier: Apache-2.0
"""The one carrier of geometry: an array ``[k, j, i]``, its ``ijk_to_ras`` in mm, its modality and its source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unibiomed.errors import InputError
from unibiomed.volumes.geometry import LPS_TO_RAS, affine_spacing, checked_affine
from unibiomed.volumes.modalities import parse_modality
from unibiomed.volumes.statistics import IntensityStats, intensity_stats


@dataclass(frozen=True)
class Source:
    """Where a volume came from.

    ``kind`` is "nifti", "nrrd", "mha", "dicom", "image" or "array". ``dicom_files`` are the files read, in the order
    of the slices k (one entry for a multi-frame file; ``dicom_frames`` then holds the 0-based frame of each slice).
    ``resampled`` tells that slices were interpolated onto a uniform grid, so k no longer counts the files.
    ``notes`` are sentences for the user on what was assumed or changed while reading.
    """

    path: Path | None = None
    kind: str = "array"
    description: str = ""
    series_uid: str | None = None
    study_uid: str | None = None
    frame_of_reference_uid: str | None = None
    dicom_files: tuple[Path, ...] = ()
    dicom_frames: tuple[int, ...] = ()
    frame: int | None = None
    resampled: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call the volume in a sentence: the file's name; of an array what is said of it, or "the array"."""
        return self.path.name if self.path is not None else self.description or "the array"


@dataclass(frozen=True, eq=False)
class Volume:
    """An image on a rectangular grid.

    ``array`` is ``[k, j, i]`` of any real number type or ``[k, j, i, 3]`` uint8 (RGB). It may be lazy (a memory map or
    a stack that reads slice by slice): ``array[k]``, ``shape``, ``dtype`` and ``len`` always work, ``numpy.asarray``
    reads it whole. ``ijk_to_ras`` is 4x4 float64 in mm. ``spatial`` is False where the file has no position in the
    patient (PNG, JPEG, radiograph, ultrasound): sizes in mm and sides are then nominal.

    Raises InputError for a sheared, singular or non-finite geometry, for NaN or infinite voxels, for an image that is
    the same value everywhere, and for one without at least two rows of two pixels.
    """

    array: Any
    ijk_to_ras: np.ndarray
    modality: str | None = None
    source: Source = field(default_factory=Source)
    spatial: bool = True

    def __post_init__(self) -> None:
        """Check everything once, so that nobody downstream has to."""
        name = self.source.name
        object.__setattr__(self, "ijk_to_ras", checked_affine(self.ijk_to_ras, name))
        if self.modality is not None:
            object.__setattr__(self, "modality", parse_modality(self.modality))
        shape, dtype = tuple(self.array.shape), np.dtype(self.array.dtype)
        if dtype.kind not in "iuf":
            raise InputError(f"The voxels of {name} are of type {dtype}; whole or real numbers are needed.")
        if len(shape) not in (3, 4) or (len(shape) == 4 and (shape[3] != 3 or dtype != np.uint8)):
            raise InputError(
                f"{name} has an array of shape {shape} and type {dtype}; [k, j, i] or, for 8-bit colour, "
                "[k, j, i, 3] is needed."
            )
        if sum(size >= 2 for size in shape[:3]) < 2:
            i, j, k = shape[2], shape[1], shape[0]
            raise InputError(f"{name} is only {i} x {j} x {k} pixels: there is no image in it to look at.")
        _check_content(self.array, name)

    @classmethod
    def from_array(
        cls,
        array: ArrayLike,
        ijk_to_ras: ArrayLike | None = None,
        modality: str | None = None,
        source: Source | None = None,
    ) -> Volume:
        """Make a volume of an array in memory.

        ``[j, i]`` is one slice, ``[j, i, 3]`` uint8 one colour slice, ``[k, j, i]`` and ``[k, j, i, 3]`` uint8 are
        taken as they are. Without ``ijk_to_ras`` the volume is not ``spatial``: 1 mm voxels, shown as stored.
        """
        data = np.asarray(array)
        if data.dtype == np.bool_:
            data = data.astype(np.uint8)
        if data.ndim == 2 or (data.ndim == 3 and data.shape[2] == 3 and data.dtype == np.uint8):
            data = data[np.newaxis]
        affine = LPS_TO_RAS if ijk_to_ras is None else ijk_to_ras
        return cls(data, np.asarray(affine), modality, source or Source(), spatial=ijk_to_ras is not None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(k, j, i), without the colour."""
        k, j, i = self.array.shape[:3]
        return int(k), int(j), int(i)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along i, j, k in mm."""
        return affine_spacing(self.ijk_to_ras)

    @property
    def is_color(self) -> bool:
        """Whether the voxels are RGB."""
        return len(self.array.shape) == 4

    @property
    def n_slices(self) -> int:
        """Slices along the array axis k, that is, as acquired."""
        return self.shape[0]

    @property
    def name(self) -> str:
        """What to call the volume in a sentence."""
        return self.source.name

    @cached_property
    def stats(self) -> IntensityStats:
        """Intensity figures of the whole volume, taken on first use and kept."""
        return intensity_stats(self.array)

    @cached_property
    def sha256(self) -> str:
        """Hash of shape, type, voxels (little-endian, C order) and geometry; computed on first use, slice by slice."""
        digest = hashlib.sha256(f"{tuple(self.array.shape)} {np.dtype(self.array.dtype).name}".encode())
        for k in range(self.n_slices):
            plane = np.ascontiguousarray(self.array[k])
            digest.update(plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes())
        digest.update(self.ijk_to_ras.astype("<f8").tobytes())
        return digest.hexdigest()


def _check_content(array: Any, name: str) -> None:
    """Refuse NaN, infinity and constant images; slice by slice, and integers only until two values differ."""
    is_float = np.dtype(array.dtype).kind == "f"
    lowest, highest, unusable = np.inf, -np.inf, 0
    for k in range(array.shape[0]):
        plane = np.asarray(array[k])
        if is_float:
            finite = np.isfinite(plane)
            if not finite.all():
                unusable += int(plane.size - finite.sum())
                plane = plane[finite]
        if plane.size:
            lowest, highest = min(lowest, plane.min()), max(highest, plane.max())
        if not is_float and lowest < highest:
            return
    if unusable:
        total = int(np.prod(array.shape))
        raise InputError(
            f"{name} has {unusable} of {total} voxels that are not a number (NaN or infinite); "
            "replace them, for example with 0, and try again."
        )
    if not lowest < highest:
        raise InputError(f"{name} is constant: every voxel is {lowest:g}, so there is nothing to see in it.")
