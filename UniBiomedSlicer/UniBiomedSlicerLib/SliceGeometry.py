# SPDX-License-Identifier: Apache-2.0
"""Between slice views and the engine's slices: an axis name and the voxel index along the array axis it stands for.

The engine calls the three array axes of a volume axial, coronal and sagittal by the anatomical direction that each
runs closest to, in world RAS; a slice's number is the voxel index along that axis, as stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from UniBiomedSlicerLib.VolumeGeometry import anatomicalAxes, shapeOf, toNumpy, worldIjkToRas

AXES = ("axial", "coronal", "sagittal")
_DIRECTION = {"axial": 2, "coronal": 1, "sagittal": 0}
_ISOTROPIC = 1.2


def voxelAxis(volumeNode: Any, axis: str) -> int:
    """Return which voxel axis (0 = i, 1 = j, 2 = k) the engine cuts along; ValueError for another name."""
    if axis not in _DIRECTION:
        raise ValueError(f'The slice axis "{axis}" is not known; use axial, coronal or sagittal.')
    return anatomicalAxes(worldIjkToRas(volumeNode))[_DIRECTION[axis]][0]


def arrayAxis(volumeNode: Any, axis: str) -> int:
    """Return the axis of the array [k, j, i] that the engine cuts along (0, 1 or 2)."""
    return 2 - voxelAxis(volumeNode, axis)


def sliceCount(volumeNode: Any, axis: str) -> int:
    """Return how many slices the volume has along ``axis``."""
    return shapeOf(volumeNode)[arrayAxis(volumeNode, axis)]


def defaultAxis(volumeNode: Any, spatial: bool = True) -> str:
    """Return the plane of acquisition, as the engine decides: across the coarsest axis, or the only one-voxel axis."""
    if not spatial:
        return "axial"
    affine = worldIjkToRas(volumeNode)
    sizes = shapeOf(volumeNode)[::-1]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    named = {axis: anatomicalAxes(affine)[_DIRECTION[axis]][0] for axis in ("sagittal", "coronal", "axial")}
    single = [axis for axis, index in named.items() if sizes[index] == 1]
    if len(single) == 1:
        return single[0]
    ranked = sorted(range(3), key=lambda index: spacing[index])
    if spacing[ranked[2]] <= _ISOTROPIC * spacing[ranked[1]]:
        return "axial"
    return next(axis for axis, index in named.items() if index == ranked[2])


def axisOfSliceNode(sliceNode: Any, volumeNode: Any) -> tuple[str, int]:
    """Return (axis name, slice index) of the volume's slice that a slice view shows.

    The axis is the one nearest to the view's normal; the slice is the one under the middle of the view, or, where that
    lies off the volume, the one that the view's plane cuts on the volume's middle line; the nearest end otherwise.
    """
    affine = worldIjkToRas(volumeNode)
    sliceToRas = toNumpy(sliceNode.GetSliceToRAS())
    normal = sliceToRas[:3, 2] / np.linalg.norm(sliceToRas[:3, 2])
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cut = int(np.argmax(np.round(np.abs(normal @ directions), 9)))
    sizes = np.array(shapeOf(volumeNode)[::-1])
    middle = np.linalg.solve(affine, sliceToRas[:, 3])[:3]
    others = [index for index in range(3) if index != cut]
    if any(not -0.5 <= middle[index] <= sizes[index] - 0.5 for index in others):
        middle = (sizes - 1) / 2.0
        start = (affine @ np.append(middle, 1.0))[:3]
        middle[cut] += (normal @ (sliceToRas[:3, 3] - start)) / (normal @ affine[:3, cut])
    index = int(np.clip(np.floor(middle[cut] + 0.5), 0, sizes[cut] - 1))
    axes = anatomicalAxes(affine)
    return next(axis for axis in AXES if axes[_DIRECTION[axis]][0] == cut), index


def sliceCentre(volumeNode: Any, axis: str, index: int, focus: Sequence[float] | None = None) -> np.ndarray:
    """Return the world RAS of the middle of a slice, or of ``focus`` (k, j, i) moved into that slice."""
    affine = worldIjkToRas(volumeNode)
    sizes = np.array(shapeOf(volumeNode)[::-1])
    point = (sizes - 1) / 2.0 if focus is None else np.array(focus, dtype=float)[::-1].copy()
    cut = voxelAxis(volumeNode, axis)
    point[cut] = min(max(int(index), 0), sizes[cut] - 1)
    return (affine @ np.append(point, 1.0))[:3]


def jumpToSlice(volumeNode: Any, axis: str, index: int, focus: Sequence[float] | None = None) -> int:
    """Show a slice in every slice view that looks along ``axis``, and return how many views that were.

    With ``focus``, a voxel (k, j, i) such as the middle of a segment, all the other slice views go through it too.
    """
    point = sliceCentre(volumeNode, axis, index, focus)
    shown = 0
    nodes = volumeNode.GetScene().GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    for number in range(nodes.GetNumberOfItems()):
        sliceNode = nodes.GetItemAsObject(number)
        along = axisOfSliceNode(sliceNode, volumeNode)[0] == axis
        if along or focus is not None:
            sliceNode.JumpSlice(*point)
        shown += along
    return shown
