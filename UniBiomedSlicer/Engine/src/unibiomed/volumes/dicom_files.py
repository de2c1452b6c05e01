# SPDX-License-Identifier: Apache-2.0
"""Which DICOM files lie in a folder and which series they make, from their headers alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import guess_mri_sequence, parse_modality

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
)
"""What pydicom raises on files that are damaged in one way or another."""

_NOT_IMAGES = {
    "SEG": "a DICOM segmentation",
    "RTSTRUCT": "a DICOM structure set",
    "RTDOSE": "a DICOM dose grid",
    "RTPLAN": "a DICOM treatment plan",
    "SR": "a DICOM report",
    "PR": "a DICOM presentation state",
    "KO": "a DICOM key object note",
    "REG": "a DICOM registration",
    "FID": "a DICOM fiducial list",
    "RWV": "a DICOM value map",
    "DOC": "a document in DICOM",
}
_TAGS = [
    "AcquisitionNumber",
    "Columns",
    "ContrastBolusAgent",
    "DiffusionBValue",
    "EchoNumbers",
    "EchoTime",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InstanceNumber",
    "Modality",
    "NumberOfFrames",
    "ProtocolName",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "StudyInstanceUID",
    "TemporalPositionIdentifier",
    "TriggerTime",
]


@dataclass(frozen=True)
class SeriesInfo:
    """One image series of a folder: what a person needs to choose it."""

    number: int | None
    uid: str
    description: str
    modality: str | None
    n_slices: int

    def __str__(self) -> str:
        """One line for a list."""
        what = f'"{self.description}", ' if self.description else ""
        kind = f"{self.modality}, " if self.modality else ""
        slices = f"{self.n_slices} slice{'' if self.n_slices == 1 else 's'}"
        return f"series {'?' if self.number is None else self.number}: {what}{kind}{slices}, UID {self.uid}"


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What sorting needs of one DICOM file (small, since a folder may hold 10 000)."""

    path: Path
    sop_uid: str
    series_uid: str
    series_number: int | None
    description: str
    modality: str | None
    rows: int
    columns: int
    n_frames: int
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    rescale: tuple[float, float]
    order: tuple[float, ...]


def list_series(folder: str | Path) -> tuple[SeriesInfo, ...]:
    """List the image series in a folder and its subfolders, by series number.

    Raises InputError where the folder holds no DICOM image.
    """
    return tuple(_info(files) for files in scan_folder(Path(folder)).values())


def scan_folder(folder: Path) -> dict[str, list[FileHeader]]:
    """Return the headers of every image series by its UID, in the order of the series numbers.

    Copies of the same instance are counted once. Raises InputError for an empty folder, one without DICOM images and
    for a DICOM file that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if not paths:
        raise InputError(f"The folder {folder} is empty.")
    series: dict[str, dict[str, FileHeader]] = {}
    for header in _headers(paths):
        series.setdefault(header.series_uid, {}).setdefault(header.sop_uid, header)
    if not series:
        raise InputError(
            f"The folder {folder} holds no DICOM image ({len(paths)} other file{'s' if len(paths) > 1 else ''}); "
            "give the image file itself."
        )
    lists = [list(files.values()) for files in series.values()]
    lists.sort(key=lambda files: (files[0].series_number is None, files[0].series_number or 0, files[0].series_uid))
    return {files[0].series_uid: files for files in lists}


def scan_files(paths: Iterable[Path]) -> tuple[dict[str, list[FileHeader]], list[Path]]:
    """Return the headers of the image series in ``paths`` by UID, and the files that look like DICOM and are not.

    As ``scan_folder``, but one bad file hides none of the others.
    """
    series: dict[str, dict[str, FileHeader]] = {}
    unreadable = []
    for path in paths:
        try:
            header = _header(path)
        except InputError:
            unreadable.append(path)
            continue
        if header is not None:
            series.setdefault(header.series_uid, {}).setdefault(header.sop_uid, header)
    return {uid: list(files.values()) for uid, files in series.items()}, unreadable


def pick_series(folder: Path, series_uid: str | None) -> list[FileHeader]:
    """Return the one series meant; several without a UID, or an unknown UID, raise InputError with the list."""
    series = scan_folder(folder)
    if series_uid is None and len(series) == 1:
        return next(iter(series.values()))
    if series_uid in series:
        return series[series_uid]
    listed = "; ".join(str(_info(files)) for files in series.values())
    if series_uid is None:
        raise InputError(f"{folder} holds {len(series)} series; which one is meant? Give its series UID: {listed}.")
    raise InputError(f'{folder} holds no series with the UID "{series_uid[:64]}"; it holds {listed}.')


def read_header(path: Path) -> Dataset:
    """Return the header without the pixels of a DICOM image file; raises InputError for anything else."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        usable = bool(dataset.get("SOPClassUID")) or bool(dataset.get("Rows"))
    except READ_ERRORS as error:
        raise InputError(f"{path.name} cannot be read as DICOM; it is damaged or cut short.") from error
    if not usable:
        raise InputError(f"{path.name} cannot be read as DICOM; it is damaged, cut short or of another format.")
    if (what := _NOT_IMAGES.get(dataset.get("Modality", ""))) is not None:
        raise InputError(f"{path.name} is {what}, not an image; give the image series it belongs to.")
    if not dataset.get("Rows") or not dataset.get("Columns"):
        raise InputError(f"{path.name} is a DICOM file without an image in it.")
    return dataset


