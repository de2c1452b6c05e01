# SPDX-License-Identifier: Apache-2.0
"""Figures of a run for TensorBoard, where it is installed (``pip install "unibiomed[tensorboard]"``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

Write = Callable[[int, Mapping[str, float]], None]


@contextmanager
def event_writer(folder: Path) -> Iterator[Write]:
    """Gives a function that takes a step and its figures; it writes to ``folder/tensorboard``, or nowhere."""
    if find_spec("tensorboard") is None:
        yield lambda step, figures: None
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)

    try:
        yield write
    finally:
        writer.close()
