# SPDX-License-Identifier: Apache-2.0
"""An endless, numbered supply of training examples drawn from the phantoms: example n is the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from torch.utils.data import Dataset

from unibiomed.errors import InputError
from unibiomed.phantoms import EXTRA_GENERATORS, MODALITY_GENERATORS, Generator, all_targets, generate_from
from unibiomed.training.conversations import Mix, make_example
from unibiomed.training.turns import Example
from unibiomed.training.video_data import VideoExample, VideoExamples

TRAINING_SEEDS = 10_000_000  # seeds below are for training; evaluation and threshold fitting draw from above


# CT, MRI and X-ray have more sites, sequences or fainter lesions than the others.
ROUND = (
    "CT", "pathology", "MRI", "X-Ray", "fundus", "CT", "ultrasound", "MRI", "mammography",
    "X-Ray", "CT", "OCT", "endoscope", "MRI", "CT", "dermoscopy", "X-Ray",
)  # fmt: skip


class PhantomExamples(Dataset):
    """Example ``n`` of a run; pictures of every modality in turn, the harder ones more often (``ROUND``).

    Args:
        first, count: the numbers of the run's examples; ``first + count`` must stay below ``TRAINING_SEEDS``.
        size: side of the pictures in pixels.
        mix: which questions are asked.
        extra_share: share of a modality's pictures that its extra (training-time) generators make.
    """

    def __init__(self, first: int, count: int, *, size: int = 256, mix: Mix | None = None, extra_share: float = 0.35):
        if first < 0 or first + count > TRAINING_SEEDS:
            raise InputError(f"Training examples are numbered 0 to {TRAINING_SEEDS - 1}; {first}+{count} is beyond.")
        self.first, self.count, self.size = first, count, size
        self.mix = mix or Mix()
        self.extra_share = extra_share
        self.stacks = VideoExamples(size=size)
        self.catalogue = all_targets()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: tuple[str, int]) -> Example | VideoExample:
        kind, index = key
        if kind == "stack":
            return self.stacks[self.first + index]
        return self.picture(index)

    def picture(self, index: int, mix: Mix | None = None) -> Example:
        """Example ``index`` of the run, with the questions of ``mix`` (else the run's)."""
        number = self.first + index
        rng = np.random.default_rng([7, number])
        modality = ROUND[number % len(ROUND)]
        phantom = generate_from(self._pick(modality, rng), number, self.size)
        return make_example(phantom, self.catalogue, rng, mix or self.mix)

    def _pick(self, modality: str, rng: np.random.Generator) -> Generator:
        extra = EXTRA_GENERATORS.get(modality, ())
        if extra and rng.random() < self.extra_share:
            return extra[int(rng.integers(len(extra)))]
        generators = MODALITY_GENERATORS[modality]
        shares = np.array([generator.share for generator in generators])
        return generators[int(rng.choice(len(generators), p=shares / shares.sum()))]


def sample_texts(numbers: Iterable[int], size: int = 64) -> Iterator[str]:
    """Every text of some examples, special tokens replaced by blanks: what a tokenizer is learned from.

    Small pictures will do: their wording is that of large ones.
    """
    examples = PhantomExamples(0, TRAINING_SEEDS, size=size, mix=Mix(default_template_share=0.2, region_share=1.0))
    for number in numbers:
        example = examples.picture(number)
        for conversation in (*example.conversations, *example.drawn):
            for turn in conversation.turns:
                yield turn.question
                yield re.sub(r"\[SEG\]|</?p>", "\n", turn.answer)
