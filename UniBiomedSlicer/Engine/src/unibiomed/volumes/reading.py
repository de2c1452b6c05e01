# SPDX-License-Identifier: Apache-2.0
"""One call that reads any supported file or DICOM folder into a :class:`Volume`."""

from __future__ import annotations

from pathlib import Path

from unibiomed.errors import InputError
from unibiomed.volumes.reading_dicom import read_dicom_file, read_dicom_folder
from unibiomed.volumes.reading_image import read_image
from unibiomed.volumes.reading_itk import read_itk
from unibiomed.volumes.reading_nifti import read_nifti
from unibiomed.volumes.volume import Volume

FORMATS = "NIfTI, NRRD, MHA/MHD, DICOM, PNG, JPEG or TIFF"

_IMAGE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+", b"BM")


def read_volume(
    path: str | Path,
    *,
    modality: str | None = None,
    series_uid: str | None = None,
    frame: int | None = None,
    lazy: bool | None = None,
) -> Volume:
    """Read a NIfTI, NRRD, MHA/MHD, PNG, JPEG, TIFF or DICOM file, or a folder of DICOM files.

    The format is told by the content, not by the name. ``modality`` overrules what DICOM says (other formats do not
    say). ``series_uid`` picks a series of a folder that holds several; ``frame`` (from 0) one frame of a 4-D image.
    ``lazy``: read slice by slice (None: above 1 GiB), possible for DICOM and for uncompressed NIfTI, NRRD and MHA.

    Raises InputError, in one sentence, for whatever cannot be read, and where several series or frames leave a choice.
    """
    path = Path(path)
    try:
        return _read(path, modality, series_uid, frame, lazy)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except MemoryError as error:
        raise InputError(f"{path.name} needs more memory than this machine has; cut or reduce it first.") from error


def _read(path: Path, modality: str | None, series_uid: str | None, frame: int | None, lazy: bool | None) -> Volume:
    if path.is_dir():
        return read_dicom_folder(path, modality=modality, series_uid=series_uid, frame=frame, lazy=lazy)
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.")
    kind = _kind(path)
    if series_uid is not None and kind != "dicom":
        raise InputError(f"{path.name} is not DICOM, so no series can be picked in it; leave the series UID out.")
    if kind == "nifti":
        return read_nifti(path, modality=modality, frame=frame, lazy=lazy)
    if kind in ("nrrd", "mha"):
        return read_itk(path, kind, modality=modality, frame=frame, lazy=lazy)
    if kind == "image":
        return read_image(path, modality=modality, frame=frame)
    return read_dicom_file(path, modality=modality, series_uid=series_uid, frame=frame, lazy=lazy)


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(352)
    if not head:
        raise InputError(f"{path.name} is empty (0 bytes).")
    suffixes = "".join(path.suffixes[-2:]).lower()
    if head[:2] == b"\x1f\x8b":
        if suffixes.endswith((".nii.gz", ".img.gz", ".hdr.gz")):
            return "nifti"
        raise InputError(f"{path.name} is gzipped; only NIfTI is read gzipped, named .nii.gz.")
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"NRRD0"):
        return "nrrd"
    if head.startswith(_IMAGE_MAGIC):
        return "image"
    if head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] in (b"n+2\x00", b"ni2\x00"):
        return "nifti"
    if suffixes.endswith((".mha", ".mhd")) or b"NDims" in head:
        return "mha"
    if suffixes.endswith((".nii", ".hdr", ".img")):
        return "nifti"
    if suffixes.endswith((".dcm", ".ima", ".dicom")):
        return "dicom"
    raise InputError(f"{path.name} is not an image in a format that can be read: {FORMATS}.")
