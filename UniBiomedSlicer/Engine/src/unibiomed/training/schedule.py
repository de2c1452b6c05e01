# SPDX-License-Identifier: Apache-2.0
"""Warm-up, constant, decay: a run can be prolonged from any checkpoint before the decay without losing what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Steps of the learning-rate schedule: linear warm-up, constant, then ``1 - sqrt`` decay to zero at ``steps``."""

    steps: int
    warmup_steps: int
    decay_steps: int

    def factor(self, step: int) -> float:
        """What the peak learning rate is multiplied by at ``step`` (0-based)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        start = self.steps - self.decay_steps
        if step < start:
            return 1.0
        return max(0.0, 1.0 - math.sqrt((step - start + 1) / max(1, self.decay_steps)))
