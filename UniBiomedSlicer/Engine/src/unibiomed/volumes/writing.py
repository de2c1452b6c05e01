# SPDX-License-Identifier: Apache-2.0
"""Segments to files: the ending of the name picks the format."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unibiomed.errors import InputError, OutputError
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.writing_dicom import write_dicom_seg
from unibiomed.volumes.writing_nifti import write_nifti
from unibiomed.volumes.writing_nrrd import write_seg_nrrd

Writer = Callable[[Path, Segmentation, Volume], tuple[Path, ...]]

WRITERS: dict[str, Writer] = {
    ".seg.nrrd": write_seg_nrrd,
    ".nii.gz": write_nifti,
    ".nii": write_nifti,
    ".dcm": write_dicom_seg,
}


def check_output_name(path: str | os.PathLike[str]) -> str:
    """The ending of ``path`` that names a format that can be written; OutputError listing them where it has none.

    Cheap, so that a command can refuse a name before it computes anything.
    """
    name = Path(path).name.lower()
    for ending in WRITERS:
        if name.endswith(ending) and name != ending:
            return ending
    raise OutputError(
        f"{Path(path).name!r} does not say which format to write; end it with .seg.nrrd (3D Slicer), .nii.gz or .nii "
        "(labelmap) or .dcm (DICOM SEG)."
    )


def write_segmentation(
    path: str | os.PathLike[str], segmentation: Segmentation, *, reference: Volume
) -> tuple[Path, ...]:
    """Write ``segmentation``, which lies on the grid of ``reference``, and return the files written.

    ``.seg.nrrd``: Slicer's segmentation, overlapping segments in layers. ``.nii``/``.nii.gz``: labelmap, refused where
    segments overlap, with the names in ``<name>_labels.json``. ``.dcm``: DICOM SEG on the instances that ``reference``
    was read from. Each file is complete or absent. OutputError: the reason in one sentence; InputError: the
    segmentation does not lie on ``reference``.
    """
    target = Path(path)
    ending = check_output_name(target)
    check_same_grid(segmentation, reference)
    return WRITERS[ending](target, segmentation, reference)


def check_same_grid(segmentation: Segmentation, reference: Volume) -> None:
    """InputError unless shape and ``ijk_to_ras`` (within a thousandth of a voxel over the volume) are those of
    ``reference``."""
    if segmentation.shape != reference.shape:
        raise InputError(
            f"The segmentation has {segmentation.shape} voxels [k, j, i] and {reference.name} has {reference.shape}; "
            "it belongs to another volume."
        )
    ijk_corner = np.array([*(size - 1 for size in reversed(reference.shape)), 1.0])
    there = np.linalg.solve(reference.ijk_to_ras, segmentation.ijk_to_ras @ np.diag([*ijk_corner[:3], 1.0]))
    if np.abs(there - np.diag([*ijk_corner[:3], 1.0])).max() > 1e-3:
        raise InputError(f"The segmentation lies elsewhere in the patient than {reference.name}.")
