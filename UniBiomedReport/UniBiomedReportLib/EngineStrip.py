# SPDX-License-Identifier: Apache-2.0
"""One line about the engine, shown only when there is something to know or to do."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

SETUP_MODULE = "UniBiomedSlicer"


class EngineStrip:
    """Drives a frame with a label and a button; hidden while the engine is ready or will start by itself."""

    def __init__(self, frame: Any, label: Any, button: Any, service: Any) -> None:
        self._frame, self._label, self._button = frame, label, button
        self._service = service
        self._action: Any = None
        self._progress = ""
        button.connect("clicked()", self._onButton)
        service.stateChanged.connect(self.update)
        service.progressed.connect(self._onProgress)
        self.update()

    def cleanup(self) -> None:
        """Let go of the service and the widgets."""
        self._service.stateChanged.disconnect(self.update)
        self._service.progressed.disconnect(self._onProgress)
        self._button.disconnect("clicked()", self._onButton)

    def update(self) -> None:
        """Show the state as it is now."""
        state, service = self._service.state, self._service
        if state != "loading":
            self._progress = ""
        actions = {
            "notInstalled": (_("Set up..."), lambda: slicer.util.selectModule(SETUP_MODULE)),
            "crashed": (_("Restart"), service.restart),
            "unreachable": (_("Connect again"), service.restart),
        }
        text, self._action = actions.get(state, ("", None))
        isShown = state in actions or state in ("starting", "loading", "stopping")
        self._frame.setVisible(isShown)
        self._label.setText(f"{service.stateText} {self._progress}".strip())
        self._button.setText(text)
        self._button.setVisible(self._action is not None)

    def _onProgress(self, text: str, fraction: float | None) -> None:
        self._progress = "" if fraction is None else f"{round(100 * fraction)} %"
        self.update()

    def _onButton(self) -> None:
        if self._action is not None:
            self._action()
