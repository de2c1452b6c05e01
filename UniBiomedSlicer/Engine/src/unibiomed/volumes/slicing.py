# SPDX-License-Identifier: Apache-2.0
"""From a volume to the square pictures that the model sees, and masks back to the voxels they were cut from.

Pictures are shown as radiologists see them: axial with rows from Anterior to Posterior and columns from the patient's
Right to Left; coronal rows Superior to Inferior, columns Right to Left; sagittal rows Superior to Inferior, columns
Anterior to Posterior. Images without a place in the patient are shown as stored. Oblique volumes are never
interpolated: each array axis goes to the anatomical direction closest to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from PIL import Image

from unibiomed.errors import InputError
from unibiomed.volumes.geometry import anatomical_axes
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window, apply_window, default_window, parse_window

SliceAxis = Literal["axial", "coronal", "sagittal"]

MAX_SIDE = 633
"""Largest side of a square picture that InternVL still cuts into one tile (below sqrt(0.5 * 448² * 4) = 633.6)."""

# (direction cut along, direction of the rows, of the columns), each (0=R 1=A 2=S, wanted sign along it).
_LAYOUT: dict[str, tuple[int, tuple[int, int], tuple[int, int]]] = {
    "axial": (2, (1, -1), (0, -1)),
    "coronal": (1, (2, -1), (0, -1)),
    "sagittal": (0, (2, -1), (1, -1)),
}
_ISOTROPIC = 1.2


def default_axis(volume: Volume) -> SliceAxis:
    """Return the plane the volume was acquired in: across its coarsest array axis, or its only one-voxel axis.

    Where no axis is more than 1.2 times coarser than the others every plane is as good, so axial, the plane that the
    model saw most; images without a place in the patient have one plane, called axial.
    """
    if not volume.spatial:
        return "axial"
    sizes = volume.shape[::-1]
    names: tuple[SliceAxis, ...] = ("sagittal", "coronal", "axial")
    axes = anatomical_axes(volume.ijk_to_ras)
    single = [name for name, (axis, _) in zip(names, axes, strict=True) if sizes[axis] == 1]
    if len(single) == 1:
        return single[0]
    spacing = volume.spacing
    ranked = sorted(range(3), key=lambda axis: spacing[axis])
    if spacing[ranked[2]] <= _ISOTROPIC * spacing[ranked[1]]:
        return "axial"
    return next(name for name, (axis, _) in zip(names, axes, strict=True) if axis == ranked[2])


@dataclass(frozen=True, eq=False)
class SliceMapping:
    """The way from a volume's slices along one axis to square pictures, and its inverse.

    ``array_axis`` is the axis of ``[k, j, i]`` that is cut along (0, 1 or 2): slice ``index`` is the plane
    ``array[index]``, ``array[:, index]`` or ``array[:, :, index]``, in array order. A plane keeps the array order of
    the two other axes. A picture is ``side`` x ``side``: the plane, turned, made physically square by enlarging its
    coarser axis only, reduced as a whole where it is longer than ``max_side``, centred on black.

    Inverse: pixel and voxel centres are matched by the nearest one, in whole numbers. Along an axis that is enlarged or
    kept ``to_volume_slice(from_volume_slice(plane)) == plane``; along one that is reduced
    ``from_volume_slice(to_volume_slice(mask)) == mask`` (inside the frame).
    """

    volume: Volume
    axis: SliceAxis
    array_axis: int
    transposed: bool
    flip_rows: bool
    flip_columns: bool
    plane_shape: tuple[int, int]
    """(rows, columns) of the turned plane in voxels."""
    content_shape: tuple[int, int]
    """(rows, columns) of the picture inside the black frame in pixels."""
    side: int

    @property
    def n_slices(self) -> int:
        """Slices along the axis."""
        return self.volume.shape[self.array_axis]

    @property
    def offset(self) -> tuple[int, int]:
        """(row, column) of the first pixel inside the black frame."""
        return (self.side - self.content_shape[0]) // 2, (self.side - self.content_shape[1]) // 2

    @property
    def image_shape(self) -> tuple[int, int]:
        """(H, W) of the pictures; H = W."""
        return self.side, self.side

    @property
    def is_exact(self) -> bool:
        """Whether no axis is reduced, so that every voxel of a mask survives the way to the picture and back."""
        return all(pixels >= voxels for pixels, voxels in zip(self.content_shape, self.plane_shape, strict=True))

    def plane(self, index: int) -> np.ndarray:
        """Return the voxels of a slice as stored, (two axes in array order[, 3]); raises InputError off the volume."""
        if not 0 <= index < self.n_slices:
            raise InputError(
                f"Slice {index} is not in {self.volume.name}: its {self.axis} slices are 0 to {self.n_slices - 1}."
            )
        array = self.volume.array
        if self.array_axis == 0:
            return np.asarray(array[index])
        if self.array_axis == 1:
            return np.asarray(array[:, index])
        return np.asarray(array[:, :, index])

    def to_image(self, index: int, window: Window | str | None = None) -> np.ndarray:
        """Return slice ``index`` as uint8 (side, side, 3); ``window`` by object, by name, or None for the default."""
        if window is None:
            window = default_window(None, self.volume)
        elif isinstance(window, str):
            window = parse_window(window)
        stats = self.volume.stats if window.kind in ("percentile", "full") else None
        picture = self._turn(apply_window(self.plane(index), window, stats))
        height, width = self.content_shape
        if picture.shape[:2] != (height, width):
            # Linear where enlarged, area-weighted where reduced; pixel centres as in the nearest mapping.
            resized = Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.BILINEAR)
            picture = np.asarray(resized)
        if picture.ndim == 2:
            picture = picture[:, :, np.newaxis]
        image = np.zeros((self.side, self.side, 3), np.uint8)
        image[self._content] = picture
        return image

    def to_volume_slice(self, mask: np.ndarray) -> np.ndarray:
        """Return the bool plane (array order) of a bool (side, side) mask: each voxel takes its nearest pixel."""
        if mask.shape != self.image_shape:
            raise InputError(f"A mask of shape {mask.shape} does not fit pictures of shape {self.image_shape}.")
        rows, columns = self._pixels_of_voxels
        return self._turn_back(np.asarray(mask, bool)[self._content][np.ix_(rows, columns)])

    def from_volume_slice(self, plane: np.ndarray) -> np.ndarray:
        """Return the bool (side, side) mask of a bool plane (array order): each pixel takes its nearest voxel."""
        turned = self._turn(np.asarray(plane, bool))
        if turned.shape != self.plane_shape:
            raise InputError(f"A plane of shape {plane.shape} does not fit the {self.axis} slices of this volume.")
        rows, columns = (
            _nearest(pixels, voxels) for pixels, voxels in zip(self.content_shape, self.plane_shape, strict=True)
        )
        mask = np.zeros(self.image_shape, bool)
        mask[self._content] = turned[np.ix_(rows, columns)]
        return mask

    def put(self, mask: np.ndarray, index: int, out: np.ndarray) -> None:
        """Write a picture's mask into slice ``index`` of the bool array ``out`` [k, j, i], replacing that slice."""
        self.slice_of(out, index)[...] = self.to_volume_slice(mask)

    def slice_of(self, array: np.ndarray, index: int) -> np.ndarray:
        """Return the view of slice ``index`` of any [k, j, i] array of the volume's shape."""
        return np.moveaxis(array, self.array_axis, 0)[index]

    def voxel_at(self, row: float, column: float, index: int) -> tuple[int, int, int]:
        """Return (k, j, i) of the voxel under a pixel of slice ``index``; the frame goes to the nearest edge."""
        turned = []
        for position, start, pixels, voxels in zip(
            (row, column), self.offset, self.content_shape, self.plane_shape, strict=True
        ):
            inside = min(max(int(position) - start, 0), pixels - 1)
            turned.append((2 * inside + 1) * voxels // (2 * pixels))
        if self.flip_rows:
            turned[0] = self.plane_shape[0] - 1 - turned[0]
        if self.flip_columns:
            turned[1] = self.plane_shape[1] - 1 - turned[1]
        if self.transposed:
            turned.reverse()
        turned.insert(self.array_axis, index)
        return turned[0], turned[1], turned[2]

    @property
    def _content(self) -> tuple[slice, slice]:
        (top, left), (height, width) = self.offset, self.content_shape
        return slice(top, top + height), slice(left, left + width)

    @cached_property
    def _pixels_of_voxels(self) -> tuple[np.ndarray, np.ndarray]:
        (height, width), (rows, columns) = self.content_shape, self.plane_shape
        return _nearest(rows, height), _nearest(columns, width)

    def _turn(self, plane: np.ndarray) -> np.ndarray:
        if self.transposed:
            plane = plane.swapaxes(0, 1)
        return plane[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def _turn_back(self, turned: np.ndarray) -> np.ndarray:
        plane = turned[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.ascontiguousarray(plane.T if self.transposed else plane)


def slice_mapping(volume: Volume, axis: SliceAxis | None = None, max_side: int = MAX_SIDE) -> SliceMapping:
    """Return the mapping for one of the three axes (None: :func:`default_axis`).

    ``max_side`` caps the side of the pictures in pixels. Raises InputError for another axis name.
    """
    axis = default_axis(volume) if axis is None else axis
    if axis not in get_args(SliceAxis):
        raise InputError(f'The slice axis "{str(axis)[:40]}" is not known; use axial, coronal or sagittal.')
    if max_side < 1:
        raise InputError(f"The largest side of a picture must be at least 1 pixel, not {max_side}.")
    axes = anatomical_axes(volume.ijk_to_ras)
    cut, (row_direction, row_sign), (column_direction, column_sign) = _LAYOUT[axis]
    # Voxel axis 0, 1, 2 = i, j, k is array axis 2, 1, 0.
    row_axis, column_axis = axes[row_direction][0], axes[column_direction][0]
    sizes = volume.shape[::-1]
    rows, columns = sizes[row_axis], sizes[column_axis]
    height, width = _physical_size(rows, columns, volume.spacing[row_axis], volume.spacing[column_axis], max_side)
    return SliceMapping(
        volume=volume,
        axis=axis,
        array_axis=2 - axes[cut][0],
        transposed=row_axis < column_axis,
        flip_rows=axes[row_direction][1] != row_sign,
        flip_columns=axes[column_direction][1] != column_sign,
        plane_shape=(rows, columns),
        content_shape=(height, width),
        side=max(height, width),
    )


def _physical_size(
    rows: int, columns: int, row_spacing: float, column_spacing: float, max_side: int
) -> tuple[int, int]:
    finest = min(row_spacing, column_spacing)
    height, width = rows * row_spacing / finest, columns * column_spacing / finest
    shrink = min(1.0, max_side / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _nearest(count: int, source: int) -> np.ndarray:
    """For each of ``count`` cells the one of ``source`` cells, over the same length, that holds its centre."""
    return (2 * np.arange(count) + 1) * source // (2 * count)
