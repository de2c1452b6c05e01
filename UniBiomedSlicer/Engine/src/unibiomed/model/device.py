# SPDX-License-Identifier: Apache-2.0
"""Where a model runs and in which precision, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unibiomed.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BFLOAT16_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class DeviceChoice:
    """A device, a dtype, and one sentence that says why."""

    device: torch.device
    dtype: torch.dtype
    reason: str


def choose_device(device: str = "auto", dtype: str = "auto") -> DeviceChoice:
    """Pick CUDA, then Apple's mps, then the CPU, and the precision that is right there.

    Raises InputError for a device that this machine lacks or a dtype that is not one of :data:`DTYPES`.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise InputError(f"The dtype {dtype!r} is unknown; choose auto, {', '.join(DTYPES)}.")
    place, why_place = _place(device)
    natural, why_dtype = _precision(place)
    if dtype != "auto":
        natural, why_dtype = DTYPES[dtype], "as asked for"
    name = str(natural).removeprefix("torch.")
    return DeviceChoice(place, natural, f"{place} ({why_place}) in {name} ({why_dtype})")


def _place(device: str) -> tuple[torch.device, str]:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device()), "an NVIDIA or AMD GPU is present"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "an Apple GPU is present"
        return torch.device("cpu"), "no GPU that PyTorch can use was found"
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"The device {device!r} is unknown; choose auto, cpu, cuda, cuda:1 or mps.") from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (place.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(place.type, False):
        raise InputError(f"The device {device!r} is not on this machine or PyTorch was installed without it.")
    return place, "as asked for"


def _precision(place: torch.device) -> tuple[torch.dtype, str]:
    if place.type == "cuda":
        capability = torch.cuda.get_device_capability(place)
        if capability >= _BFLOAT16_CAPABILITY:
            return torch.bfloat16, f"compute capability {capability[0]}.{capability[1]} has fast bfloat16"
        return torch.float16, f"compute capability {capability[0]}.{capability[1]} has no fast bfloat16"
    if place.type == "mps":
        return torch.float32, "half precision is not verified on Apple GPUs"
    return torch.float32, "half precision is slower than float32 on CPUs"
