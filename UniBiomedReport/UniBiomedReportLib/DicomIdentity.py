# SPDX-License-Identifier: Apache-2.0
"""Whose images a volume is made of, as far as Slicer's DICOM database knows: what a structured report must refer to."""

from __future__ import annotations

import re
from typing import Any

import slicer
from UniBiomedSlicerLib.DicomAttributes import instanceUids, sourceUids

SOP_CLASS = "0008,0016"
_PATIENT = {"name": "0010,0010", "id": "0010,0020", "birth_date": "0010,0030", "sex": "0010,0040"}
_STUDY = {
    "study_date": "0008,0020",
    "study_time": "0008,0030",
    "accession_number": "0008,0050",
    "study_id": "0020,0010",
}
_FORMS = {
    "birth_date": r"\d{8}",
    "study_date": r"\d{8}",
    "study_time": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?",
    "sex": "[MFO]",
    "accession_number": r".{1,16}",
    "study_id": r".{1,16}",
}


def dicomIdentity(volumeNode: Any) -> dict[str, Any]:
    """Return the ``dicom`` part of a report document; {} for a volume that did not come from DICOM.

    Patient and study attributes are those of the DICOM database; without it the report is anonymous and refers to the
    series alone.
    """
    uids = instanceUids(volumeNode) if volumeNode is not None else []
    known: dict[str, Any] = dict(sourceUids(volumeNode)) if volumeNode is not None else {}
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or not database or not database.isOpen:
        return {}

    def value(tag: str, name: str = "") -> str:
        text = re.sub(r"[\\\x00-\x1f\x7f]", " ", str(database.instanceValue(uids[0], tag) or "")).strip()
        form = _FORMS.get(name)
        return text[:64] if form is None or re.fullmatch(form, text) else ""

    known["patient"] = {name: value(tag, name) for name, tag in _PATIENT.items()}
    known.update({name: value(tag, name) for name, tag in _STUDY.items()})
    sopClass = value(SOP_CLASS)
    if sopClass and known.get("series_uid"):
        # All instances of one volume are of one kind.
        known["instances"] = [{"sop_class_uid": sopClass, "sop_instance_uid": uid} for uid in uids]
    return known
