# SPDX-License-Identifier: Apache-2.0
"""New examples mixed with old ones, so that a fine-tuned model keeps what it could.

A model that sees nothing but corrections of one scanner forgets the others. Where its first training can be drawn
again (the phantoms of a model that was trained on phantoms), a share of every run is drawn from there.
"""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from unibiomed.errors import InputError
from unibiomed.phantoms import all_targets
from unibiomed.training.conversations import Mix
from unibiomed.training.exported_data import ExportedExamples
from unibiomed.training.phantom_data import PhantomExamples
from unibiomed.training.turns import Example

#: Where replayed phantoms are numbered from: far from those of Mini's own stages.
FIRST_EXAMPLE = 9_000_000
_MIX = Mix(segmentation_turns=3, text_questions=1, region_share=0.3, direct_prompts=0)


class ReplayedExamples(Dataset):
    """Example ``n`` is a phantom with probability ``share``, else the next of ``exported``; the same in every run."""

    def __init__(self, exported: ExportedExamples, share: float, *, seed: int = 0) -> None:
        """``share`` 0 leaves ``exported`` as it is. InputError unless 0 <= share < 1."""
        if not 0.0 <= share < 1.0:
            raise InputError(f"The share of replayed phantoms is at least 0 and below 1, not {share}.")
        self.exported, self.share, self.seed = exported, share, seed
        self._phantoms = PhantomExamples(FIRST_EXAMPLE, len(exported), mix=_MIX) if share else None

    def __len__(self) -> int:
        return len(self.exported)

    def __getitem__(self, key: tuple[str, int]) -> Example:
        kind, number = key
        if self._phantoms is not None and np.random.default_rng([self.seed, 2, number]).random() < self.share:
            return self._phantoms.picture(number)
        return self.exported[kind, number]


def can_replay(targets: frozenset[str]) -> bool:
    """Whether a model with these target phrases learned them from the phantoms."""
    return bool(targets) and targets <= {spec.phrase for spec in all_targets()}
