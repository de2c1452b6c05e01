# SPDX-License-Identifier: Apache-2.0
"""The loss plot of a run."""

from __future__ import annotations

import json
from pathlib import Path


def plot_losses(log: Path, picture: Path, smoothing: int = 10) -> None:
    """Draw every part of the loss in ``log`` (JSON lines with ``step``) over the steps, to the PNG ``picture``."""
    from matplotlib.figure import Figure

    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    # Steps of different kinds log different parts.
    seen = dict.fromkeys(name for record in records for name in record)
    names = [name for name in seen if name not in ("step", "seconds", "grad_norm")]
    figure = Figure(figsize=(12, 2.6 * ((len(names) + 2) // 3)), layout="constrained")
    axes = figure.subplots((len(names) + 2) // 3, 3, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        rows = [(r["step"], r[name]) for r in records if name in r]
        steps, values = zip(*rows, strict=True)
        smooth = [
            sum(values[max(0, i - smoothing) : i + 1]) / len(values[max(0, i - smoothing) : i + 1])
            for i in range(len(values))
        ]
        axis.plot(steps, values, color="0.8", linewidth=0.8)
        axis.plot(steps, smooth, color="tab:blue", linewidth=1.5)
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("step")
        axis.set_yscale("log")
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    figure.savefig(picture, dpi=110)
