# SPDX-License-Identifier: Apache-2.0
"""Makes some segments stand out in the views by dimming the others; what the user had set is always put back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import vtk

DIMMED = 0.2
_PROPERTIES = ("Opacity2DFill", "Opacity2DOutline", "Opacity3D")


class SegmentHighlighter:
    """One set of segments of one segmentation node stands out at a time."""

    def __init__(self) -> None:
        self._display = vtk.vtkWeakReference()
        self._before: dict[str, tuple[float, ...]] = {}

    @property
    def isActive(self) -> bool:
        """Whether anything is dimmed now."""
        return bool(self._before)

    def emphasise(self, segmentationNode: Any, segmentIds: Iterable[str]) -> None:
        """Dim all segments but these. Without any of them in the node nothing is dimmed."""
        self.clear()
        display = segmentationNode.GetDisplayNode() if segmentationNode is not None else None
        if display is None:
            return
        segmentation = segmentationNode.GetSegmentation()
        there = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
        wanted = set(segmentIds)
        if not wanted.intersection(there):
            return
        self._display.Set(display)
        self._before = {one: _opacities(display, one) for one in there if one not in wanted}
        self._set({one: tuple(value * DIMMED for value in values) for one, values in self._before.items()})

    def clear(self) -> None:
        """Put back what was there before."""
        self._set(self._before)
        self._before = {}
        self._display.Set(None)

    def _set(self, opacities: dict[str, tuple[float, ...]]) -> None:
        display = self._display.Get()
        if display is None or display.GetScene() is None or not opacities:
            return
        wasModifying = display.StartModify()
        try:
            for segmentId, values in opacities.items():
                for name, value in zip(_PROPERTIES, values, strict=True):
                    getattr(display, f"SetSegment{name}")(segmentId, value)
        finally:
            display.EndModify(wasModifying)


def _opacities(display: Any, segmentId: str) -> tuple[float, ...]:
    return tuple(getattr(display, f"GetSegment{name}")(segmentId) for name in _PROPERTIES)
