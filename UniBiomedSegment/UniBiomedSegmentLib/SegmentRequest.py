# SPDX-License-Identifier: Apache-2.0
"""What is asked of the engine in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _


@dataclass(frozen=True)
class SegmentRequest:
    """``axis`` "axial" | "coronal" | "sagittal" and ``slices`` are the engine's: the voxel index along the array axis
    that the name stands for. None always means: let the engine choose, or, for ``slices``, all of them."""

    targets: tuple[str, ...]
    modality: str | None = None
    window: str | None = None
    axis: str | None = None
    slices: tuple[int, ...] | None = None
    method: str = "slices"
    keySlice: int | None = None
    clean: bool = False

    @classmethod
    def of(cls, targets: str | Iterable[str], slices: Iterable[int] | None = None, **others: Any) -> SegmentRequest:
        """The same from forms that are handier in a script; ValueError, one sentence, if it makes no sense."""
        words = [targets] if isinstance(targets, str) else list(targets)
        request = cls(
            targets=tuple(word.strip() for word in words if word.strip()),
            slices=None if slices is None else tuple(int(index) for index in slices),
            **others,
        )
        if not request.targets:
            raise ValueError(_("No target was given; name at least one, for example liver."))
        if request.slices is not None and not request.slices:
            raise ValueError(_("No slice was given; name at least one, or leave slices out for the whole volume."))
        if request.method not in ("slices", "propagate"):
            raise ValueError(
                _('The method "{method}" is not known; use "slices" or "propagate".').format(method=request.method)
            )
        if request.keySlice is not None and request.method != "propagate":
            raise ValueError(_('A key slice is used by the method "propagate" only; choose that or leave it out.'))
        return request

    def parameters(self) -> dict[str, Any]:
        """The parameters of the engine's task "segment"; what is left to the engine is left out."""
        chosen: dict[str, Any] = {
            "targets": list(self.targets),
            "modality": self.modality,
            "window": self.window,
            "axis": self.axis,
            "slices": None if self.slices is None else list(self.slices),
            "method": self.method,
            "key_slice": self.keySlice,
            "clean": self.clean or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}
