# SPDX-License-Identifier: Apache-2.0
"""The menu of everything that the loaded model knows, by modality and place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSegmentLib.TargetList import TargetList


class TargetsMenu:
    """Gives ``button`` (a QToolButton) a menu; ``onChosen(text)`` gets a name, or a phrase where that is not enough."""

    def __init__(self, button: Any, onChosen: Callable[[str], None]) -> None:
        self._button = button
        self._onChosen = onChosen
        self._targets: TargetList | None = None
        self._menu = qt.QMenu(button)
        button.setMenu(self._menu)
        button.setPopupMode(qt.QToolButton.InstantPopup)
        self._menu.connect("triggered(QAction*)", self._onTriggered)

    def setTargets(self, targets: TargetList) -> None:
        """Offer another list; without any the button is off."""
        if self._targets is not None and targets.targets == self._targets.targets:
            return
        self._targets = targets
        self._menu.clear()
        self._button.enabled = bool(targets)
        places: dict[str, Any] = {}
        for target in targets.targets:
            place = _("{modality}, {site}").format(modality=target.modality, site=target.site)
            if place not in places:
                places[place] = self._menu.addMenu(place)
            action = places[place].addAction(target.name)
            action.setData(target.name if targets.check(target.name).target is not None else target.phrase)

    def cleanup(self) -> None:
        """Let go of the widget."""
        self._menu.disconnect("triggered(QAction*)", self._onTriggered)

    def _onTriggered(self, action: Any) -> None:
        self._onChosen(action.data())
