# SPDX-License-Identifier: Apache-2.0
"""The line that says how the engine is, with the one button that helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _


def helpFor(state: str) -> tuple[str, str]:
    """The button's text for a state of the engine, and what it does: "setUp", "start", "restart"; empty: no button."""
    return {
        "notInstalled": (_("Set up..."), "setUp"),
        "stopped": (_("Start"), "start"),
        "crashed": (_("Restart"), "restart"),
        "unreachable": (_("Try again"), "restart"),
    }.get(state, ("", ""))


def shortText(service: Any) -> str:
    """The state as one line: for a local engine that is ready only the model and the device, else its sentence."""
    capabilities = service.capabilities or {}
    model, device = capabilities.get("model") or {}, capabilities.get("device") or {}
    title = model.get("title") or model.get("name")
    where = device.get("name") or device.get("kind") or ""
    where = where.upper() if where in ("cpu", "mps") else where
    if service.state != "ready" or service.isRemote or not title or not where:
        return service.stateText
    return _("Ready: {model} on {device}").format(model=title, device=where)


class EngineBar:
    """Keeps ``label`` and ``button`` true to ``service``; ``openSetUp()`` shows the module UniBiomed."""

    def __init__(self, service: Any, label: Any, button: Any, openSetUp: Callable[[], None]) -> None:
        self._service = service
        self._label = label
        self._button = button
        self._actions: dict[str, Callable[[], None]] = {
            "setUp": openSetUp,
            "start": service.start,
            "restart": service.restart,
        }
        service.stateChanged.connect(self.refresh)
        service.capabilitiesChanged.connect(self.refresh)
        service.progressed.connect(self._onProgress)
        button.connect("clicked(bool)", self._onClicked)
        self.refresh()

    def refresh(self) -> None:
        """Show the state of now."""
        service = self._service
        self._label.setText(shortText(service))
        self._label.setToolTip(service.stateText)
        text, _action = helpFor(service.state)
        self._button.setText(text)
        self._button.setVisible(bool(text))

    def cleanup(self) -> None:
        """Let go of the service and the button."""
        self._service.stateChanged.disconnect(self.refresh)
        self._service.capabilitiesChanged.disconnect(self.refresh)
        self._service.progressed.disconnect(self._onProgress)
        self._button.disconnect("clicked(bool)", self._onClicked)

    def _onProgress(self, text: str, fraction: float | None = None) -> None:
        if self._service.state in ("starting", "loading"):
            share = "" if fraction is None else f" ({round(100 * fraction)} %)"
            self._label.setText(f"{text or self._service.stateText}{share}")

    def _onClicked(self, checked: bool = False) -> None:
        action = helpFor(self._service.state)[1]
        if action:
            self._actions[action]()
