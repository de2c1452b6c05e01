# SPDX-License-Identifier: Apache-2.0
"""The slices that show most of a report's segments, as pictures with coloured outlines, for files to take along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
from UniBiomedSlicerLib.BoxMask import Box
from UniBiomedSlicerLib.SegmentVoxels import boxOf, largestSlice
from UniBiomedSlicerLib.SliceGeometry import AXES, arrayAxis, defaultAxis
from UniBiomedSlicerLib.VolumeGeometry import anatomicalAxes, shapeOf, worldIjkToRas

SIDE = 480
"""Pixels of a picture's longer side."""
MOST = 6
_GOOD_ENOUGH = 0.8
_SAMPLES = 200_000
# Direction in RAS of a picture's rows (downwards) and columns (to the right).
_ROWS = {"axial": (1, -1), "coronal": (2, -1), "sagittal": (2, -1)}
_COLUMNS = {"axial": (0, -1), "coronal": (0, -1), "sagittal": (1, -1)}

Rgb = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice: RGB uint8 (H, W, 3), and the ids of the segments outlined on it."""

    axis: str
    slice: int
    image: np.ndarray
    segments: list[str] = field(default_factory=list)


def pictureSteps(
    volumeNode: Any,
    segmentationNode: Any,
    segmentIds: Sequence[str],
    colors: Mapping[str, Rgb],
    provenance: Mapping[str, Any],
    slices: Sequence[int] = (),
) -> Iterator[None]:
    """Make the pictures in short steps; the generator's return value is the list of them, in slice order.

    Each segment is on the slice of its largest cut, or on another one that shows 80 % of that; ``slices`` (the one that
    was read) are shown where no segment asks for any.
    """
    axis = provenance.get("axis")
    axis = axis if axis in AXES else defaultAxis(volumeNode)
    along = arrayAxis(volumeNode, axis)
    boxes: dict[str, Box] = {}
    for segmentId in segmentIds:
        box = boxOf(segmentationNode, segmentId, volumeNode) if segmentationNode is not None else None
        if box is not None:
            boxes[segmentId] = box
        yield
    chosen: list[int] = []
    for box in boxes.values():
        index = largestSlice(box, along)[0]
        enough = _GOOD_ENOUGH * _area(box, along, index)
        if len(chosen) < MOST and not any(_area(box, along, other) >= enough for other in chosen):
            chosen.append(index)
    count = shapeOf(volumeNode)[along]
    chosen = sorted(chosen) or [index for index in slices if 0 <= index < count][:MOST] or [count // 2]
    array = slicer.util.arrayFromVolume(volumeNode)
    low, high = bounds(array, provenance.get("window") or {})
    pictures = []
    for index in chosen:
        picture, frame = _grey(volumeNode, array, axis, along, index, low, high)
        there = []
        for segmentId, box in boxes.items():
            if _area(box, along, index):
                _outline(picture, frame(_plane(box, along, index, array.shape[:3])), colors[segmentId])
                there.append(segmentId)
        pictures.append(Picture(axis, index, picture, there))
        yield
    return pictures


def bounds(array: np.ndarray, window: Mapping[str, Any]) -> tuple[float, float]:
    """Return the values shown as black and as white, as the engine's window says (see a result's provenance)."""
    if window.get("kind") == "by site":
        window = next(iter(window.get("sites", {}).values()), {})
    kind = window.get("kind")
    if kind == "width/level":
        return window["level"] - window["width"] / 2, window["level"] + window["width"] / 2
    if array.ndim == 4 or kind == "none":
        return 0.0, 255.0
    flat = array.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLES)]
    if kind == "full":
        low, high = float(sample.min()), float(sample.max())
    else:
        low, high = (float(v) for v in np.percentile(sample, [window.get("lower", 0.5), window.get("upper", 99.5)]))
    return (low, high) if high > low else (low, low + 1.0)


def _grey(
    volumeNode: Any, array: np.ndarray, axis: str, along: int, index: int, low: float, high: float
) -> tuple[np.ndarray, Any]:
    """The slice as RGB, turned as radiologists see it and with square pixels, and the same turn for a mask's plane."""
    affine = worldIjkToRas(volumeNode)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axes = anatomicalAxes(affine)
    rest = [number for number in range(3) if number != along]
    rowsAt, rowSign = axes[_ROWS[axis][0]][0], axes[_ROWS[axis][0]][1] * _ROWS[axis][1]
    columnsAt, columnSign = axes[_COLUMNS[axis][0]][0], axes[_COLUMNS[axis][0]][1] * _COLUMNS[axis][1]
    isTurned = 2 - rowsAt != rest[0]
    edges = spacing[rowsAt], spacing[columnsAt]

    def frame(plane: np.ndarray) -> np.ndarray:
        turned = np.swapaxes(plane, 0, 1) if isTurned else plane
        turned = turned[:: 1 if rowSign > 0 else -1, :: 1 if columnSign > 0 else -1]
        height, width = turned.shape[0] * edges[0], turned.shape[1] * edges[1]
        scale = SIDE / max(height, width)
        rows = _nearest(turned.shape[0], max(1, round(height * scale)))
        columns = _nearest(turned.shape[1], max(1, round(width * scale)))
        return turned[rows][:, columns]

    plane = np.take(array, index, axis=along)
    picture = np.clip((plane.astype(np.float32) - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    picture = frame(picture)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[..., :3]), frame


def _nearest(size: int, wanted: int) -> np.ndarray:
    return ((np.arange(wanted) + 0.5) * size / wanted).astype(int)


def _area(box: Box, along: int, index: int) -> int:
    offset, voxels = box
    row = index - offset[along]
    return int(np.take(voxels, row, axis=along).sum()) if 0 <= row < voxels.shape[along] else 0


def _plane(box: Box, along: int, index: int, shape: Sequence[int]) -> np.ndarray:
    """One slice of a segment on the whole plane of the volume."""
    offset, voxels = box
    rest = [number for number in range(3) if number != along]
    plane = np.zeros([shape[number] for number in rest], bool)
    cut = np.take(voxels, index - offset[along], axis=along)
    plane[tuple(slice(offset[n], offset[n] + voxels.shape[n]) for n in rest)] = cut
    return plane


def _outline(picture: np.ndarray, mask: np.ndarray, color: Rgb) -> None:
    """Draw the rim of a mask, two pixels wide, over a slight tint of it."""
    inside = mask.copy()
    for _step in range(2):
        padded = np.pad(inside, 1, constant_values=False)
        inside = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    tint = np.array(color, np.float32)
    picture[mask] = (0.85 * picture[mask] + 0.15 * tint).astype(np.uint8)
    picture[mask & ~inside] = color
