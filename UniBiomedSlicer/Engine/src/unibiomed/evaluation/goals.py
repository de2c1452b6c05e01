# SPDX-License-Identifier: Apache-2.0
"""Every figure of the table in its order, with what the bundled model is to reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """``least`` or ``most`` is the value to reach; neither: the figure is for information."""

    figure: str
    task: str
    least: float | None = None
    most: float | None = None

    def reached(self, value: float) -> bool | None:
        """Whether ``value`` reaches it; None where there is nothing to reach."""
        if self.least is not None:
            return value >= self.least
        return value <= self.most if self.most is not None else None

    @property
    def words(self) -> str:
        """``>= 0.85``, ``<= 0.05`` or nothing."""
        if self.least is not None:
            return f">= {self.least:.2f}"
        return f"<= {self.most:.2f}" if self.most is not None else ""


GOALS: tuple[Goal, ...] = (
    Goal("anatomy Dice", "segment", least=0.85),
    Goal("abnormality Dice", "segment", least=0.70),
    Goal("anatomy Dice, gate ignored", "segment"),
    Goal("abnormality Dice, gate ignored", "segment"),
    Goal("missed by the gate", "segment"),
    Goal("false positives", "segment", most=0.05),
    Goal("false positives, targets of the modality", "segment"),
    Goal("false positives, targets foreign", "segment"),
    Goal("recognition accuracy, healthy", "recognise", least=0.90),
    Goal("recognition accuracy, abnormal", "recognise", least=0.90),
    Goal("report phrase F1", "report", least=0.85),
    Goal("report phrase F1, with findings", "report"),
    Goal("report ROUGE-L", "report"),
    Goal("report BLEU", "report"),
    Goal("VQA accuracy", "vqa", least=0.90),
    Goal("VQA accuracy, something there", "vqa"),
    Goal("VQA accuracy, nothing there", "vqa"),
    Goal("region exact match", "region", least=0.90),
    Goal("description, modality and site", "describe"),
    Goal("description, anatomy F1", "describe"),
)
