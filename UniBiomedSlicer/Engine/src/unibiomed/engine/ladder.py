# SPDX-License-Identifier: Apache-2.0
"""What is done when the memory is not enough: everything spare is given back, then slice by slice, then the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unibiomed.engine.memory import give_back, is_out_of_memory
from unibiomed.engine.models import ModelChoice, ModelKeeper
from unibiomed.engine.refusal import Refused

Attempt = Callable[[Any, int | None], Any]
"""Runs a task with a model and a batch size (None: the task's own choice)."""
Notice = Callable[[str, str], None]

SMALLER_BATCH = "The memory of {device} was not enough; going on with one slice at a time."
ON_CPU = "The memory of {device} was not enough even for one slice at a time; going on on the CPU, which takes longer."
LOADED_ON_CPU = "The memory of the device was not enough for the model; it is loaded on the CPU, which takes longer."
NOTHING_LEFT = (
    "The memory is not enough for this job, even for one slice at a time on the CPU; close other programs, or use a "
    "smaller model or image."
)


def climb(keeper: ModelKeeper, attempt: Attempt, batch_size: int | None, notice: Notice) -> Any:
    """The first result of ``attempt`` that fits into memory; Refused (out_of_memory) where none does.

    ``notice(code, sentence)`` is called before each further try. Masks told by a try that failed are told again.
    """
    device = str(keeper.model.device)
    result, fits = _try(attempt, keeper.model, batch_size)
    if fits:
        return result
    keeper.forget_pictures()
    give_back()
    notice("out_of_memory_smaller_batch", SMALLER_BATCH.format(device=device))
    result, fits = _try(attempt, keeper.model, 1)
    if fits:
        return result
    keeper.forget_pictures()
    give_back()
    if device.split(":")[0] != "cpu":
        notice("out_of_memory_cpu", ON_CPU.format(device=device))
        result, fits = _try(lambda _, size: attempt(keeper.on_cpu(), size), None, 1)
        give_back()
        if fits:
            return result
    raise Refused("out_of_memory", NOTHING_LEFT)


def load_where_it_fits(keeper: ModelKeeper, choice: ModelChoice, notice: Notice) -> None:
    """Load a model, on the CPU where the device that was chosen for it is too small; a device asked for is kept to."""
    if choice.device != "auto":
        keeper.load(choice)
        return
    _, fits = _try(lambda _, size: keeper.load(choice), None, None)
    if not fits:
        give_back()
        notice("out_of_memory_cpu", LOADED_ON_CPU)
        keeper.load(replace(choice, device="cpu"))


def _try(attempt: Attempt, model: Any, batch_size: int | None) -> tuple[Any, bool]:
    # Left before anything else is tried: an exception at hand keeps the frames, and so the tensors, of where it arose.
    try:
        return attempt(model, batch_size), True
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None, False
