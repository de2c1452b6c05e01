# SPDX-License-Identifier: Apache-2.0
"""Procedural images of ten modalities with exact truth and text; what UniBiomed-Mini is trained and tested on."""

from __future__ import annotations

from unibiomed.phantoms.base import Generator, Phantom, TargetSpec
from unibiomed.phantoms.registry import (
    EXTRA_GENERATORS,
    MODALITY_GENERATORS,
    all_targets,
    generate,
    generate_from,
)
from unibiomed.phantoms.volume import PhantomVolume, generate_volume

__all__ = [
    "EXTRA_GENERATORS",
    "MODALITY_GENERATORS",
    "Generator",
    "Phantom",
    "PhantomVolume",
    "TargetSpec",
    "all_targets",
    "generate",
    "generate_from",
    "generate_volume",
]
