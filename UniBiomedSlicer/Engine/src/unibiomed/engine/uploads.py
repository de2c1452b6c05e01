# SPDX-License-Identifier: Apache-2.0
"""Voxels as they arrive: decoded, hashed, and never more of them than was declared."""

from __future__ import annotations

import hashlib
import zlib
from typing import Literal

import numpy as np

from unibiomed.engine.refusal import Refused

Encoding = Literal["raw", "zlib"]
ENCODINGS: tuple[str, ...] = ("raw", "zlib")


class Upload:
    """The body of one volume: ``encoded`` bytes on the wire that decode to ``size`` bytes with the hash ``sha256``.

    ``received`` counts the encoded bytes taken so far: a client that lost its connection goes on from there. The
    memory is that of the declared size and is not touched before it is filled. One writer at a time.
    """

    def __init__(self, size: int, encoded: int, encoding: Encoding, sha256: str) -> None:
        self.received = 0
        self.voxels = np.empty(size, dtype=np.uint8)
        self._view = memoryview(self.voxels)
        self._filled = 0
        self._encoded = encoded
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._inflate = zlib.decompressobj() if encoding == "zlib" else None

    @property
    def whole(self) -> bool:
        """Whether all encoded bytes have arrived."""
        return self.received == self._encoded

    def write(self, chunk: bytes) -> None:
        """Take the next encoded bytes. Refused: more than declared on the wire or decoded, or not zlib."""
        if not chunk:
            return
        if self.received + len(chunk) > self._encoded:
            raise Refused("size_mismatch", f"More than the {self._encoded} bytes that were declared have arrived.")
        self.received += len(chunk)
        if self._inflate is None:
            self._put(chunk)
            return
        if self._inflate.eof:
            raise Refused("bad_encoding", "The zlib data ended before its declared size.")
        try:
            # One byte beyond what fits is enough to know that the declared size was wrong.
            self._put(self._inflate.decompress(chunk, len(self._view) - self._filled + 1))
        except zlib.error as error:
            raise Refused("bad_encoding", f"The voxels cannot be decompressed with zlib: {error}.") from error

    def finish(self) -> None:
        """Refused unless exactly what was declared has arrived."""
        if self._inflate is not None and not (self._inflate.eof and not self._inflate.unused_data):
            raise Refused("bad_encoding", "The zlib data does not end where its declared size says.")
        if self._filled != len(self._view):
            raise Refused("size_mismatch", f"{self._filled} bytes of voxels arrived, {len(self._view)} were declared.")
        if self._hash.hexdigest() != self._sha256:
            raise Refused("hash_mismatch", "The voxels that arrived do not have the SHA-256 that was declared.")

    def _put(self, data: bytes) -> None:
        end = self._filled + len(data)
        if end > len(self._view):
            raise Refused("size_mismatch", f"The data holds more than the {len(self._view)} bytes that were declared.")
        self._view[self._filled : end] = data
        self._hash.update(data)
        self._filled = end
