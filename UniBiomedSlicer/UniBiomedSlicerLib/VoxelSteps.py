# SPDX-License-Identifier: Apache-2.0
"""Hashing and compressing a volume's voxels in steps of a few milliseconds; see ``SlicedWork``."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

HASH_STEP = 2 << 20
COMPRESS_STEP = 256 << 10
SAMPLE_BYTES = 256 << 10
LEVEL = 1


class VolumeEdited(ValueError):
    """The volume was changed, or went, while its voxels were being read."""


def bytesOf(array: np.ndarray) -> memoryview:
    """The voxels as bytes, without a copy; ``array`` is C-contiguous."""
    return memoryview(array.reshape(-1)).cast("B")


def hashSteps(array: np.ndarray, unchanged: Callable[[], bool]) -> Generator[float, None, str]:
    """Return the SHA-256 of the voxels; raises VolumeEdited. Yields the fraction done.

    ``array`` may share the memory of the scene's volume, so ``unchanged`` is asked before each step.
    """
    data = bytesOf(array)
    digest = hashlib.sha256(usedforsecurity=False)
    for start in range(0, len(data), HASH_STEP):
        _check(unchanged)
        digest.update(data[start : start + HASH_STEP])
        yield min(1.0, (start + HASH_STEP) / len(data))
    _check(unchanged)
    return digest.hexdigest()


def compressSteps(array: np.ndarray, unchanged: Callable[[], bool]) -> Generator[float, None, bytes]:
    """Return the voxels as one zlib stream; raises VolumeEdited. Yields the fraction done."""
    data = bytesOf(array)
    packer = zlib.compressobj(LEVEL)
    parts = []
    for start in range(0, len(data), COMPRESS_STEP):
        _check(unchanged)
        parts.append(packer.compress(data[start : start + COMPRESS_STEP]))
        yield min(1.0, (start + COMPRESS_STEP) / len(data))
    parts.append(packer.flush())
    return b"".join(parts)


def isWorthCompressing(array: np.ndarray) -> bool:
    """Whether a sample from the middle becomes a quarter smaller; takes a few milliseconds."""
    data = bytesOf(array)
    middle = len(data) // 2
    sample: Any = data[max(0, middle - SAMPLE_BYTES // 2) : middle + SAMPLE_BYTES // 2]
    return len(zlib.compress(sample, LEVEL)) < 0.75 * len(sample)


def _check(unchanged: Callable[[], bool]) -> None:
    if not unchanged():
        raise VolumeEdited
