# SPDX-License-Identifier: Apache-2.0
"""New examples mixed with old ones, so that a fine-tuned model keeps what it could.

A model that sees nothing but corrections of one scanner forgets the others. Where its first training can be drawn
again (the phantoms of a model that was trained on phantoms), a share of every run is drawn from there. Half of that is
of the modalities of the new data: what is asked there in the same words is forgotten first.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from torch.utils.data import Dataset

from unibiomed.errors import InputError
from unibiomed.phantoms import all_targets
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.training.conversations import Mix
from unibiomed.training.exported_data import ExportedExamples
from unibiomed.training.phantom_data import ROUND, PhantomExamples
from unibiomed.training.turns import Example
from unibiomed.volumes.modalities import base_modality

#: Where replayed phantoms are numbered from: far from those of Mini's own stages.
FIRST_EXAMPLE = 9_000_000
_MOST = 999_600  # a multiple of the round's length, so that numbers beyond it keep their modality
_ALIKE = 0.5
_MIX = Mix(segmentation_turns=3, text_questions=1, region_share=0.3, direct_prompts=0)


class ReplayedExamples(Dataset):
    """Example ``n`` is a phantom with probability ``share``, else the next of ``exported``; the same in every run."""

    def __init__(self, exported: ExportedExamples, share: float, *, seed: int = 0) -> None:
        """``share`` 0 leaves ``exported`` as it is. InputError unless 0 <= share < 1."""
        if not 0.0 <= share < 1.0:
            raise InputError(f"The share of replayed phantoms is at least 0 and below 1, not {share}.")
        self.exported, self.share, self.seed = exported, share, seed
        # Template brains come with nilearn, which an environment that was not made for training lacks.
        options = {} if find_spec("nilearn") else {"extra_share": 0.0}
        self._phantoms = PhantomExamples(FIRST_EXAMPLE, _MOST, mix=_MIX, **options) if share else None
        words = {parse_phrase(phrase).modality for phrase in exported.phrases}
        own = {base_modality(word) for word in words if word}
        self._alike = [place for place, modality in enumerate(ROUND) if modality in own]

    def __len__(self) -> int:
        return len(self.exported)

    def __getitem__(self, key: tuple[str, int]) -> Example:
        kind, number = key
        rng = np.random.default_rng([self.seed, 2, number])
        if self._phantoms is None or rng.random() >= self.share:
            return self.exported[kind, number]
        places = self._alike if self._alike and rng.random() < _ALIKE else range(len(ROUND))
        wanted = number * len(ROUND) + int(rng.choice(list(places))) - FIRST_EXAMPLE % len(ROUND)
        return self._phantoms.picture(wanted % _MOST)


def can_replay(targets: frozenset[str]) -> bool:
    """Whether a model with these target phrases learned them from the phantoms."""
    return bool(targets) and targets <= {spec.phrase for spec in all_targets()}
