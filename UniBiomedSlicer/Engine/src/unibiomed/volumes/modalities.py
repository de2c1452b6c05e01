# SPDX-License-Identifier: Apache-2.0
"""The ten imaging modalities as the model's phrases name them, and the many other names people and files use."""

from __future__ import annotations

import re

from unibiomed.errors import InputError

MODALITIES = (
    "CT",
    "MRI",
    "X-Ray",
    "ultrasound",
    "pathology",
    "fundus",
    "OCT",
    "endoscope",
    "dermoscopy",
    "mammography",
)
"""The phrase words, spelled as in the training phrases ``{target} in {site} {modality}``."""

MRI_SEQUENCES = ("MRI-T1", "MRI-T2", "MRI-FLAIR", "MRI-T1-Gd", "MRI-ADC")
"""MRI with its sequence; these too stand in the training phrases."""

# Keys are lower case with every run of blanks, "-", "_" and "/" taken out. DICOM codes: PS3.3 C.7.3.1.1.1.
_ALIASES = {
    "ct": "CT",
    "computedtomography": "CT",
    "cat": "CT",
    "mr": "MRI",
    "mri": "MRI",
    "magneticresonance": "MRI",
    "magneticresonanceimaging": "MRI",
    "xray": "X-Ray",
    "radiograph": "X-Ray",
    "radiography": "X-Ray",
    "cr": "X-Ray",
    "dx": "X-Ray",
    "rg": "X-Ray",
    "rf": "X-Ray",
    "xa": "X-Ray",
    "px": "X-Ray",
    "io": "X-Ray",
    "cxr": "X-Ray",
    "us": "ultrasound",
    "ivus": "ultrasound",
    "ultrasound": "ultrasound",
    "ultrasonography": "ultrasound",
    "sonography": "ultrasound",
    "echo": "ultrasound",
    "sm": "pathology",
    "gm": "pathology",
    "pathology": "pathology",
    "histology": "pathology",
    "histopathology": "pathology",
    "microscopy": "pathology",
    "wsi": "pathology",
    "op": "fundus",
    "fundus": "fundus",
    "fundusphotography": "fundus",
    "retina": "fundus",
    "cfp": "fundus",
    "opt": "OCT",
    "oct": "OCT",
    "ivoct": "OCT",
    "opticalcoherencetomography": "OCT",
    "es": "endoscope",
    "endoscope": "endoscope",
    "endoscopy": "endoscope",
    "colonoscopy": "endoscope",
    "xc": "dermoscopy",
    "dms": "dermoscopy",
    "dermoscopy": "dermoscopy",
    "dermatoscopy": "dermoscopy",
    "dermoscope": "dermoscopy",
    "mg": "mammography",
    "mammo": "mammography",
    "mammography": "mammography",
    "mammogram": "mammography",
}
_SEQUENCES = {
    "t1": "MRI-T1",
    "t1w": "MRI-T1",
    "t2": "MRI-T2",
    "t2w": "MRI-T2",
    "flair": "MRI-FLAIR",
    "t2flair": "MRI-FLAIR",
    "t1gd": "MRI-T1-Gd",
    "t1c": "MRI-T1-Gd",
    "t1ce": "MRI-T1-Gd",
    "adc": "MRI-ADC",
}
_NAMES = {
    **_ALIASES,
    **_SEQUENCES,
    **{prefix + key: word for key, word in _SEQUENCES.items() for prefix in ("mri", "mr")},
}


def parse_modality(text: str) -> str:
    """Return the phrase word for a modality's name, alias or DICOM code, whatever its case.

    ``"mr"`` → ``"MRI"``, ``"endoscopy"`` → ``"endoscope"``, ``"DX"`` → ``"X-Ray"``; MRI keeps its sequence
    (``"mri-t1"`` → ``"MRI-T1"``, ``"FLAIR"`` → ``"MRI-FLAIR"``). Raises InputError, listing the ten, otherwise.
    """
    word = _NAMES.get(re.sub(r"[\s\-_/]+", "", text).lower())
    if word is None:
        raise InputError(
            f'The modality "{text[:40]}" is not known; use one of {", ".join(MODALITIES)} '
            f"(or {', '.join(MRI_SEQUENCES)})."
        )
    return word


def base_modality(modality: str) -> str:
    """Return the modality without its sequence: ``"MRI-T1"`` → ``"MRI"``; the other nine stay as they are."""
    return "MRI" if modality in MRI_SEQUENCES else modality


def guess_mri_sequence(description: str, *, contrast: bool = False) -> str:
    """Return "MRI" with its sequence where a series description says it plainly, else "MRI".

    ``contrast``: the DICOM header names a contrast agent. Descriptions that name two weightings stay "MRI".
    """
    words = set(re.findall(r"[a-z0-9*+]+", description.lower()))
    text = description.lower()
    is_t1 = any(re.fullmatch(r"t1w?[ce]?|t1gd|t1ce|mprage|t1\+c", word) for word in words)
    is_t2 = any(re.fullmatch(r"t2w?", word) for word in words)
    if "adc" in words or "apparent diffusion" in text:
        return "MRI-ADC"
    if "flair" in text:
        return "MRI" if is_t1 else "MRI-FLAIR"
    if is_t1 == is_t2:
        return "MRI"
    if is_t2:
        return "MRI-T2"
    enhanced = contrast or bool(
        words & {"gd", "gad", "gado", "post", "contrast", "ce", "t1c", "t1ce", "t1gd", "+c", "t1+c"}
    )
    return "MRI-T1-Gd" if enhanced else "MRI-T1"
