# SPDX-License-Identifier: Apache-2.0
"""Memory: how much there is, whether an error means that there was too little, and giving it back."""

from __future__ import annotations

import gc
import sys
from typing import Any

import psutil

# What the libraries below say where they raise a plain RuntimeError.
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that the device or the machine ran out of memory."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def give_back() -> None:
    """Return to the system and the device what nothing refers to any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def machine_memory() -> dict[str, int]:
    """Bytes of this process (``rss``), of the machine (``total``), and free for programs (``available``)."""
    machine = psutil.virtual_memory()
    return {
        "rss": psutil.Process().memory_info().rss,
        "total": machine.total,
        "available": machine.available,
    }


def device_state(model: Any | None) -> dict[str, Any]:
    """``kind`` (cpu, cuda, mps, or null before a model is loaded), ``name``, ``reason``, memory in bytes or null."""
    if model is None:
        reason = "No model is loaded; the device is chosen when one is."
        return {"kind": None, "name": None, "reason": reason, "memory_total": None, "memory_free": None}
    device = str(model.device)
    kind, free, total, name = device.split(":")[0], None, None, device
    torch = sys.modules.get("torch")
    if kind == "cuda" and torch is not None:
        free, total = torch.cuda.mem_get_info(model.device)
        name = torch.cuda.get_device_name(model.device)
    elif kind == "cpu":
        machine = psutil.virtual_memory()
        free, total = machine.available, machine.total
    reason = str(getattr(model, "device_reason", ""))
    return {"kind": kind, "name": name, "reason": reason, "memory_total": total, "memory_free": free}
