# SPDX-License-Identifier: Apache-2.0
"""A DICOMweb archive as the source of a cohort, and where results go back to (QIDO-RS, WADO-RS, STOW-RS)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient

from unibiomed.cohort.cases import Case
from unibiomed.errors import InputError, OutputError
from unibiomed.volumes.atomic import atomic_folder

#: Kinds of series that hold pictures; what else an archive has (reports, segmentations, dose) is not read.
IMAGE_MODALITIES = ("CT", "MR", "CR", "DX", "MG", "US", "XC", "ES", "OP", "OPT", "SM", "PT", "NM", "GM", "XA", "RF")
_PAGE = 200
_SOURCE = "dicom"
#: Objects in one request: servers limit its size, and this process its memory.
_TOGETHER = 20


class Archive:
    """One DICOMweb server. Every failure of the network or the server is an InputError with one sentence."""

    def __init__(
        self, url: str, *, token: str | None = None, user: tuple[str, str] | None = None, ca: str | None = None
    ):
        """``url`` of the DICOMweb root, as ``https://pacs.example.org/dicom-web``.

        ``token`` is sent as a bearer token, ``user`` (name, password) as basic authentication, ``ca`` names a file with
        the certificate authority. Certificates are always checked.
        """
        session = requests.Session()
        session.verify = ca or True
        if user is not None:
            session.auth = user
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.url = url
        self._client = DICOMwebClient(url=url.rstrip("/"), session=session, headers=headers)

    def series(self, filters: Mapping[str, str] | None = None, *, limit: int | None = None) -> Iterator[Case]:
        """Image series that match ``filters`` (DICOM keywords, as ``{"StudyDescription": "*liver*"}``), as cases.

        The archive is asked page by page, so that one with millions of series can be read with ``limit``.
        """
        found = 0
        offset = 0
        while limit is None or found < limit:
            page = self._asked(
                lambda at=offset: self._client.search_for_series(
                    search_filters=dict(filters or {}),
                    fields=["PatientID", "Modality", "StudyInstanceUID", "SeriesInstanceUID"],
                    limit=_PAGE,
                    offset=at,
                )
            )
            for entry in page:
                case = _case(entry)
                if case is not None and (limit is None or found < limit):
                    found += 1
                    yield case
            offset += len(page)
            if len(page) < _PAGE:
                return

    def fetch(self, case: Case, folder: Path) -> Path:
        """Bring the series of ``case`` below ``folder`` unless it is there; returns its folder. All files or none."""
        target = folder / case.path
        if target.is_dir():
            return target
        study, series = case.path.split("/")[-2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(target) as scratch:
            count = 0
            for dataset in self._asked(lambda: self._client.retrieve_series(study, series)):
                # Left over from a network transfer in some files; they have no place in one.
                for tag in [element.tag for element in dataset if element.tag.group in (0, 2)]:
                    del dataset[tag]
                # The name is a running number: nothing that a server says becomes part of a path.
                dataset.save_as(scratch / f"{count:05d}.dcm", enforce_file_format=True)
                count += 1
            if not count:
                raise InputError(f"The archive at {self.url} gave no image of the series {series}.")
        return target

    def store(self, files: Iterable[Path]) -> int:
        """Send DICOM objects to the archive, which files them with their study; returns how many it took.

        OutputError names the first one that it refused.
        """
        sent = 0
        waiting = list(files)
        for start in range(0, len(waiting), _TOGETHER):
            datasets = [pydicom.dcmread(path) for path in waiting[start : start + _TOGETHER]]
            answer = self._asked(lambda those=datasets: self._client.store_instances(those))
            refused = answer.get("FailedSOPSequence") or []
            if refused:
                uid = refused[0].get("ReferencedSOPInstanceUID", "?")
                raise OutputError(f"The archive at {self.url} refused the object {uid} (reason {_reason(refused[0])}).")
            sent += len(datasets)
        return sent

    def _asked(self, call: Any) -> Any:
        try:
            return call()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "?"
            hint = "; check the token or the user" if status in (401, 403) else ""
            raise InputError(f"The archive at {self.url} answered {status}{hint}.") from error
        except requests.RequestException as error:
            raise InputError(f"The archive at {self.url} cannot be reached ({type(error).__name__}).") from error


def _case(entry: dict[str, Any]) -> Case | None:
    item = pydicom.Dataset.from_json(entry)
    if str(item.get("Modality", "")) not in IMAGE_MODALITIES:
        return None
    study, series = str(item.StudyInstanceUID), str(item.SeriesInstanceUID)
    if not (_is_uid(study) and _is_uid(series)):
        return None
    patient = str(item.get("PatientID", "")).strip() or study
    return Case(
        id="series-" + hashlib.sha256(series.encode()).hexdigest()[:16],
        patient="p" + hashlib.sha256(patient.encode()).hexdigest()[:12],
        path=f"{_SOURCE}/{study}/{series}",
        series_uid=series,
        dicom_modality=str(item.Modality),
    )


def _is_uid(text: str) -> bool:
    return 0 < len(text) <= 64 and all(c.isdigit() or c == "." for c in text)


def _reason(item: Any) -> str:
    return hex(int(item.get("FailureReason", 0)))
