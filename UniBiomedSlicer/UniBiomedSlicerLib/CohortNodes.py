# SPDX-License-Identifier: Apache-2.0
"""The nodes of a case under review: how its files become nodes, and whether its segments were changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer


def loadVolume(path: Path, first: str | None) -> Any:
    """A file as Slicer loads it; of a DICOM folder the series of the file ``first``, whose others the reader finds."""
    if path.is_dir():
        return slicer.util.loadVolume(first or str(min(path.iterdir())), {"singleFile": False})
    # Numbered pictures would be read as one stack.
    return slicer.util.loadVolume(str(path), {"singleFile": True})


def loadSegmentation(path: str, case: str) -> Any:
    """The segments as a node that Slicer does not save back into the catalogue, whose files are the engine's alone."""
    node = slicer.util.loadSegmentation(path)
    node.SetName(case)
    storage = node.GetStorageNode()
    if storage is not None:
        slicer.mrmlScene.RemoveNode(storage)
    return node


def modified(node: Any) -> int:
    """Changes when voxels, names or the list of segments do, not when colours or the visibility do."""
    segmentation = node.GetSegmentation()
    facts: list[Any] = [segmentation.GetNumberOfSegments()]
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        image = segment.GetRepresentation("Binary labelmap")
        facts.append((segment.GetName(), image.GetMTime() if image is not None else 0))
    return hash(tuple(facts))
