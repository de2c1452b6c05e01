# SPDX-License-Identifier: Apache-2.0
"""A model that knows the answers: it reads the truth out of the picture's grey values.

Pictures are uint8; each target has a grey value of its own. The masks are the pixels of that value, so that what a task
returns can be compared with the truth exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

TARGETS = (
    {"name": "liver", "site": "abdomen", "modality": "CT", "kind": "anatomy"},
    {"name": "spleen", "site": "abdomen", "modality": "CT", "kind": "anatomy"},
    {"name": "liver tumor", "site": "abdomen", "modality": "CT", "kind": "abnormality"},
    {"name": "brain", "site": "head", "modality": "MRI-T1", "kind": "anatomy"},
)
GREY = {"liver": (100, 180), "spleen": (60, 60), "liver tumor": (180, 180)}
"""Lowest and highest grey value of each target: the tumour lies in the liver, so they overlap."""
SEG_ID = 7


@dataclass
class FakePrediction:
    text: str
    masks: np.ndarray
    object_scores: np.ndarray
    iou_scores: np.ndarray
    token_ids: tuple[int, ...] = (1, SEG_ID, 2)
    token_logprobs: np.ndarray = field(default_factory=lambda: np.array([-0.01, -0.02, -0.01], dtype=np.float32))
    history: str = ""


def make_prediction(text: str, masks: list[np.ndarray], scores: list[float] | None = None) -> FakePrediction:
    """A still's prediction: masks (H, W); a score below 0 says absent."""
    stack = np.stack(masks)[:, None] if masks else np.zeros((0, 1, 1, 1), dtype=bool)
    values = scores if scores is not None else [4.0 if mask.any() else -4.0 for mask in masks]
    count = max(1, len(masks))
    return FakePrediction(
        text,
        stack,
        np.array(values, dtype=np.float32).reshape(len(masks), 1),
        np.full((len(masks), 1), 0.9, dtype=np.float32),
        token_ids=(1, *[SEG_ID] * count, 2),
        token_logprobs=np.full(count + 2, -0.02, dtype=np.float32),
    )


class FakeModel:
    """Answers as the bundled model is trained to; ``calls`` holds (what, number of images, texts)."""

    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: SEG_ID)

    def __init__(self, targets: tuple[dict[str, str], ...] = TARGETS, presence: dict | None = None) -> None:
        self.info = SimpleNamespace(
            name="fake", sha256="0" * 64, version="1", revision=None, targets=targets, presence=presence or {}
        )
        self.model = SimpleNamespace(config=SimpleNamespace(sam_image_size=64))
        self.device, self.dtype = "cpu", "torch.float32"
        self.calls: list[tuple[str, int, tuple[str, ...]]] = []
        self.pictures: list[np.ndarray] = []
        self.histories: list[str | None] = []

    def escape(self, text: str) -> str:
        return text.replace("[SEG]", "[ SEG ]").replace("<p>", "< p >").replace("<|end|>", "< |end| >")

    def predict(self, image, text, *, regions=None, history=None, on_text=None):
        self.calls.append(("predict", 1, (text,)))
        self.pictures.append(image)
        self.histories.append(history)
        made = self._answer(image, text)
        body = text.replace("<image>", "<img>" + "<IMG_CONTEXT>" * 16 + "</img>")
        made.history = f"{history or ''}<|user|>\n{body}<|end|>\n<|assistant|>\n{made.text}\n"
        if on_text is not None:
            words = made.text.split(" ")
            for count in range(1, len(words) + 1):
                on_text(" ".join(words[:count]))
        return made

    def predict_batch(self, images, texts):
        self.calls.append(("batch", len({id(image) for image in images}), tuple(texts)))
        return [self._answer(image, text) for image, text in zip(images, texts, strict=True)]

    def predict_video(self, frames, text, *, on_frame=None):
        self.calls.append(("video", len(frames), (text,)))
        stills = []
        for number, frame in enumerate(frames):
            stills.append(self._answer(frame, text))
            if on_frame is not None:
                on_frame(number)
        return FakePrediction(
            "It is [SEG].<|end|>",
            np.concatenate([still.masks for still in stills], axis=1),
            np.concatenate([still.object_scores for still in stills], axis=1),
            np.concatenate([still.iou_scores for still in stills], axis=1),
        )

    def mask(self, image: np.ndarray, name: str) -> np.ndarray:
        low, high = GREY.get(name, (255, 255))
        grey = image[:, :, 0]
        return (grey >= low) & (grey <= high)

    def _answer(self, image, text):
        question = text.removeprefix("<image>").strip()
        if question.startswith("Please segment "):
            name = question.removeprefix("Please segment ").rpartition(" in ")[0]
            return make_prediction("It is [SEG].<|end|>", [self.mask(image, name)])
        tumor = self.mask(image, "liver tumor")
        if question.startswith("Can we observe any signs of abnormality?"):
            name = "liver tumor" if tumor.any() else "no findings"
            return make_prediction(f"It is [SEG]. {name} in abdomen CT.<|end|>", [tumor])
        if question.startswith("Can you generate a brief report"):
            if tumor.any():
                said = "<p> liver tumor. a small hypodense tumor is seen in the liver. </p> [SEG]"
            else:
                said = "<p> no findings. the liver is unremarkable. </p> [SEG]"
            return make_prediction(said + "<|end|>", [tumor])
        if question.startswith("Can we observe any signs of abnormality in"):
            said = "<p> liver tumor. </p> [SEG]" if tumor.any() else "<p> no findings. </p> [SEG]"
            return make_prediction(said + "<|end|>", [tumor])
        if question.startswith("What is the <region>"):
            return make_prediction("liver tumor in abdomen CT<|end|>", [])
        if question.startswith("Please describe the region"):
            shown = [name for name in ("liver", "spleen") if self.mask(image, name).any()]
            said = " and ".join(f"the {name}" for name in shown) or "no named structure"
            end = "a small hypodense tumor is seen in the liver." if tumor.any() else "no abnormality is seen."
            return make_prediction(f"CT image of the abdomen. it shows {said}. {end}<|end|>", [])
        return make_prediction("I cannot say.<|end|>", [])
