# SPDX-License-Identifier: Apache-2.0
"""The MNI152 T1 template that nilearn ships (ICBM 2009a, symmetric), ready to be cut along any plane.

Only training needs it, so nilearn is imported inside. Coordinates are the template's: mm, x to the right, y to the
front, z up.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unibiomed.phantoms.shapes import Field

CHANNELS = ("t1", "brain", "grey", "white")
HULL_STEP = 4.0  # mm
HULL_LOW = np.array([-120.0, -160.0, -150.0])
HULL_SHAPE = (61, 76, 66)


@dataclasses.dataclass(frozen=True, eq=False)
class Atlas:
    """``voxels``: uint32 (x, y, z), the four ``CHANNELS`` as bytes; ``origin``: mm of voxel 0 (1 mm voxels).

    ``hull``: signed distance in mm (negative inside) from a smooth hull around the brain, on a coarse grid.
    """

    voxels: npt.NDArray[np.uint32]
    origin: npt.NDArray[np.float64]
    hull: Field

    def cut(self, points: Field) -> npt.NDArray[np.float32]:
        """Trilinear values of the channels, 0..1, at ``points`` (3, n) mm: (n, 4); 0 outside the template."""
        place = points - self.origin.astype(np.float32)[:, None]
        base = np.floor(place).astype(np.int32)
        shape = np.array(self.voxels.shape, dtype=np.int32)
        inside = np.flatnonzero(((base >= 0) & (base < shape[:, None] - 1)).all(axis=0))
        base, place = base[:, inside], place[:, inside]
        part = place - base
        sides = [(np.float32(1.0) - part[axis], part[axis]) for axis in range(3)]
        flat = self.voxels.reshape(-1)
        strides = (int(shape[1] * shape[2]), int(shape[2]), 1)
        index = base[0] * strides[0] + base[1] * strides[1] + base[2]
        total = np.zeros((len(index), 4), dtype=np.float32)
        for corner in range(8):
            bits = (corner >> 2 & 1, corner >> 1 & 1, corner & 1)
            weight = sides[0][bits[0]] * sides[1][bits[1]] * sides[2][bits[2]]
            step = sum(b * s for b, s in zip(bits, strides, strict=True))
            total += weight[:, None] * flat[index + step].view(np.uint8).reshape(-1, 4)
        values = np.zeros((points.shape[1], 4), dtype=np.float32)
        values[inside] = total / np.float32(255)
        return values

    def hull_distance(self, points: npt.NDArray[np.float32]) -> Field:
        """Distance in mm from the hull at ``points`` (3, ...)."""
        low = HULL_LOW.astype(np.float32).reshape(3, *[1] * (points.ndim - 1))
        return ndimage.map_coordinates(self.hull, (points - low) / np.float32(HULL_STEP), order=1, mode="nearest")


@functools.lru_cache(maxsize=4)
def load_atlas(thick_axis: int | None = None, thickness: int = 1) -> Atlas:
    """The atlas; with ``thick_axis`` (0 x, 1 y, 2 z) averaged over ``thickness`` mm along it: a thick slice."""
    if thick_axis is not None:
        thin = load_atlas()
        channels = np.ascontiguousarray(thin.voxels).view(np.uint8).reshape(*thin.voxels.shape, 4)
        blurred = ndimage.uniform_filter1d(channels, thickness, axis=thick_axis)
        return dataclasses.replace(thin, voxels=blurred.view(np.uint32)[..., 0])
    from nilearn import datasets

    image = datasets.load_mni152_template(resolution=1)
    parts = (
        image.get_fdata(dtype=np.float32),
        datasets.load_mni152_brain_mask(resolution=1).get_fdata(dtype=np.float32),
        datasets.load_mni152_gm_template(resolution=1).get_fdata(dtype=np.float32),
        datasets.load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32),
    )
    channels = np.stack([np.clip(p / p.max() * 255, 0, 255).astype(np.uint8) for p in parts], axis=-1)
    origin = np.asarray(image.affine)[:3, 3]
    return Atlas(np.ascontiguousarray(channels).view(np.uint32)[..., 0], origin, _hull(parts[1] > 0.5, origin))


def _hull(brain: npt.NDArray[np.bool_], origin: npt.NDArray[np.float64]) -> Field:
    """Signed distance from the brain with its clefts closed, smoothed, on the coarse grid."""
    axes = [
        np.round(low + HULL_STEP * np.arange(n) - o).astype(int)
        for low, n, o in zip(HULL_LOW, HULL_SHAPE, origin, strict=True)
    ]
    coarse = np.zeros(HULL_SHAPE, dtype=bool)
    valid = [(a >= 0) & (a < n) for a, n in zip(axes, brain.shape, strict=True)]
    coarse[np.ix_(*valid)] = brain[np.ix_(*(a[v] for a, v in zip(axes, valid, strict=True)))]
    out = ndimage.distance_transform_edt(~coarse)
    grown = out < 5.0
    closed = ndimage.distance_transform_edt(grown) > 5.0
    closed |= coarse
    signed = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    signed = np.where(signed > 0, signed - 0.5, signed + 0.5) * HULL_STEP
    return ndimage.gaussian_filter(signed, 0.9).astype(np.float32)
