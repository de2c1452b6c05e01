# SPDX-License-Identifier: Apache-2.0
"""Arrays that are read slice by slice, for volumes larger than the memory they may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

EAGER_BYTES = 2**30
"""Volumes up to this size are read whole; larger ones lazily where their format allows it."""


def wants_lazy(lazy: bool | None, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether to read slice by slice: as asked, or by the size of the voxels in memory."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > EAGER_BYTES if lazy is None else lazy


@dataclass(frozen=True, eq=False)
class LazySlices:
    """A ``[k, j, i(, 3)]`` array of which each slice k is read when it is asked for and then forgotten.

    ``read(k)`` returns slice k of ``shape[1:]``. Understands what a numpy array does for ``array[k]``, a slice of k,
    and tuples that begin with either; anything else raises IndexError. ``numpy.asarray`` reads it whole.
    """

    read: Callable[[int], np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        """Number of slices."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read one slice, or a run of slices one by one, keeping only what is asked of each."""
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(first, slice):
            parts = [np.array(self._slice(k)[rest]) for k in range(*first.indices(len(self)))]
            return np.stack(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)
        if not isinstance(first, (int, np.integer)):
            raise IndexError("a lazy volume is indexed by a slice number or a range of slices first")
        return self._slice(int(first))[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read everything."""
        whole = np.empty(self.shape, self.dtype)
        for k in range(len(self)):
            whole[k] = self._slice(k)
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _slice(self, k: int) -> np.ndarray:
        if not -len(self) <= k < len(self):
            raise IndexError(f"slice {k} of {len(self)}")
        return self.read(k % len(self)).astype(self.dtype, copy=False)
