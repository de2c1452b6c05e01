# SPDX-License-Identifier: Apache-2.0
"""Which kind of image a volume is, in the words of the model's phrases."""

from __future__ import annotations

import re
from typing import Any

from UniBiomedSlicerLib import DicomAttributes
from UniBiomedSlicerLib.DicomAttributes import dicomValue

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
"""The ten that the engine knows; MRI may also carry its sequence (``MRI-T1`` and so on)."""

# Codes of DICOM PS3.3 C.7.3.1.1.1.
_CODES = {
    "CT": "CT",
    "MR": "MRI",
    **dict.fromkeys(("CR", "DX", "RG", "RF", "XA", "PX", "IO"), "X-Ray"),
    **dict.fromkeys(("US", "IVUS"), "ultrasound"),
    **dict.fromkeys(("SM", "GM"), "pathology"),
    "OP": "fundus",
    **dict.fromkeys(("OPT", "IVOCT"), "OCT"),
    "ES": "endoscope",
    **dict.fromkeys(("XC", "DMS"), "dermoscopy"),
    "MG": "mammography",
}
PLACED = ("CT", "MRI", "OCT")
"""Those whose files usually say where the image lies in the patient."""

# Words of a volume's name; a name that speaks of several kinds says nothing.
_WORDS = {
    "CT": r"ct|cta|cect|ncct|cbct",
    "MRI": r"mri?|mra|t1w?|t2w?|flair|adc|mprage|dwi|swi|t1ce|t1gd|t1c",
    "X-Ray": r"x-?ray|cxr|radiograph|dx",
    "ultrasound": r"us|ultrasound|sonography|echo|bmode",
    "pathology": r"pathology|histology|histopathology|wsi|biopsy",
    "fundus": r"fundus|retina|cfp",
    "OCT": r"oct",
    "endoscope": r"endoscopy|endoscope|colonoscopy|gastroscopy",
    "dermoscopy": r"dermoscopy|dermatoscopy|dermoscope",
    "mammography": r"mammography|mammogram|mammo",
}


def knownModality(volumeNode: Any) -> str | None:
    """Return the modality that the volume's DICOM attributes state, None where they say nothing."""
    modality = _CODES.get(dicomValue(volumeNode, DicomAttributes.MODALITY).upper())
    if modality != "MRI":
        return modality
    contrast = bool(dicomValue(volumeNode, DicomAttributes.CONTRAST_AGENT))
    tags = (DicomAttributes.SERIES_DESCRIPTION, DicomAttributes.PROTOCOL_NAME)
    described = next((text for text in (dicomValue(volumeNode, tag) for tag in tags) if text), volumeNode.GetName())
    return mriSequence(described or "", contrast=contrast)


def guessModality(volumeNode: Any) -> str | None:
    """Return :func:`knownModality`, or what the volume's name says plainly ("CTChest"), or None: ask the user."""
    known = knownModality(volumeNode)
    if known is not None:
        return known
    # "CTChest" and "MRHead" begin with a code in capitals; file names use "_", "-" and digits between words.
    name = re.sub(r"^(CT|CTA|MR|MRI|US)(?=[A-Z][a-z])", r"\1 ", volumeNode.GetName() or "")
    words = re.findall(r"x-ray|[a-z]+[0-9]?[a-z]*", name.lower())
    named = {modality for modality, pattern in _WORDS.items() if any(re.fullmatch(pattern, word) for word in words)}
    if len(named) != 1:
        return None
    modality = named.pop()
    return mriSequence(name) if modality == "MRI" else modality


def mriSequence(description: str, *, contrast: bool = False) -> str:
    """Return "MRI" with its sequence where a description says it plainly, else "MRI"; the engine's own rule."""
    text = description.lower()
    words = set(re.findall(r"[a-z0-9*+]+", text))
    isT1 = any(re.fullmatch(r"t1w?[ce]?|t1gd|t1ce|mprage|t1\+c", word) for word in words)
    isT2 = any(re.fullmatch(r"t2w?", word) for word in words)
    if "adc" in words or "apparent diffusion" in text:
        return "MRI-ADC"
    if "flair" in text:
        return "MRI" if isT1 else "MRI-FLAIR"
    if isT1 == isT2:
        return "MRI"
    if isT2:
        return "MRI-T2"
    enhanced = {"gd", "gad", "gado", "post", "contrast", "ce", "t1c", "t1ce", "t1gd", "+c", "t1+c"}
    return "MRI-T1-Gd" if contrast or words & enhanced else "MRI-T1"
