# SPDX-License-Identifier: Apache-2.0
"""What files state by themselves: BIDS names their suffix, data type and modality, DICOM headers a code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import parse_modality

_SUFFIXES = {
    "t1w": "MRI-T1",
    "inplanet1": "MRI-T1",
    "unit1": "MRI-T1",
    "t2w": "MRI-T2",
    "inplanet2": "MRI-T2",
    "flair": "MRI-FLAIR",
    "adc": "MRI-ADC",
    "ct": "CT",
}
#: Data types of BIDS that are MRI whatever the suffix: there, bold, sbref, dwi, epi and T2starw are.
_MRI = ("anat", "func", "dwi", "fmap", "perf", "mrs")
_MRI_SUFFIXES = ("bold", "cbv", "sbref", "dwi", "epi", "asl", "m0scan", "pdw", "t2starw", "t2star", "mese", "megre")
_CONTRAST = ("ce-gad", "ce-gd")


@dataclass(frozen=True)
class BidsName:
    """``sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz``: suffix ``T1w``, data type ``anat``, both in lower case."""

    suffix: str = ""
    datatype: str = ""
    modality: str | None = None


def bids_name(path: str) -> BidsName:
    """What ``path`` (POSIX, relative to the cohort) states; nothing when the file's name does not begin with ``sub-``.

    A PET, a photograph or a micrograph states none of the ten modalities.
    """
    parts = PurePosixPath(path).parts
    name = parts[-1] if parts else ""
    stem = name.split(".", 1)[0].lower()
    if not stem.startswith("sub-") or "_" not in stem:
        return BidsName()
    suffix = stem.rpartition("_")[2]
    if "-" in suffix:
        return BidsName()
    datatype = parts[-2].lower() if len(parts) > 1 and "-" not in parts[-2] else ""
    modality = _SUFFIXES.get(suffix)
    if modality == "MRI-T1" and any(mark in stem for mark in _CONTRAST):
        modality = "MRI-T1-Gd"
    if modality is None and (suffix in _MRI_SUFFIXES or (datatype in _MRI and suffix != "photo")):
        modality = "MRI"
    return BidsName(suffix, datatype, modality)


def dicom_word(code: str | None) -> str | None:
    """The modality of a DICOM code ("MR"); None for one that names none (OT, SC), and for no code."""
    try:
        return parse_modality(code) if code else None
    except InputError:
        return None
