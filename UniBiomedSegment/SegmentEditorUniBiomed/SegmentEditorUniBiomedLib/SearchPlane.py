# SPDX-License-Identifier: Apache-2.0
"""Where is looked: in the whole volume, or on the slice that one of the slice views shows."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _
from UniBiomedSlicerLib.SliceGeometry import axisOfSliceNode

VOLUME = "volume"
SLICE = "slice:"
"""Followed by the name of the slice view."""


def searchPlane(scope: str, volumeNode: Any) -> tuple[str, int] | None:
    """Return the engine's axis and slice index for ``scope``; None: the whole volume. ValueError, one sentence, for a
    view that is gone or a volume without a rectangular grid."""
    if not scope.startswith(SLICE):
        return None
    view = slicer.app.layoutManager().sliceWidget(scope[len(SLICE) :])
    if view is None:
        raise ValueError(_("The chosen slice view is not shown any more; choose another one."))
    return axisOfSliceNode(view.mrmlSliceNode(), volumeNode)
