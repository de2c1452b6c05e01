# SPDX-License-Identifier: Apache-2.0
"""Finds the cases of a cohort folder: image files, DICOM series, BIDS names kept."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from unibiomed.cohort.walking import folders_of
from unibiomed.errors import InputError

_IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
#: Pictures and clips in formats that are not read; that there are some is told, so that nobody misses them.
_OTHER_PICTURES = (
    ".avi", ".bmp", ".gif", ".heic", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ndpi", ".svs", ".webm", ".webp", ".wmv",
)  # fmt: skip
#: What annotators, and this program, write beside images.
_NOT_IMAGES = re.compile(r"(\.seg|[_.-](seg|dseg|mask|label|labels|labelmap))\.[a-z.]+$")
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_COPIES = "copies of a DICOM series"
_NAMELESS = "files whose name or folder is not valid Unicode"


@dataclass(frozen=True)
class Case:
    """One volume of a cohort.

    Attributes:
        id: unique in the cohort, readable, usable as a folder name; stays the same when the cohort is scanned again.
        patient: what splits go by: the BIDS subject, a digest of the DICOM PatientID, the first folder, or the id.
        path: file, or folder of a DICOM series, relative to the cohort folder (POSIX).
        series_uid: of a DICOM series.
        dicom_modality: the DICOM attribute Modality ("CT", "MR", "US"), None for what is not DICOM.
    """

    id: str
    patient: str
    path: str
    series_uid: str | None = None
    dicom_modality: str | None = None


@dataclass(frozen=True)
class Found:
    """What a folder holds: the cases, ordered by id, and how many of what was left out (``{".mp4": 3}``)."""

    cases: tuple[Case, ...]
    left_out: dict[str, int] = field(default_factory=dict)


def find_cases(folder: Path) -> list[Case]:
    """All cases under ``folder``, see ``look_through``."""
    return list(look_through(folder).cases)


def look_through(folder: Path) -> Found:
    """All cases under ``folder``. InputError when it is no folder or holds none.

    Hidden files and folders are left out, and so are ``derivatives``, ``sourcedata`` and label files. A folder with
    DICOM files gives one case a series; a copy of a series is left out. Links are followed, see ``folders_of``. A file
    that cannot be read is a case as well, so that it is listed with its reason.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the images of the cohort.")
    if not _is_unicode(str(folder.absolute())):
        raise InputError(f"The path {str(folder)!a} is not valid Unicode, as a catalogue needs it; rename the folder.")
    left_out: Counter[str] = Counter()
    cases: dict[str, Case] = {}
    for case in _walk(folder, left_out):
        # Two folders whose names differ in capitals are one on some file systems.
        named = case if case.id.lower() not in cases else told_apart(case)
        cases[named.id.lower()] = named
    if not cases:
        others = f"; {in_words(left_out)} were left out" if left_out else ""
        raise InputError(f"{folder} holds no image (NIfTI, NRRD, MHA, DICOM, PNG, JPEG, TIFF){others}.")
    return Found(tuple(sorted(cases.values(), key=lambda case: case.id)), dict(sorted(left_out.items())))


def told_apart(case: Case) -> Case:
    """``case`` with an id that no case of another place has."""
    digest = hashlib.sha256(f"{case.path}\n{case.series_uid or ''}".encode()).hexdigest()[:10]
    return replace(case, id=f"{case.id[:100]}-{digest}")


def in_words(left_out: dict[str, int]) -> str:
    """``"3 .mp4, 1 .avi"``."""
    return ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))


def _walk(root: Path, left_out: Counter[str]) -> Iterator[Case]:
    copies: set[tuple[str, str]] = set()
    for place, names in folders_of(root, left_out):
        is_named = _is_unicode(str(place.relative_to(root)))
        usable = [name for name in names if is_named and _is_unicode(name)]
        left_out.update({_NAMELESS: len(names) - len(usable)} if len(names) > len(usable) else {})
        images = [name for name in usable if _is_image(name)]
        for name in images:
            yield _file_case(PurePosixPath((place / name).relative_to(root).as_posix()))
        rest = [name for name in usable if name not in images]
        left_out.update(suffix for name in rest if (suffix := Path(name).suffix.lower()) in _OTHER_PICTURES)
        if any(_may_be_dicom(name) for name in rest):
            for case, content in _series_cases(root, place, [place / name for name in rest]):
                if (case.series_uid or case.path, content) in copies:
                    left_out[_COPIES] += 1
                    continue
                copies.add((case.series_uid or case.path, content))
                yield case


def _is_unicode(name: str) -> bool:
    """Bytes that are no text come as half surrogates, which neither SQLite nor a terminal takes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_image(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(_IMAGE_SUFFIXES) and not _NOT_IMAGES.search(lower)


def _may_be_dicom(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".dcm", ".ima", ".dicom")) or "." not in name or re.fullmatch(r"[0-9.]+", name) is not None


def _file_case(path: PurePosixPath) -> Case:
    lower = path.name.lower()
    ending = next(suffix for suffix in _IMAGE_SUFFIXES if lower.endswith(suffix))
    stem = path.with_name(path.name[: -len(ending)])
    subject = _SUBJECT.search(path.as_posix())
    patient = subject.group() if subject else path.parts[0] if len(path.parts) > 1 else stem.name
    # BIDS names say subject and session themselves; other names need their folder to be unique.
    name = stem.name if subject and stem.name.startswith(subject.group()) else "__".join(stem.parts)
    return Case(id=_safe(name), patient=_safe(patient), path=path.as_posix())


def _series_cases(root: Path, folder: Path, files: Sequence[Path]) -> Iterator[tuple[Case, str]]:
    """The series of one folder without those below it, each with a digest of its instances."""
    from unibiomed.volumes.dicom_files import scan_files

    series, unreadable = scan_files(files)
    relative = PurePosixPath(folder.relative_to(root).as_posix())
    name = "__".join(relative.parts) or "series"
    for uid, headers in sorted(series.items()):
        own = name + (f"__{hashlib.sha256(uid.encode()).hexdigest()[:8]}" if len(series) > 1 else "")
        # One file of many is read as a file: its folder need not be looked through again for each of them.
        alone = len(headers) == 1 and len(series) > 1
        path = headers[0].path.relative_to(root).as_posix() if alone else relative.as_posix()
        patient, modality = _facts(headers[0].path, relative)
        instances = hashlib.sha256("\n".join(sorted(header.sop_uid for header in headers)).encode()).hexdigest()
        yield Case(_safe(own), patient, path, uid, modality), instances
    for file in unreadable:
        path = PurePosixPath(file.relative_to(root).as_posix())
        yield Case(_safe("__".join(path.parts)), _safe(path.parts[0]), path.as_posix()), ""


def _facts(file: Path, relative: PurePosixPath) -> tuple[str, str | None]:
    """Patient and Modality. The patient is a digest of the PatientID, so that no name of a person gets into a
    catalogue; the folder where there is none."""
    import pydicom

    header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=["PatientID", "Modality"])
    modality = str(header.get("Modality") or "").strip().upper() or None
    patient = str(header.get("PatientID", "")).strip()
    if patient:
        return "p" + hashlib.sha256(patient.encode()).hexdigest()[:12], modality
    return _safe(relative.parts[0] if relative.parts else "series"), modality


def _safe(name: str) -> str:
    """``name`` with everything but letters, digits and ``-_.`` replaced; what was changed ends in a digest."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "case"
    if cleaned != name or len(cleaned) > 120:
        cleaned = f"{cleaned[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return cleaned
