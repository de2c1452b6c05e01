# SPDX-License-Identifier: Apache-2.0
"""One at a time, in the order of asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class Turns:
    """Volumes are handed over one after the other: two jobs on one volume then send it once, and no transfer slows
    another down."""

    def __init__(self) -> None:
        self._line: list[tuple[Any, Callable[[], None]]] = []

    def ask(self, owner: Any, begin: Callable[[], None]) -> None:
        """Call ``begin`` when it is the turn of ``owner``, which may be at once; ``leave`` must follow."""
        self._line.append((owner, begin))
        if len(self._line) == 1:
            begin()

    def leave(self, owner: Any) -> None:
        """``owner`` has had its turn, or does not want it any more; the next one begins with the next event."""
        hadTurn = bool(self._line) and self._line[0][0] == owner
        self._line = [entry for entry in self._line if entry[0] != owner]
        if hadTurn and self._line:
            following = self._line[0]
            qt.QTimer.singleShot(0, lambda: self._begin(following))

    def _begin(self, entry: tuple[Any, Callable[[], None]]) -> None:
        if self._line and self._line[0] is entry:
            entry[1]()
