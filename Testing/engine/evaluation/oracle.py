# SPDX-License-Identifier: Apache-2.0
"""A model that knows the truth of the phantoms it is asked about, so that the evaluation itself can be tested."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from unibiomed.evaluation.questions import Question, make_questions
from unibiomed.phantoms import Phantom
from unibiomed.phantoms.base import make_phantom, make_specs

CT = make_specs("chest", "CT", ["lung", "heart"], ["nodule", "effusion"])
MRI = make_specs("brain", "MRI-T1", ["brain"], ["tumor"])
CATALOGUE = (*CT, *MRI)


def draw(modality: str, seed: int, size: int = 64, abnormal: bool = True) -> Phantom:
    """A block picture with one to two structures, deterministic by seed."""
    rng = np.random.default_rng([len(modality), seed])
    image = rng.integers(0, 256, (size, size), dtype=np.uint8)

    def square(row: int, column: int, side: int) -> np.ndarray:
        mask = np.zeros((size, size), bool)
        mask[row : row + side, column : column + side] = True
        return mask

    if modality == "CT":
        masks = {"lung": square(4, 4, 28), "heart": square(36, 36, 16)}
        if abnormal:
            masks["nodule"] = square(8 + seed % 5, 8, 12)
        return replace_seed(make_phantom(image, masks, CT, {"nodule": "a nodule is seen."}, "all is clear."), seed)
    masks = {"brain": square(8, 8, 40)}
    if abnormal:
        masks["tumor"] = square(20, 20, 10)
    return replace_seed(make_phantom(image, masks, MRI, {"tumor": "a tumor is seen."}, "no tumor."), seed)


def replace_seed(phantom: Phantom, seed: int) -> Phantom:
    from dataclasses import replace

    return replace(phantom, seed=seed)


class Oracle:
    """Answers every question of the phantoms it drew as the truth says, unless ``spoil`` changes the answer."""

    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: 1)
    device, dtype = "cpu", "float32"

    def __init__(self, presence: dict | None = None, spoil=None) -> None:
        self.info = SimpleNamespace(name="oracle", version="1", sha256="0", presence=presence or {}, targets=())
        self.known: dict[tuple[bytes, str], Question] = {}
        self.spoil = spoil
        self.calls: list[int] = []

    def draw(self, modality: str, seed: int, size: int, abnormal: bool) -> Phantom:
        phantom = draw(modality, seed, 64, abnormal)
        from unibiomed.evaluation.questions import Amounts

        for question in make_questions(phantom, CATALOGUE, amounts=Amounts(9, 9, 9)):
            self.known[question.image.tobytes(), question.prompt] = question
        return phantom

    def predict_batch(self, images, texts):
        self.calls.append(len(texts))
        return [self.answer(self.known[image.tobytes(), text]) for image, text in zip(images, texts, strict=True)]

    def answer(self, question: Question) -> SimpleNamespace:
        phantom = question.phantom
        blank = np.zeros(phantom.image.shape[:2], bool)
        if question.task == "segment":
            mask = blank if question.foreign else phantom.masks.get(question.spec.name, blank)
            text, masks, score = "It is [SEG].", [mask], 5.0 if mask.any() else -5.0
            # An absent target gets a mask nevertheless, as SAM 2 does: the gate has to reject it.
            masks = [mask if mask.any() else ~blank]
            return self._prediction(text, masks, [score], question)
        if question.task == "recognise":
            name = phantom.abnormalities[0] if phantom.abnormalities else "no findings"
            text = f"It is [SEG]. {name} in {phantom.site} {phantom.modality}."
            return self._prediction(text, [phantom.masks.get(name, blank)], [5.0], question)
        if question.task == "report":
            masks = [phantom.masks[name] for name in phantom.abnormalities] or [blank]
            return self._prediction(phantom.report(), masks, [5.0] * len(masks), question)
        if question.task == "vqa":
            text = " ".join(f"<p> {name}. </p> [SEG]" for name in question.names) or "<p> no findings. </p> [SEG]"
            masks = [phantom.masks[name] for name in question.names] or [blank]
            return self._prediction(text, masks, [5.0] * len(masks), question)
        if question.task == "region":
            return self._prediction(question.spec.phrase, [], [], question)
        return self._prediction(phantom.caption(), [], [], question)

    def _prediction(self, text, masks, scores, question) -> SimpleNamespace:
        count = len(masks)
        size = question.phantom.image.shape[:2]
        answer = SimpleNamespace(
            text=text + "<|end|>",
            token_ids=[1] * count,
            token_logprobs=np.zeros(count),
            masks=np.array(masks, bool).reshape(count, 1, *size),
            object_scores=np.array(scores).reshape(count, 1),
            iou_scores=np.full((count, 1), 0.9),
        )
        return answer if self.spoil is None else self.spoil(question, answer)
