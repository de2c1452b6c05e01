# SPDX-License-Identifier: Apache-2.0
"""Slices streamed through the model: every prompt of a slice in one call, few slices in memory at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from unibiomed.errors import InputError
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import Run
from unibiomed.tasks.protocol import Model, PredictionLike

PATIENCE_S = 1.0
"""A call should not take longer than this, so that a stop is soon heeded; a single slice may."""
MOST_SLICES = 16


def read_slices(
    model: Model,
    frames: Frames,
    slices: Sequence[int],
    prompts: Sequence[str] | Callable[[int], Sequence[str]],
    run: Run,
    *,
    batch_size: int | None = None,
) -> Iterator[tuple[int, list[PredictionLike]]]:
    """Yield (slice, one prediction a prompt) in the order of ``slices``; the prompts of a slice share its encoding.

    ``prompts`` are the same on every slice, or a function of the slice.
    ``batch_size`` is the number of slices a call; None starts with one and grows while calls stay under a second.
    A stop is heeded before every slice's picture is made and after every call.
    """
    if batch_size is not None and batch_size < 1:
        raise InputError(f"The batch size must be at least 1 slice, not {batch_size}.")
    size, at = batch_size or 1, 0
    while at < len(slices):
        chunk = slices[at : at + size]
        images = []
        for index in chunk:
            run.check()
            images.append(frames.picture(index))
        asked = [prompts(index) if callable(prompts) else prompts for index in chunk]
        pairs = [(image, text) for image, texts in zip(images, asked, strict=True) for text in texts]
        started = time.monotonic()
        predictions = iter(model.predict_batch([image for image, _ in pairs], [text for _, text in pairs]))
        seconds = time.monotonic() - started
        run.check()
        for index, texts in zip(chunk, asked, strict=True):
            yield index, [next(predictions) for _ in texts]
        at += len(chunk)
        if batch_size is None:
            size = min(MOST_SLICES, 2 * size) if 2 * seconds <= PATIENCE_S else max(1, size // 2)
