# SPDX-License-Identifier: Apache-2.0
"""Pictures of slice views with their segments, for the documentation: what Slicer's views show, painted with numpy.

The stand-in has real slice nodes but no graphics card. Each pixel is looked up in the volume and in the labelmaps
through the slice node's own XYToRAS, so oblique views, transforms and overlap come out as in Slicer. Colours,
visibility, window and opacity are those of the display nodes.

    picture = sliceView(host.sliceNode("Red"), volumeNode, segmentationNode)     # PIL image
    threeViews(volumeNode, segmentationNode, focus=(k, j, i)).save("views.png")  # axial, sagittal, coronal
    window(host.screenshot(widget, "panel.png"), threeViews(...)).save("docs/images/segment.png")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, map_coordinates
from UniBiomedSlicerLib.SegmentLayers import labelsOf
from UniBiomedSlicerLib.VolumeGeometry import toNumpy, transformToWorld, worldIjkToRas

BARS = {"axial": (230, 93, 76), "sagittal": (223, 192, 51), "coronal": (109, 176, 75)}
"""The colours of Slicer's Red, Yellow and Green views."""

# Directions of the screen's right and up in RAS, and of the view's normal.
_SCREEN = {
    "axial": ((-1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "sagittal": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "coronal": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
}
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_BACKGROUND = (45, 47, 51)


def sliceView(
    sliceNode: Any,
    volumeNode: Any,
    segmentationNode: Any = None,
    segmentIds: Iterable[str] | None = None,
    highlight: Iterable[str] = (),
) -> Image.Image:
    """What a slice view of the scene shows, in the view's own size.

    ``segmentIds`` chooses segments (None: those that are visible); ``highlight`` ones are drawn stronger.
    """
    width, height = sliceNode.GetDimensions()[:2]
    xyToRas = toNumpy(sliceNode.GetXYToRAS())
    return _paint(xyToRas, (width, height), volumeNode, segmentationNode, segmentIds, set(highlight))


def planeView(
    volumeNode: Any,
    axis: str,
    focus: Sequence[float],
    size: tuple[int, int] = (400, 400),
    segmentationNode: Any = None,
    segmentIds: Iterable[str] | None = None,
    highlight: Iterable[str] = (),
    zoom: float = 1.0,
) -> Image.Image:
    """The plane through the voxel ``focus`` (k, j, i), as radiologists look at it, fitted to ``size`` (width, height),
    with its orientation letters and Slicer's coloured bar."""
    affine = worldIjkToRas(volumeNode)
    right, up, _normal = (np.array(direction, float) for direction in _SCREEN[axis])
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    corners[:, :3] = corners[:, :3] * np.array(volumeNode.GetImageData().GetDimensions()) - 0.5
    world = (corners @ affine.T)[:, :3]
    centre = (world.max(axis=0) + world.min(axis=0)) / 2
    point = worldOf(volumeNode, focus)
    extent = world.max(axis=0) - world.min(axis=0)
    spacing = max(abs(extent @ right) / size[0], abs(extent @ up) / size[1]) / zoom
    middle = point + right * ((centre - point) @ right) / zoom + up * ((centre - point) @ up) / zoom
    xyToRas = np.eye(4)
    xyToRas[:3, 0], xyToRas[:3, 1], xyToRas[:3, 2] = right * spacing, up * spacing, np.cross(right, up)
    xyToRas[:3, 3] = middle - right * spacing * (size[0] - 1) / 2 - up * spacing * (size[1] - 1) / 2
    picture = _paint(xyToRas, size, volumeNode, segmentationNode, segmentIds, set(highlight))
    decorate(picture, axis, right, up, volumeNode.GetName())
    return picture


def threeViews(
    volumeNode: Any,
    segmentationNode: Any = None,
    focus: Sequence[float] | None = None,
    size: tuple[int, int] = (960, 640),
    **options: Any,
) -> Image.Image:
    """The axial view large on the left, sagittal and coronal on the right; ``options`` are those of planeView."""
    place = middleOf(segmentationNode, volumeNode) if focus is None else focus
    return arrange(lambda axis, part: planeView(volumeNode, axis, place, part, segmentationNode, **options), size)


def arrange(paint: Callable[[str, tuple[int, int]], Image.Image], size: tuple[int, int]) -> Image.Image:
    """One picture of ``paint(axis, (width, height))`` for the three axes."""
    width, height = size
    left, top = width * 2 // 3, height // 2
    canvas = Image.new("RGB", size, _BACKGROUND)
    canvas.paste(paint("axial", (left - 2, height)), (0, 0))
    canvas.paste(paint("sagittal", (width - left, top - 1)), (left, 0))
    canvas.paste(paint("coronal", (width - left, height - top - 1)), (left, top + 1))
    return canvas


def worldOf(volumeNode: Any, voxel: Sequence[float]) -> np.ndarray:
    """World RAS of a voxel (k, j, i)."""
    return (worldIjkToRas(volumeNode) @ np.append(np.array(voxel, float)[::-1], 1.0))[:3]


def window(panel: Image.Image | Path | str, views: Image.Image) -> Image.Image:
    """A module's panel on the left and views on the right, as in Slicer's window."""
    if not isinstance(panel, Image.Image):
        panel = Image.open(panel)
    panel = panel.convert("RGB")
    height = max(panel.height, views.height)
    canvas = Image.new("RGB", (panel.width + 4 + views.width, height), _BACKGROUND)
    canvas.paste(panel, (0, 0))
    canvas.paste(views, (panel.width + 4, 0))
    return canvas


def legend(picture: Image.Image, segmentationNode: Any, segmentIds: Iterable[str] | None = None) -> Image.Image:
    """The same picture with the names of the segments in their colours, bottom left."""
    picture = picture.copy()
    draw, font = ImageDraw.Draw(picture), _font(14)
    segmentation = segmentationNode.GetSegmentation()
    ids = list(segmentIds) if segmentIds is not None else _allIds(segmentation)
    y = picture.height - 22 * len(ids) - 6
    for segmentId in ids:
        segment = segmentation.GetSegment(segmentId)
        draw.rectangle((10, y + 3, 22, y + 15), fill=_rgb(segment))
        draw.text((28, y), segment.GetName(), font=font, fill=(235, 235, 235), stroke_width=2, stroke_fill=(0, 0, 0))
        y += 22
    return picture


def middleOf(segmentationNode: Any, volumeNode: Any) -> tuple[int, int, int]:
    """The voxel (k, j, i) in the middle of all segments, or of the volume where there are none."""
    i, j, k = volumeNode.GetImageData().GetDimensions()
    if segmentationNode is None or not segmentationNode.GetSegmentation().GetNumberOfSegments():
        return k // 2, j // 2, i // 2
    bounds = np.zeros(6)
    segmentationNode.GetRASBounds(bounds)
    centre = np.append((bounds[0::2] + bounds[1::2]) / 2, 1.0)
    index = np.rint(np.linalg.solve(worldIjkToRas(volumeNode), centre)[:3])
    i, j, k = np.clip(index, 0, np.array([i, j, k]) - 1).astype(int)
    return int(k), int(j), int(i)


def _paint(
    xyToRas: np.ndarray,
    size: tuple[int, int],
    volumeNode: Any,
    segmentationNode: Any,
    segmentIds: Iterable[str] | None,
    highlight: set[str],
) -> Image.Image:
    width, height = size
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)]).reshape(4, -1).astype(float)
    ras = xyToRas @ pixels
    colours = _volumeColours(volumeNode, ras, (height, width))
    if segmentationNode is not None:
        for segmentId, strength in _shown(segmentationNode, segmentIds, highlight):
            inside = _inside(segmentationNode, segmentId, ras, (height, width))
            if inside.any():
                _blend(colours, inside, segmentationNode, segmentId, strength)
    # Row 0 of a slice view is at the bottom.
    return Image.fromarray(np.clip(np.rint(colours[::-1]), 0, 255).astype(np.uint8), "RGB")


