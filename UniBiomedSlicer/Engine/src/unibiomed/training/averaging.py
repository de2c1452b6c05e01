# SPDX-License-Identifier: Apache-2.0
"""The moving average of the weights that a run trains.

A few corrected cases make noisy steps; the average of the last ones is better than any of them, and what a look at the
held-out split says of it can be trusted more. Only the trained part is kept: torch's own ``AveragedModel`` copies all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_DECAY = 0.96  # about the last 25 steps


class AveragedWeights(nn.Module):
    """Averages of ``model``'s trained parameters, as buffers, so that checkpoints hold them."""

    def __init__(self, model: nn.Module, decay: float = _DECAY) -> None:
        """``model`` stays the caller's; what it trains is fixed now."""
        super().__init__()
        # In a list, so that it is no part of this module.
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._decay = decay
        for index, parameter in enumerate(self._trained):
            self.register_buffer(f"average_{index}", parameter.detach().clone())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number ``step`` (from 1 on); the first ones weigh more, the start less."""
        weight = 1.0 - min(self._decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.buffers(), self._trained, strict=True):
            average.lerp_(parameter.detach(), weight)

    @torch.no_grad()
    def put(self) -> None:
        """Put the averages into the model, for good."""
        for average, parameter in zip(self.buffers(), self._trained, strict=True):
            parameter.copy_(average)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within, the model has the averages; afterwards what it had before."""
        before = [parameter.detach().clone() for parameter in self._trained]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self._trained, before, strict=True):
                    parameter.copy_(value)
