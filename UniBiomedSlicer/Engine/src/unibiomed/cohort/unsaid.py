# SPDX-License-Identifier: Apache-2.0
"""What neither the plan nor the file says, told so that the plan can be mended."""

from __future__ import annotations

from pathlib import PurePosixPath

from unibiomed.cohort.cases import Case
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.stated import dicom_word
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.volumes.modalities import MODALITIES

FRAME_HINT = "In a cohort the plan says it: frame: 0, for all cases or in a rule."


def unknown_modality(case: Case, plan: Plan) -> str:
    """The sentence that says what to write for a ``case`` whose modality is not known from ``plan``, its own, or its
    name; empty where it is known or need not be.

    It need not be said where each target says it ("lesion in skin dermoscopy"), or where a prompt-free plan leaves it
    to the model. For DICOM the code decides here; an image that is read tells it more exactly.
    """
    if plan.modality is not None or dicom_word(case.dicom_modality) is not None:
        return ""
    if plan.targets and all(parse_phrase(target).modality for target in plan.targets):
        return ""
    if not plan.targets and plan.modality_from_picture:
        return ""
    ending = "".join(PurePosixPath(case.path).suffixes[-2:]) if case.path.endswith(".gz") else ""
    ending = ending or PurePosixPath(case.path).suffix
    match = f"dicom: {case.dicom_modality}" if case.dicom_modality else f"path: '*{ending}'" if ending else "path: '*'"
    model = "" if plan.targets else ", or modality_from_picture: true, and the model says what it takes the picture for"
    return (
        f"Nothing says the modality of {case.path}; write one in the plan ({', '.join(MODALITIES)}), for all cases or "
        f"in a rule, as 'match: {{{match}}}' with 'modality: {MODALITIES[0]}'{model}."
    )