def file_header(dataset: Dataset, path: Path) -> FileHeader:
    """Return the small header of a dataset read from ``path``."""
    position, orientation = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    order = (
        dataset.get("TemporalPositionIdentifier"),
        dataset.get("AcquisitionNumber"),
        dataset.get("EchoNumbers"),
        dataset.get("DiffusionBValue"),
        dataset.get("TriggerTime"),
        dataset.get("InstanceNumber"),
    )
    return FileHeader(
        path=path,
        sop_uid=str(dataset.get("SOPInstanceUID") or path),
        series_uid=str(dataset.get("SeriesInstanceUID") or "no series UID"),
        series_number=_whole(dataset.get("SeriesNumber")),
        description=str(dataset.get("SeriesDescription") or dataset.get("ProtocolName") or "").strip(),
        modality=dicom_modality(dataset),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        n_frames=int(dataset.get("NumberOfFrames") or 1),
        orientation=_numbers(orientation, 6),
        position=_numbers(position, 3),
        rescale=rescale_of(dataset),
        order=tuple(_number(value) for value in order),
    )


def dicom_modality(dataset: Dataset) -> str | None:
    """Return the phrase word of a DICOM image; None where its code names no one modality (OT, SC ...).

    A CT localizer is a projection, so X-Ray. MR is told apart by sequence where its description says it plainly.
    """
    code = str(dataset.get("Modality") or "")
    if code == "CT" and "LOCALIZER" in (dataset.get("ImageType") or ()):
        return "X-Ray"
    if code == "MR":
        text = f"{dataset.get('SeriesDescription') or ''} {dataset.get('ProtocolName') or ''}"
        return guess_mri_sequence(text, contrast=bool(dataset.get("ContrastBolusAgent")))
    try:
        return parse_modality(code) if code else None
    except InputError:
        return None


def rescale_of(dataset: Dataset) -> tuple[float, float]:
    """Return (slope, intercept) of a dataset or functional group item; (1, 0) where absent."""
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _headers(paths: Iterable[Path]) -> Iterator[FileHeader]:
    for path in paths:
        if (header := _header(path)) is not None:
            yield header


def _header(path: Path) -> FileHeader | None:
    """The header of a DICOM image, None for any other file; InputError for DICOM that cannot be read."""
    if path.name == "DICOMDIR" or not _looks_like_dicom(path):
        return None
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        known = bool(dataset.get("SOPClassUID")) or bool(dataset.get("Rows"))
        header = file_header(dataset, path)
        is_image = dataset.get("Modality") not in _NOT_IMAGES and header.rows and header.columns
    except READ_ERRORS as error:
        raise InputError(f"{path} cannot be read as DICOM; remove it from the folder or copy it again.") from error
    if not known:
        raise InputError(f"{path} cannot be read as DICOM; remove it from the folder or copy it again.")
    return header if is_image else None


def _looks_like_dicom(path: Path) -> bool:
    """By the mark at byte 128, or by the name for old files that have none."""
    if path.suffix.lower() in (".dcm", ".ima", ".dicom"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}.") from error


def _info(files: list[FileHeader]) -> SeriesInfo:
    first = files[0]
    slices = sum(file.n_frames for file in files)
    return SeriesInfo(first.series_number, first.series_uid, first.description, first.modality, slices)


def _numbers(values: object, count: int) -> tuple[float, ...] | None:
    """``count`` numbers of a multi-valued element, or None where they are absent or not that many."""
    if values is None or isinstance(values, str) or not hasattr(values, "__len__") or len(values) != count:
        return None
    return tuple(float(value) for value in values)


def _number(value: object) -> float:
    """A number to sort by; absent or not a number counts as 0."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def _whole(value: object) -> int | None:
    try:
        return int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None
