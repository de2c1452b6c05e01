# SPDX-License-Identifier: Apache-2.0
"""Bringing many masks of a large volume into Slicer's scene: what is timed, and on what.

The stand-in for Slicer must run (``slicerhost.host.start().useLibrary()``) before anything here is called.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

SHAPE = (300, 512, 512)


def many_masks(shape: tuple[int, int, int] = SHAPE, count: int = 20, seed: int = 0) -> dict[str, Any]:
    """A result document with ellipsoids, one as large as a body, the others as organs; many of them overlap."""
    from UniBiomedSlicerLib.BoxMask import encode, tighten

    rng = np.random.default_rng(seed)
    segments = []
    for number in range(count):
        centre = np.array(shape) / 2 if number == 0 else rng.uniform(0.2, 0.8, 3) * shape
        radius = np.array(shape) * 0.45 if number == 0 else rng.uniform(0.05, 0.2, 3) * shape
        offset, box = tighten(*_ellipsoid(centre, radius, shape))
        name = f"organ {number + 1}"
        segments.append(
            {
                "id": f"s{number + 1}",
                "phrase": f"{name} in abdomen CT",
                "target": name,
                "kind": "anatomy",
                "mask": encode(offset, box),
                "slices": list(range(offset[0], offset[0] + box.shape[0])),
                "voxels": int(np.count_nonzero(box)),
                "confidence": 0.9,
            }
        )
    provenance = {"task": "segment", "shape": list(shape), "ijk_to_ras": np.diag([-1.0, -1.0, 1.0, 1.0]).tolist()}
    return {"type": "segmentation", "provenance": provenance, "segments": segments, "not_found": []}


def import_masks(volume_node: Any, result: dict[str, Any]) -> dict[str, float]:
    """Write ``result`` into a new segmentation, in the steps that the module takes, and take it away again.

    Seconds of wall clock and of processor for the whole, and for its longest step, which is what the event loop waits.
    """
    from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter

    writer = SegmentationWriter(volume_node, targets=[])
    start, start_cpu = time.perf_counter(), time.process_time()
    before, before_cpu = start, start_cpu
    longest = longest_cpu = 0.0
    for _fraction in writer.writeSteps(result):
        now, now_cpu = time.perf_counter(), time.process_time()
        longest, longest_cpu = max(longest, now - before), max(longest_cpu, now_cpu - before_cpu)
        before, before_cpu = now, now_cpu
    figures = {
        "seconds": before - start,
        "processor_seconds": before_cpu - start_cpu,
        "longest_step": longest,
        "longest_step_processor": longest_cpu,
        "layers": float(writer.segmentationNode.GetSegmentation().GetNumberOfLayers()),
    }
    volume_node.GetScene().RemoveNode(writer.segmentationNode)
    return figures


def large_volume(shape: tuple[int, int, int] = SHAPE) -> Any:
    """A scalar volume node of int16 noise along one axis, cheap to make."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "large volume")
    slicer.util.updateVolumeFromArray(node, np.zeros(shape, np.int16))
    slicer.util.arrayFromVolume(node)[0] = np.arange(shape[2], dtype=np.int16)
    slicer.util.arrayFromVolumeModified(node)
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    return node


def _ellipsoid(
    centre: np.ndarray, radius: np.ndarray, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], np.ndarray]:
    low = np.maximum(np.floor(centre - radius), 0).astype(int)
    high = np.minimum(np.ceil(centre + radius) + 1, shape).astype(int)
    grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True))
    return tuple(int(value) for value in low), distance <= 1.0
