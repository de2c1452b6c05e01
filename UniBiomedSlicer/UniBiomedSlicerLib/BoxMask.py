# SPDX-License-Identifier: Apache-2.0
"""The wire form of a mask: the bits of its bounding box and where the box starts, both in the volume's [k, j, i].

Same form as ``unibiomed.volumes.masks.BoxMask``: bits in C order, eight a byte (first voxel = high bit), zlib, base64.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_BOX_VOXELS = 2**33
"""Largest box accepted (1 GiB of bits), so that a damaged document cannot fill the memory."""

STEP_VOXELS = 2**21
"""Voxels handled at once where work is done in steps: a few milliseconds."""

Offset = tuple[int, int, int]
Box = tuple[Offset, np.ndarray]
"""(k, j, i) of its first voxel, and the bool box."""


class MaskError(ValueError):
    """A document that is not a mask; the text is one sentence."""


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask as it travels, decompressed: (k, j, i) offset and shape of its box, and its bits, eight a byte."""

    offset: Offset
    shape: tuple[int, int, int]
    bits: bytes

    @property
    def count(self) -> int:
        """Voxels of the box."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def unpack(self) -> np.ndarray:
        """Return the bool box."""
        bits = np.frombuffer(self.bits, dtype=np.uint8)
        return np.unpackbits(bits, count=self.count).view(bool).reshape(self.shape)

    def unpackSteps(self, out: np.ndarray) -> Iterator[None]:
        """Fill ``out``, a C-contiguous bool box of this shape, a few milliseconds at a time."""
        flat, bits = out.reshape(-1).view(np.uint8), np.frombuffer(self.bits, dtype=np.uint8)
        for start in range(0, self.count, STEP_VOXELS):
            end = min(start + STEP_VOXELS, self.count)
            flat[start:end] = np.unpackbits(bits[start // 8 : (end + 7) // 8], count=end - start)
            yield


def unpackDocument(document: Mapping[str, Any]) -> PackedMask:
    """Return the checked contents of ``{"offset", "shape", "bits"}``; raises MaskError."""
    try:
        offset = tuple(int(value) for value in document["offset"])
        shape = tuple(int(value) for value in document["shape"])
        if len(offset) != 3 or len(shape) != 3 or min(*offset, *shape) < 0:
            raise ValueError("offset and shape are not three sizes each")
        count = shape[0] * shape[1] * shape[2]
        if count > MAX_BOX_VOXELS:
            raise ValueError(f"the box of {count} voxels is too large")
        expected = (count + 7) // 8
        packed = zlib.decompressobj().decompress(base64.b64decode(document["bits"], validate=True), expected + 1)
        if len(packed) != expected:
            raise ValueError(f"{expected} bytes of bits expected for shape {shape}")
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise MaskError(f"This is not a mask in the form offset, shape, bits: {error}.") from error
    return PackedMask(offset, shape, packed)


def decode(document: Mapping[str, Any]) -> tuple[Offset, np.ndarray]:
    """Return the (k, j, i) offset and the bool box of ``{"offset", "shape", "bits"}``; raises MaskError."""
    packed = unpackDocument(document)
    return packed.offset, packed.unpack()


def encode(offset: Sequence[int], array: np.ndarray) -> dict[str, Any]:
    """Inverse of :func:`decode`; ``array`` is a box [k, j, i], non-zero = inside."""
    box = np.asarray(array)
    if box.ndim != 3 or len(offset) != 3 or min(offset) < 0:
        raise MaskError(f"A mask box needs three axes and an offset [k, j, i], not shape {box.shape} at {offset}.")
    packed = np.packbits(box.astype(bool, copy=False), axis=None)
    bits = base64.b64encode(zlib.compress(packed.tobytes(), 6)).decode("ascii")
    return {"offset": [int(value) for value in offset], "shape": list(box.shape), "bits": bits}


def isTight(box: np.ndarray) -> bool:
    """Return whether every face of the box holds a voxel, so that there is no smaller box; looks at the faces only."""
    return box.size > 0 and all(bool(np.take(box, end, axis=axis).any()) for axis in range(3) for end in (0, -1))


def tighten(offset: Sequence[int], box: np.ndarray) -> tuple[Offset, np.ndarray]:
    """Return the same voxels in their smallest box, a view; (0, 0, 0) and no voxels where none is inside."""
    if isTight(box):
        return tuple(int(value) for value in offset), box
    # Along the memory first, then the shadow of what is left: two passes over the box instead of three.
    first = _range(box.any(axis=(1, 2)))
    shadow = box[first].any(axis=0)
    parts = (first, _range(shadow.any(axis=1)), _range(shadow.any(axis=0)))
    if any(part.start == part.stop for part in parts):
        return (0, 0, 0), np.zeros((0, 0, 0), dtype=bool)
    return tuple(int(base) + part.start for base, part in zip(offset, parts, strict=True)), box[parts]


def _range(used: np.ndarray) -> slice:
    """From the first to the last True."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def fits(offset: Sequence[int], boxShape: Sequence[int], shape: Sequence[int]) -> bool:
    """Return whether a box lies inside a volume of ``shape`` (k, j, i); a box without voxels fits anywhere."""
    if min(boxShape) == 0:
        return True
    return all(start + size <= whole for start, size, whole in zip(offset, boxShape, shape, strict=True))


def slabs(shape: Sequence[int]) -> Iterator[slice]:
    """Yield slices along k that cut a box of ``shape`` into slabs of about ``STEP_VOXELS``."""
    thickness = max(1, STEP_VOXELS // max(1, int(shape[1]) * int(shape[2])))
    for start in range(0, int(shape[0]), thickness):
        yield slice(start, min(start + thickness, int(shape[0])))


def window(offset: Sequence[int], shape: Sequence[int], origin: Sequence[int] = (0, 0, 0)) -> tuple[slice, ...]:
    """Return the slices of a box in an array that starts at ``origin``."""
    starts = [int(value) - int(base) for value, base in zip(offset, origin, strict=True)]
    return tuple(slice(start, start + int(size)) for start, size in zip(starts, shape, strict=True))


def union(boxes: Iterable[Box]) -> Box:
    """Return the voxels of all ``boxes`` in their common box; one alone is returned as it is."""
    used = [(offset, box) for offset, box in boxes if box.size]
    if len(used) == 1:
        return used[0]
    if not used:
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    low = np.min([offset for offset, _box in used], axis=0)
    high = np.max([np.add(offset, box.shape) for offset, box in used], axis=0)
    whole = np.zeros(high - low, bool)
    for offset, box in used:
        whole[window(offset, box.shape, low)] |= box
    return tuple(int(value) for value in low), whole
