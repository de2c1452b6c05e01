# SPDX-License-Identifier: Apache-2.0
"""Finds the cases of a cohort folder: image files, DICOM series, BIDS names kept."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unibiomed.errors import InputError

_IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
#: What annotators, and this program, write beside images.
_NOT_IMAGES = re.compile(r"(\.seg|[_.-](seg|dseg|mask|label|labels|labelmap))\.[a-z.]+$")
_SKIPPED_FOLDERS = {"derivatives", "sourcedata", "code", "__macosx"}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")


@dataclass(frozen=True)
class Case:
    """One volume of a cohort.

    Attributes:
        id: unique in the cohort, readable, usable as a folder name; stays the same when the cohort is scanned again.
        patient: what splits go by: the BIDS subject, a digest of the DICOM PatientID, the first folder, or the id.
        path: file, or folder of a DICOM series, relative to the cohort folder (POSIX).
        series_uid: of a DICOM series.
    """

    id: str
    patient: str
    path: str
    series_uid: str | None = None


def find_cases(folder: Path) -> list[Case]:
    """All cases under ``folder``, ordered by id. InputError when it is no folder or holds none.

    Hidden files and folders are left out, and so are ``derivatives``, ``sourcedata`` and label files. A folder with
    DICOM files gives one case a series.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the images of the cohort.")
    cases = {case.id: case for case in _walk(folder)}
    if not cases:
        raise InputError(f"{folder} holds no image (NIfTI, NRRD, MHA, DICOM, PNG, JPEG, TIFF).")
    return [cases[key] for key in sorted(cases)]


def _walk(root: Path) -> Iterator[Case]:
    for place, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f.lower() not in _SKIPPED_FOLDERS)
        visible = sorted(name for name in names if not name.startswith("."))
        images = [name for name in visible if _is_image(name)]
        for name in images:
            relative = (Path(place) / name).relative_to(root)
            yield _file_case(PurePosixPath(relative.as_posix()))
        rest = [name for name in visible if name not in images]
        if any(_may_be_dicom(name) for name in rest):
            yield from _series_cases(root, Path(place))


def _is_image(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(_IMAGE_SUFFIXES) and not _NOT_IMAGES.search(lower)


def _may_be_dicom(name: str) -> bool:
    return name.lower().endswith((".dcm", ".ima")) or "." not in name or re.fullmatch(r"[0-9.]+", name) is not None


def _file_case(path: PurePosixPath) -> Case:
    lower = path.name.lower()
    ending = next(suffix for suffix in _IMAGE_SUFFIXES if lower.endswith(suffix))
    stem = path.with_name(path.name[: -len(ending)])
    subject = _SUBJECT.search(path.as_posix())
    patient = subject.group() if subject else path.parts[0] if len(path.parts) > 1 else stem.name
    # BIDS names say subject and session themselves; other names need their folder to be unique.
    name = stem.name if subject and stem.name.startswith(subject.group()) else "__".join(stem.parts)
    return Case(id=_safe(name), patient=_safe(patient), path=path.as_posix())


def _series_cases(root: Path, folder: Path) -> Iterator[Case]:
    from unibiomed.volumes.dicom_files import scan_folder

    try:
        series = scan_folder(folder)
    except InputError:
        return
    relative = PurePosixPath(folder.relative_to(root).as_posix())
    for uid, files in sorted(series.items()):
        first = files[0].path
        name = "__".join(relative.parts) or "series"
        if len(series) > 1:
            name += "__" + hashlib.sha256(uid.encode()).hexdigest()[:8]
        yield Case(_safe(name), _patient_of(first, relative), relative.as_posix(), uid)


def _patient_of(file: Path, relative: PurePosixPath) -> str:
    """A digest of the PatientID, so that no name of a person gets into a catalogue; the folder where there is none."""
    import pydicom

    patient = str(pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"]).get("PatientID", ""))
    if patient.strip():
        return "p" + hashlib.sha256(patient.strip().encode()).hexdigest()[:12]
    return _safe(relative.parts[0] if relative.parts else "series")


def _safe(name: str) -> str:
    """``name`` with everything but letters, digits and ``-_.`` replaced; what was changed ends in a digest."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "case"
    if cleaned != name or len(cleaned) > 120:
        cleaned = f"{cleaned[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return cleaned
