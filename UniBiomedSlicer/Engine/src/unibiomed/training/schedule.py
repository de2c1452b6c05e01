# SPDX-License-Identifier: Apache-2.0
"""Warm-up, constant, decay: a run can be prolonged from any checkpoint before the decay without losing what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

WORDS_PEAK = 0.7


@dataclass(frozen=True)
class Schedule:
    """Steps of the learning-rate schedule: linear warm-up, constant, then ``1 - sqrt`` decay to zero at ``steps``.

    The last ``words_steps`` of a run teach words alone and have a smaller rise and fall of their own.
    """

    steps: int
    warmup_steps: int
    decay_steps: int
    words_steps: int = 0

    def factor(self, step: int) -> float:
        """What the peak learning rate is multiplied by at ``step`` (0-based)."""
        end = self.steps - self.words_steps
        if step >= end:
            return WORDS_PEAK * Schedule(self.words_steps, 20, self.words_steps * 3 // 4).factor(step - end)
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        start = end - self.decay_steps
        if step < start:
            return 1.0
        return max(0.0, 1.0 - math.sqrt((step - start + 1) / max(1, self.decay_steps)))
