# SPDX-License-Identifier: Apache-2.0
"""The held-out split during a run: its loss and Dice, the best weights kept, and when to stop.

The loop asks before every step whether to stop; every so many steps that is answered by looking, with the averaged
weights, at pictures that are not trained on. The questions about them are the same each time, so that the figures
differ by the weights alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset

from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.averaging import AveragedWeights
from unibiomed.training.batching import Collator
from unibiomed.training.objective import LossWeights, batch_loss
from unibiomed.training.state import load_state, save_state

BEST, HISTORY = "best", "held_out.jsonl"


@dataclass(frozen=True)
class Look:
    """The held-out pictures at one step: weighted ``loss``, soft ``dice`` of targets that are there (0..1)."""

    step: int
    loss: float
    dice: float


class HeldOut:
    """Looks every ``every`` steps and stops a run that has not become better for ``patience`` looks."""

    def __init__(
        self,
        model: UniBiomedModel,
        average: AveragedWeights,
        examples: Dataset,
        collator: Collator,
        folder: Path,
        *,
        start: int,
        every: int,
        patience: int,
        batch_size: int,
        seen: Callable[[Look], None] = lambda look: None,
    ) -> None:
        """``start``: the step at which the run begins or goes on; later looks of a run that was killed are dropped."""
        self.model, self.average, self.folder = model, average, folder
        self.examples, self.collator = examples, collator
        self.every, self.patience, self.batch_size, self.seen = every, patience, batch_size, seen
        self.looks = [look for look in read_looks(folder) if look.step <= start]
        self._step = start

    @property
    def best(self) -> Look | None:
        """The look with the least loss."""
        return min(self.looks, key=lambda look: look.loss, default=None)

    @property
    def exhausted(self) -> bool:
        """Whether the last ``patience`` looks brought nothing better."""
        best = self.best
        return best is not None and sum(look.step > best.step for look in self.looks) >= self.patience

    def before_step(self) -> bool:
        """Called once before each step: looks where it is time, and says whether to stop."""
        step, self._step = self._step, self._step + 1
        if step % self.every == 0:
            self.look(step)
        return self.exhausted

    def look(self, step: int) -> Look:
        """Evaluate the averaged weights at ``step``; the best so far are kept in ``folder/best``. Once a step."""
        for old in self.looks:
            if old.step == step:
                return old
        with self.average.used():
            look = self._evaluated(step)
            if self.best is None or look.loss < self.best.loss:
                save_state(self.folder / BEST, {"model": self.model}, [], asdict(look))
        self.looks.append(look)
        (self.folder / HISTORY).write_text(
            "".join(json.dumps(asdict(one)) + "\n" for one in self.looks), encoding="utf-8"
        )
        self.seen(look)
        return look

    def take_best(self) -> Look | None:
        """Put the best weights back into the model, in place."""
        if not (self.folder / BEST).is_dir():
            return None
        return Look(**load_state(self.folder / BEST, {"model": self.model}, []))

    @torch.no_grad()
    def _evaluated(self, step: int) -> Look:
        was_training = self.model.training
        self.model.eval()
        device = next(self.model.parameters()).device
        total, overlap, count = 0.0, 0.0, 0
        for first in range(0, len(self.examples), self.batch_size):
            numbers = range(first, min(first + self.batch_size, len(self.examples)))
            batch = self.collator([self.examples["picture", number] for number in numbers])
            loss, parts = batch_loss(self.model, batch.to(device), LossWeights())
            total += float(loss) * len(numbers)
            overlap += (1.0 - float(parts["dice"])) * len(numbers)
            count += len(numbers)
        self.model.train(was_training)
        return Look(step, round(total / count, 5), round(overlap / count, 5))


def read_looks(folder: Path) -> list[Look]:
    """The looks of a run so far, in order."""
    path = folder / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Look(**json.loads(line)) for line in lines]
