# SPDX-License-Identifier: Apache-2.0
"""What the module's drop-down lists hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from slicer.i18n import tr as _
from UniBiomedSlicerLib.Modality import MODALITIES

AUTO = "auto"

_NUMBER = r"[-+]?\d+(?:\.\d*)?"
_TYPED_WINDOW = re.compile(rf"\s*{_NUMBER}\s*(?:/\s*{_NUMBER}|%\s*-\s*{_NUMBER}\s*%)\s*")


class Scope(Enum):
    """Which slices are searched."""

    CURRENT = "current"
    RANGE = "range"
    VOLUME = "volume"

    def label(self) -> str:
        """The text in the list."""
        return {
            Scope.CURRENT: _("Current slice"),
            Scope.RANGE: _("Range of slices"),
            Scope.VOLUME: _("Whole volume"),
        }[self]


class Method(Enum):
    """How the slices are searched."""

    SLICES = "slices"
    PROPAGATE = "propagate"
    PROPAGATE_FROM_CURRENT = "propagateFromCurrent"

    def label(self) -> str:
        """The text in the list."""
        return {
            Method.SLICES: _("Slice by slice"),
            Method.PROPAGATE: _("Propagate from the surest slice"),
            Method.PROPAGATE_FROM_CURRENT: _("Propagate from the current slice"),
        }[self]


def modalitiesOf(capabilities: Mapping[str, Any] | None) -> list[str]:
    """The modality words of the engine, or the ten that every engine knows."""
    return _names(capabilities, "modalities") or list(MODALITIES)


def windowsOf(capabilities: Mapping[str, Any] | None) -> list[str]:
    """The names of the engine's windows; empty until it has been asked."""
    return _names(capabilities, "windows")


def isTypedWindow(text: str) -> bool:
    """Whether ``text`` is a window in figures, "400/40" or "1%-99%"."""
    return bool(_TYPED_WINDOW.fullmatch(text))


def _names(capabilities: Mapping[str, Any] | None, key: str) -> list[str]:
    entries: Iterable[Any] = (capabilities or {}).get(key) or ()
    return [entry["name"] if isinstance(entry, Mapping) else str(entry) for entry in entries]
