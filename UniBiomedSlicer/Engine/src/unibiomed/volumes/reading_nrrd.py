# SPDX-License-Identifier: Apache-2.0
"""Slicer's ``.seg.nrrd`` read back, through slicerio, onto the grid of the image that it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform

from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.seg_documents import read_document
from unibiomed.volumes.segmentation import Segment, Segmentation


def read_segmentation(path: Path, shape: tuple[int, int, int], ijk_to_ras: np.ndarray) -> Segmentation:
    """Segments of a ``.seg.nrrd`` file on the grid ``shape`` (k, j, i) placed by ``ijk_to_ras`` (4x4, mm).

    Slicer stores the part of the grid that holds something, so the file's grid is usually a piece of the image's; then
    voxels are copied. Any other grid (a finer one, an oblique one) is sampled, nearest neighbour. What lies outside of
    the image is left out. Segments' ``target`` is the tag ``UniBiomed.Target``, else their name. InputError when the
    file cannot be read.
    """
    document = read_document(path)
    voxels = np.asarray(document["voxels"])
    # slicerio gives (i, j, k), overlapping layers first.
    layers = voxels if voxels.ndim == 4 else voxels[None]
    to_file = np.linalg.inv(LPS_TO_RAS @ np.asarray(document["ijkToLPS"], dtype=float)) @ np.asarray(ijk_to_ras)
    segments = []
    for entry in document["segments"]:
        label = layers[int(entry.get("layer", 0))] == int(entry["labelValue"])
        segments.append(_segment(entry, _on_grid(label, to_file, shape)))
    return Segmentation(shape, ijk_to_ras, tuple(segments))


def _segment(entry: dict[str, Any], mask: BoxMask) -> Segment:
    tags = {str(key): str(value) for key, value in (entry.get("tags") or {}).items()}
    name = str(entry.get("name") or entry["id"])
    color = entry.get("color")
    terminology = (entry.get("terminology") or {}).get("type") or [None, None]
    return Segment(
        name=name,
        target=tags.get("UniBiomed.Target") or tags.get("target") or name,
        mask=mask,
        color=None if color is None else tuple(float(value) for value in color),
        terminology=terminology[1] if terminology[0] == "SCT" else None,
        attributes=tags,
    )


def _on_grid(label: np.ndarray, to_file: np.ndarray, shape: tuple[int, int, int]) -> BoxMask:
    """``label`` (i, j, k) of the file on the image's grid; ``to_file`` takes the image's IJK to the file's."""
    if not label.any():
        return BoxMask.empty()
    offset = np.rint(to_file[:3, 3])
    extent = max(shape)
    if np.abs(to_file[:3, :3] - np.eye(3)).max() * extent < 0.5 and np.abs(to_file[:3, 3] - offset).max() < 0.5:
        return _copied(label, offset.astype(int), shape)
    sampled = affine_transform(
        label.astype(np.uint8),
        to_file[:3, :3],
        to_file[:3, 3],
        output_shape=shape[::-1],
        order=0,
        cval=0,
        prefilter=False,
    )
    return BoxMask.from_full(sampled.astype(bool).transpose(2, 1, 0))


def _copied(label: np.ndarray, offset: np.ndarray, shape: tuple[int, int, int]) -> BoxMask:
    """The file's voxel of the image's voxel ``ijk`` is ``ijk + offset``."""
    size = np.array(shape[::-1])
    low = np.maximum(-offset, 0)
    high = np.minimum(np.array(label.shape) - offset, size)
    if (high <= low).any():
        return BoxMask.empty()
    part = label[tuple(slice(a + o, b + o) for a, b, o in zip(low, high, offset, strict=True))]
    return BoxMask.from_full(part.transpose(2, 1, 0), offset=tuple(int(v) for v in low[::-1]))
