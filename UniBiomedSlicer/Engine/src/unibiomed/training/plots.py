# SPDX-License-Identifier: Apache-2.0
"""The loss plot of a run, or of several: ``python -m unibiomed.training.plots PICTURE RUN...``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

_NO_LOSS = ("step", "seconds", "grad_norm")


def plot_losses(logs: Sequence[Path], picture: Path, smoothing: int = 10) -> None:
    """Draw every part of the loss in ``logs`` (JSON lines with ``step``) over the steps, to the PNG ``picture``.

    Of several logs, each panel is named after the folder of its log.
    """
    from matplotlib.figure import Figure

    panels: list[tuple[str, list[int], list[float]]] = []
    for log in logs:
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        # Steps of different kinds log different parts.
        seen = dict.fromkeys(name for record in records for name in record if name not in _NO_LOSS)
        for name in seen:
            rows = [(r["step"], r[name]) for r in records if name in r]
            title = name.replace("_", " ") if len(logs) == 1 else f"{log.parent.name}: {name.replace('_', ' ')}"
            panels.append((title, [step for step, _ in rows], [value for _, value in rows]))
    columns = 3 if len(panels) <= 15 else 4
    lines = (len(panels) + columns - 1) // columns
    figure = Figure(figsize=(4 * columns, 2.6 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (title, steps, values) in zip(axes, panels, strict=False):
        recent = [values[max(0, i - smoothing) : i + 1] for i in range(len(values))]
        axis.plot(steps, values, color="0.8", linewidth=0.8)
        axis.plot(steps, [sum(some) / len(some) for some in recent], color="tab:blue", linewidth=1.5)
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.set_yscale("log")
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    plot_losses([Path(run) / "log.jsonl" for run in sys.argv[2:]], Path(sys.argv[1]))
