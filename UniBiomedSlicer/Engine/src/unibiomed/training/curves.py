# SPDX-License-Identifier: Apache-2.0
"""The plots of a fine-tuning: loss in training and on the held-out split, and the held-out Dice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from unibiomed.training.held_out import Look

PICTURE = "curves.png"


def plot_curves(folder: Path, looks: Sequence[Look]) -> Path | None:
    """Draw ``folder/log.jsonl`` and ``looks`` to ``folder/curves.png``; None while nothing was logged."""
    from matplotlib.figure import Figure

    log = folder / "log.jsonl"
    if not log.is_file():
        return None
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([r["step"] for r in records], [r["loss"] for r in records], color="tab:blue", label="training")
    if looks:
        steps = [look.step for look in looks]
        best = min(looks, key=lambda look: look.loss)
        left.plot(steps, [look.loss for look in looks], "o-", color="tab:orange", label="held out")
        right.plot(steps, [look.dice for look in looks], "o-", color="tab:orange")
        for axis in (left, right):
            axis.axvline(best.step, color="0.7", linestyle=":")
    left.legend()
    left.set(title="loss", xlabel="step", yscale="log")
    right.set(title="soft Dice, held out (dotted: the step that is kept)", xlabel="step", ylim=(0, 1))
    figure.savefig(folder / PICTURE, dpi=110)
    return folder / PICTURE
