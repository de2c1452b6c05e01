# SPDX-License-Identifier: Apache-2.0
"""A binary mask kept as its bounding box and offset: small in memory and on the wire, exact on the way back."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unibiomed.errors import InputError

MAX_BOX_VOXELS = 2**33
"""Largest box accepted from JSON (1 GiB of bits), so that a hostile document cannot fill the memory."""


@dataclass(frozen=True, eq=False)
class BoxMask:
    """Voxels of one object in a volume indexed ``[k, j, i]``.

    ``offset`` is the ``(k, j, i)`` index of the box's first voxel, ``array`` the bool box ``(dk, dj, di)``. An empty
    mask has a box of no voxels. Two masks are equal when they hold the same voxels, whatever their boxes.
    """

    offset: tuple[int, int, int]
    array: np.ndarray

    def __post_init__(self) -> None:
        box = np.asarray(self.array)
        offset = tuple(int(value) for value in self.offset)
        if box.ndim != 3 or len(offset) != 3 or min(offset) < 0:
            raise InputError(
                f"A mask box needs three axes and a non-negative [k, j, i] offset, got shape {box.shape} at {offset}."
            )
        box = box.astype(bool, copy=False).view()
        box.flags.writeable = False
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "array", box)

    @classmethod
    def empty(cls) -> BoxMask:
        """The mask without voxels."""
        return cls((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))

    @classmethod
    def from_full(cls, full: np.ndarray, offset: tuple[int, int, int] = (0, 0, 0)) -> BoxMask:
        """Crop ``full`` ``(k, j, i)``, non-zero = inside, to its tightest box; ``offset`` is where ``full`` starts."""
        inside = np.asarray(full)
        if inside.ndim != 3:
            raise InputError(f"A mask needs three axes [k, j, i], got shape {inside.shape}.")
        inside = inside.astype(bool, copy=False)
        window = []
        for axis in range(3):
            other = tuple(a for a in range(3) if a != axis)
            used = np.flatnonzero(inside.any(axis=other))
            if used.size == 0:
                return cls.empty()
            window.append(slice(int(used[0]), int(used[-1]) + 1))
        start = tuple(int(base) + part.start for base, part in zip(offset, window, strict=True))
        return cls(start, inside[tuple(window)].copy())

    @classmethod
    def from_planes(cls, planes: Mapping[int, np.ndarray]) -> BoxMask:
        """Join bool planes ``(j, i)`` of equal shape, given by their slice index ``k``; memory is that of the box."""
        parts = [cls.from_full(np.asarray(plane)[None], (int(k), 0, 0)) for k, plane in planes.items()]
        return cls.union_of(parts)

    @classmethod
    def union_of(cls, parts: Sequence[BoxMask]) -> BoxMask:
        """All voxels that are in any of ``parts``."""
        low, shape = cls.box_around(parts)
        joined = np.zeros(shape, dtype=bool)
        for part in parts:
            if part.array.size:
                joined[_window(part, low)] |= part.array
        return cls.from_full(joined, low)

    @staticmethod
    def box_around(parts: Sequence[BoxMask]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Offset and shape ``(k, j, i)`` of the box around the boxes of ``parts``; zeros where they hold none."""
        boxes = [part for part in parts if part.array.size]
        if not boxes:
            return (0, 0, 0), (0, 0, 0)
        low = np.min([part.offset for part in boxes], axis=0)
        high = np.max([np.add(part.offset, part.array.shape) for part in boxes], axis=0)
        return tuple(int(value) for value in low), tuple(int(value) for value in high - low)

    def to_full(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The mask as a bool array ``(k, j, i)``; InputError where the box does not fit in ``shape``."""
        self.check_fits(shape)
        full = np.zeros(shape, dtype=bool)
        full[_window(self)] = self.array
        return full

    def check_fits(self, shape: tuple[int, ...]) -> None:
        """InputError unless the box lies inside a volume of ``shape`` ``(k, j, i)``."""
        end = tuple(start + size for start, size in zip(self.offset, self.array.shape, strict=True))
        if len(shape) != 3 or (self.array.size and any(e > s for e, s in zip(end, shape, strict=True))):
            raise InputError(
                f"A mask box of {self.array.shape} voxels at {self.offset} [k, j, i] does not fit in a volume of "
                f"{tuple(shape)}; it belongs to another volume."
            )

    @property
    def is_empty(self) -> bool:
        """Whether no voxel is inside."""
        return not self.array.any()

    @property
    def voxel_count(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.array))

    @property
    def bounds(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
        """First and last index inside along k, j and i (both included); None when empty."""
        tight = self.tight()
        if tight.array.size == 0:
            return None
        return tuple((start, start + size - 1) for start, size in zip(tight.offset, tight.array.shape, strict=True))

    @property
    def slices(self) -> tuple[int, ...]:
        """The slice indices ``k`` that hold voxels, ascending."""
        return tuple(int(k) + self.offset[0] for k in np.flatnonzero(self.array.any(axis=(1, 2))))

    def plane(self, k: int, shape: tuple[int, int]) -> np.ndarray:
        """Slice ``k`` of the mask as a bool plane of ``shape`` ``(j, i)``."""
        plane = np.zeros(shape, dtype=bool)
        row = k - self.offset[0]
        if 0 <= row < self.array.shape[0]:
            self.check_fits((k + self.array.shape[0] + 1, *shape))
            plane[_window(self)[1:]] = self.array[row]
        return plane

    def tight(self) -> BoxMask:
        """The same voxels in their smallest box."""
        return BoxMask.from_full(self.array, self.offset)

    def volume_ml(self, ijk_to_ras: np.ndarray) -> float:
        """Volume in millilitres, for the 4x4 ``ijk_to_ras`` in mm."""
        voxel_mm3 = abs(float(np.linalg.det(np.asarray(ijk_to_ras, dtype=float)[:3, :3])))
        return self.voxel_count * voxel_mm3 / 1000.0

    def union(self, other: BoxMask) -> BoxMask:
        """The voxels of either mask."""
        return BoxMask.union_of([self, other])

    def intersection(self, other: BoxMask) -> BoxMask:
        """The voxels of both masks."""
        low = np.maximum(self.offset, other.offset)
        high = np.minimum(np.add(self.offset, self.array.shape), np.add(other.offset, other.array.shape))
        if np.any(high <= low):
            return BoxMask.empty()
        parts = []
        for mask in (self, other):
            start, stop = low - mask.offset, high - mask.offset
            parts.append(mask.array[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))])
        return BoxMask.from_full(parts[0] & parts[1], tuple(int(value) for value in low))

    def overlaps(self, other: BoxMask) -> bool:
        """Whether the masks share a voxel."""
        return not self.intersection(other).is_empty

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoxMask):
            return NotImplemented
        mine, theirs = self.tight(), other.tight()
        return mine.offset == theirs.offset and np.array_equal(mine.array, theirs.array)

    __hash__ = None

    def to_json(self) -> dict[str, Any]:
        """``{"offset", "shape", "bits"}``: the box's bits in C order, packed eight a byte (first voxel = high bit),
        zlib-compressed, base64."""
        packed = np.packbits(self.array, axis=None)
        bits = base64.b64encode(zlib.compress(packed.tobytes(), 6)).decode("ascii")
        return {"offset": list(self.offset), "shape": list(self.array.shape), "bits": bits}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BoxMask:
        """Inverse of ``to_json``; InputError when the document is not such a mask."""
        try:
            offset = tuple(int(value) for value in data["offset"])
            shape = tuple(int(value) for value in data["shape"])
            if len(shape) != 3 or min(shape) < 0:
                raise ValueError("the shape is not three sizes")
            count = int(np.prod(shape, dtype=object))
            if count > MAX_BOX_VOXELS:
                raise ValueError(f"the box of {count} voxels is too large")
            expected = (count + 7) // 8
            packed = zlib.decompressobj().decompress(base64.b64decode(data["bits"], validate=True), expected + 1)
            if len(packed) != expected:
                raise ValueError(f"{expected} bytes of bits expected for shape {shape}")
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise InputError(f"This is not a mask in the form offset, shape, bits: {error}.") from error
        box = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=count).astype(bool).reshape(shape)
        return cls(offset, box)


def _window(mask: BoxMask, origin: np.ndarray | tuple[int, int, int] = (0, 0, 0)) -> tuple[slice, slice, slice]:
    """Where ``mask``'s box lies in an array that starts at ``origin``."""
    starts = [int(o) - int(base) for o, base in zip(mask.offset, origin, strict=True)]
    return tuple(slice(start, start + size) for start, size in zip(starts, mask.array.shape, strict=True))
