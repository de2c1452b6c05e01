# SPDX-License-Identifier: Apache-2.0
"""Two Slicers share one environment folder: while one builds, the other neither builds nor clears up there."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import qt

_FILE = "installing"
_TOUCH_MS = 10_000
_STALE_SECONDS = 60


class InstallClaim:
    """A file that is touched every ten seconds while it is held; one that is a minute old was left by a crash.

    By age and not by process number: numbers are used again, and a home folder can be on several machines.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_TOUCH_MS)
        self._timer.connect("timeout()", self._touch)

    def heldByOther(self, root: Path) -> bool:
        """Whether another Slicer is building in ``root`` now."""
        if self._path is not None:
            return False
        try:
            return time.time() - (root / _FILE).stat().st_mtime < _STALE_SECONDS
        except OSError:
            return False

    def take(self, root: Path) -> None:
        """Say that this Slicer builds in ``root``."""
        self._path = root / _FILE
        self._touch()
        self._timer.start()

    def release(self) -> None:
        """Building has ended."""
        self._timer.stop()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._path = None

    def _touch(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.touch()
