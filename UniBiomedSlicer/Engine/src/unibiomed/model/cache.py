# SPDX-License-Identifier: Apache-2.0
"""Keeps what the encoders made of a picture, under a byte budget, in memory and, if a folder is given, on disk."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
_GIB = 1 << 30


def content_key(image: Image.Image) -> str:
    """A key of the pixels of an RGB picture: equal pictures share it, whatever object holds them."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(image.size).encode())
    digest.update(np.asarray(image).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class CacheStatistics:
    """Counts since the cache was made, and the bytes held now."""

    hits: int
    misses: int
    spilled_hits: int
    bytes_in_memory: int
    bytes_on_disk: int


class FeatureCache:
    """Least recently used first: entries beyond ``budget`` bytes go to ``spill`` (if given) or are dropped.

    Safe to use from several threads. Tensors handed out are the cached ones: do not change them.
    """

    def __init__(self, budget: int = _GIB, *, spill: Path | str | None = None, disk_budget: int = 16 * _GIB) -> None:
        """``spill`` is a folder for a scratch folder of this cache, removed with it or by :meth:`close`."""
        self._budget, self._disk_budget = budget, disk_budget
        self._memory: OrderedDict[Hashable, Tensors] = OrderedDict()
        self._disk: OrderedDict[Hashable, Path] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._bytes = self._disk_bytes = 0
        self._hits = self._misses = self._spilled_hits = self._files = 0
        self._lock = threading.Lock()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if spill is not None:
            Path(spill).mkdir(parents=True, exist_ok=True)
            self._scratch = tempfile.TemporaryDirectory(dir=spill, prefix="features-")

    def get(self, key: Hashable) -> Tensors | None:
        """The entry, or None; an entry on disk is brought back into memory."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                self._hits += 1
                return self._memory[key]
            path = self._disk.pop(key, None)
            if path is None:
                self._misses += 1
                return None
            self._disk_bytes -= self._sizes.pop(key)
            entry = load_file(path)
            path.unlink()
            self._hits += 1
            self._spilled_hits += 1
            self._insert(key, entry)
            return entry

    def put(self, key: Hashable, tensors: Mapping[str, torch.Tensor]) -> None:
        """Store an entry in place of a former one of that key."""
        with self._lock:
            self._forget(key)
            self._insert(key, dict(tensors))

    def clear(self) -> None:
        """Drop every entry."""
        with self._lock:
            for key in [*self._memory, *self._disk]:
                self._forget(key)

    def close(self) -> None:
        """Drop every entry and remove the scratch folder; later entries stay in memory only."""
        self.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    @property
    def statistics(self) -> CacheStatistics:
        """How the cache did so far."""
        return CacheStatistics(self._hits, self._misses, self._spilled_hits, self._bytes, self._disk_bytes)

    def _insert(self, key: Hashable, entry: Tensors) -> None:
        size = sum(t.numel() * t.element_size() for t in entry.values())
        self._memory[key], self._sizes[key] = entry, size
        self._bytes += size
        while self._bytes > self._budget and self._memory:
            oldest, tensors = self._memory.popitem(last=False)
            self._bytes -= self._sizes[oldest]
            self._spill(oldest, tensors)

    def _spill(self, key: Hashable, tensors: Tensors) -> None:
        size = self._sizes[key]
        if self._scratch is None or size > self._disk_budget:
            del self._sizes[key]
            return
        while self._disk_bytes + size > self._disk_budget:
            self._forget(next(iter(self._disk)))
        self._files += 1
        path = Path(self._scratch.name) / f"{self._files}.safetensors"
        try:
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path)
        except OSError:
            # A full disk only costs the entry: it is computed again when it is asked for.
            path.unlink(missing_ok=True)
            del self._sizes[key]
            return
        self._disk[key] = path
        self._disk_bytes += size

    def _forget(self, key: Hashable) -> None:
        if key in self._memory:
            del self._memory[key]
            self._bytes -= self._sizes.pop(key)
        elif key in self._disk:
            self._disk.pop(key).unlink(missing_ok=True)
            self._disk_bytes -= self._sizes.pop(key)
