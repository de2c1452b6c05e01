# SPDX-License-Identifier: Apache-2.0
"""A model asked about the pictures of an exported data set (UniBiomed's own format): every phrase of every picture.

The format has pictures without a pixel size, so distances are in pixels of these pictures. For millimetres and whole
volumes measure on the catalogue (``unibiomed.cohort.measure``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.agreement import Answer, answer_of
from unibiomed.tasks.presence import Thresholds, observe, passes_alone, seg_logprobs
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.templates import segment_prompt
from unibiomed.training.exported_data import ExportedPictures

_CASE = re.compile(r"(?P<case>.+?)-(?P<slice>\d+)_")


def ask_export(
    model: Model,
    folder: Path,
    split: str,
    tolerance: float,
    *,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    stage: str = "Evaluating",
) -> list[Answer]:
    """Answers about each picture of ``split`` ("train", "val", "test"), ``tolerance`` of NSD in pixels.

    InputError when the split is missing, damaged or has no segment; Cancelled between two pictures.
    """
    pictures = ExportedPictures(folder, split)
    if not pictures.phrases:
        raise InputError(f"The split {split} of {folder} has no segment to compare with.")
    answers: list[Answer] = []
    for number, picture in enumerate(pictures.pictures):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was stopped; nothing was written.")
        image = pictures.image(picture)
        prompts = [segment_prompt(phrase) for phrase in pictures.phrases]
        found = model.predict_batch([image] * len(prompts), prompts)
        named = _CASE.match(picture.file)
        case, place = (named["case"], named["slice"]) if named else (picture.file, "")
        for phrase, prediction in zip(pictures.phrases, found, strict=True):
            shown, confidence = np.zeros(image.shape[:2], dtype=bool), 0.0
            if len(prediction.masks):
                seen = observe(prediction, 0, 0, token_logprob=seg_logprobs(model, prediction)[0])
                confidence = seen.confidence
                if not passes_alone(seen, Thresholds.of(model, phrase)):
                    shown = seen.mask
            truth = pictures.mask(picture, phrase)
            patient = picture.patient or case
            answers.append(
                answer_of(case, patient, phrase, shown, truth, (1.0, 1.0), tolerance, confidence, place)
            )  # fmt: skip
        if progress is not None:
            progress(ProgressEvent(stage, number + 1, len(pictures.pictures)))
    return answers