def _volumeColours(volumeNode: Any, ras: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    ijk = np.linalg.solve(worldIjkToRas(volumeNode), ras)[:3]
    array = slicer.util.arrayFromVolume(volumeNode)
    channels = array[..., :3] if array.ndim == 4 else array[..., np.newaxis]
    # Single slices have no neighbour to interpolate with: within half a voxel they are shown as they are.
    for axis, count in enumerate(array.shape[:3][::-1]):
        if count == 1:
            ijk[axis] = np.where(np.abs(ijk[axis]) <= 0.5, 0.0, -9.0)
    sampled = [
        map_coordinates(channels[..., c].astype(np.float32), ijk[::-1], order=1, mode="constant", cval=np.nan)
        for c in range(channels.shape[3])
    ]
    values = np.stack(sampled, axis=-1).reshape(*shape, -1)
    if array.ndim == 3:
        low, high = _range(volumeNode, array)
        values = (values - low) / max(high - low, 1e-9) * 255
    values = np.nan_to_num(np.clip(values, 0, 255))
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def _range(volumeNode: Any, array: np.ndarray) -> tuple[float, float]:
    display = volumeNode.GetDisplayNode()
    if display is not None and not display.GetAutoWindowLevel():
        return display.GetLevel() - display.GetWindow() / 2, display.GetLevel() + display.GetWindow() / 2
    low, high = np.percentile(array[:: max(1, array.shape[0] // 32)], (0.5, 99.5))
    return float(low), float(high)


def _shown(segmentationNode: Any, segmentIds: Iterable[str] | None, highlight: set[str]) -> list[tuple[str, float]]:
    display = segmentationNode.GetDisplayNode()
    ids = list(segmentIds) if segmentIds is not None else _allIds(segmentationNode.GetSegmentation())
    if segmentIds is None and display is not None:
        ids = [segmentId for segmentId in ids if display.GetVisibility() and display.GetSegmentVisibility(segmentId)]
    return [(segmentId, 1.0 if not highlight or segmentId in highlight else 0.45) for segmentId in ids]


def _inside(segmentationNode: Any, segmentId: str, ras: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation("Binary labelmap") if segment is not None else None
    if image is None or image.IsEmpty():
        return np.zeros(shape, bool)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    start, labels = labelsOf(image)
    ijk = (
        np.linalg.solve(transformToWorld(segmentationNode) @ toNumpy(matrix), ras)[:3] - np.array(start)[:, np.newaxis]
    )
    index = np.floor(ijk + 0.5).astype(int)[::-1]
    fits = ((index >= 0) & (index < np.array(labels.shape)[:, np.newaxis])).all(axis=0)
    inside = np.zeros(index.shape[1], bool)
    inside[fits] = labels[tuple(index[:, fits])] == segment.GetLabelValue()
    return inside.reshape(shape)


def _blend(colours: np.ndarray, inside: np.ndarray, segmentationNode: Any, segmentId: str, strength: float) -> None:
    colour = np.array(_rgb(segmentationNode.GetSegmentation().GetSegment(segmentId)), float)
    outline = inside & ~binary_erosion(inside, iterations=2, border_value=1)
    colours[inside] += (colour - colours[inside]) * 0.35 * strength
    colours[outline] += (colour - colours[outline]) * 0.9 * strength


def decorate(picture: Image.Image, axis: str, right: np.ndarray, up: np.ndarray, name: str) -> None:
    """Draw Slicer's coloured bar, the letters of the screen's directions (RAS) and the volume's name."""
    draw, font = ImageDraw.Draw(picture), _font(14)
    draw.rectangle((0, 0, picture.width, 5), fill=BARS[axis])
    ends = {
        (picture.width - 16, picture.height // 2 - 8): right,
        (6, picture.height // 2 - 8): -right,
        (picture.width // 2 - 5, 10): up,
        (picture.width // 2 - 5, picture.height - 22): -up,
    }
    for place, direction in ends.items():
        along = int(np.argmax(np.abs(direction)))
        letter = _ENDS[along][int(direction[along] > 0)]
        draw.text(place, letter, font=font, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    draw.text((8, 10), name, font=_font(12), fill=(200, 200, 200), stroke_width=1, stroke_fill=(0, 0, 0))


def _allIds(segmentation: Any) -> list[str]:
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def _rgb(segment: Any) -> tuple[int, int, int]:
    return tuple(round(part * 255) for part in segment.GetColor())


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
