# SPDX-License-Identifier: Apache-2.0
"""What the engine is doing, on what, with how much memory; start, stop, restart."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.DiskUse import sizeText
from UniBiomedSlicerLib.PanelTools import hideProgress, loadPanel, showProgress, showText

_REFRESH_MS = 5000
_MARKS = {
    "ready": "#2e9e5b",
    "starting": "#d99a1c",
    "loading": "#d99a1c",
    "stopping": "#d99a1c",
    "crashed": "#c0392b",
    "unreachable": "#c0392b",
}
_IDLE = "#9aa5ab"
_GONE = ("stopped", "notInstalled", "crashed", "unreachable")


class EnginePanel:
    """Follows the engine service; asks it for its memory every few seconds while the panel is seen."""

    def __init__(self, service: Any) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerEngine")
        self._service = service
        self.ui.startButton.connect("clicked()", self._onStart)
        self.ui.stopButton.connect("clicked()", self._onStop)
        self.ui.restartButton.connect("clicked()", self._onRestart)
        service.stateChanged.connect(self.refresh)
        service.capabilitiesChanged.connect(self.refresh)
        service.progressed.connect(self._onProgress)
        self._timer = qt.QTimer()
        self._timer.setInterval(_REFRESH_MS)
        self._timer.connect("timeout()", self._onTimeout)
        self._timer.start()
        self.refresh()

    def cleanup(self) -> None:
        """Listen to nobody any more."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._onTimeout)
        self._service.stateChanged.disconnect(self.refresh)
        self._service.capabilitiesChanged.disconnect(self.refresh)
        self._service.progressed.disconnect(self._onProgress)

    def refresh(self) -> None:
        """Show the state as it is now."""
        state = self._service.state
        self.ui.stateMark.setText(f'<span style="color:{_MARKS.get(state, _IDLE)}">●</span>')
        showText(self.ui.stateLabel, self._service.stateText)
        self.ui.startButton.setEnabled(state in _GONE)
        self.ui.stopButton.setEnabled(state not in _GONE and state != "stopping")
        self.ui.restartButton.setEnabled(state in ("ready", "loading"))
        if state not in ("starting", "loading"):
            hideProgress(self.ui.loadingBar)
        elif self.ui.loadingBar.isHidden():
            showProgress(self.ui.loadingBar, None, "", None)
        capabilities = self._service.capabilities if state not in _GONE else None
        self.ui.factsWidget.setVisible(bool(capabilities))
        if capabilities:
            self._showFacts(capabilities)

    def _showFacts(self, capabilities: dict[str, Any]) -> None:
        model = capabilities.get("model") or {}
        device = capabilities.get("device") or {}
        where = _("A remote server") if self._service.isRemote else _("This computer")
        version = capabilities.get("version", "")
        self._fact("where", _("{where}, engine {version}").format(where=where, version=version))
        name = " ".join(str(part) for part in (model.get("title") or model.get("name"), model.get("version")) if part)
        self._fact("loadedModel", name)
        self._fact("device", deviceText(device))
        isGpu = device.get("kind") == "cuda"
        self._memory("deviceMemory", device.get("memory_total") if isGpu else None, device.get("memory_free"), "")
        memory = capabilities.get("memory") or {}
        own = _("the engine {size}").format(size=sizeText(memory["rss"])) if memory.get("rss") else ""
        self._memory("memory", memory.get("total"), memory.get("available"), own)

    def _fact(self, name: str, text: str) -> None:
        caption = self.ui.modelCaption if name == "loadedModel" else getattr(self.ui, f"{name}Caption")
        caption.setVisible(bool(text))
        showText(getattr(self.ui, f"{name}Label"), text)

    def _memory(self, name: str, total: int | None, free: int | None, own: str) -> None:
        bar = getattr(self.ui, f"{name}Bar")
        known = bool(total) and free is not None
        bar.setVisible(known)
        getattr(self.ui, f"{name}Caption").setVisible(known)
        if not known:
            return
        bar.setValue(round(1000 * (total - free) / total))
        text = _("{used} of {total} in use").format(used=sizeText(total - free), total=sizeText(total))
        bar.setFormat(f"{text}, {own}" if own else text)

    def _onProgress(self, text: str, fraction: float | None) -> None:
        showProgress(self.ui.loadingBar, None, text, fraction)
        showText(self.ui.stateLabel, text[:1].upper() + text[1:])

    def _onTimeout(self) -> None:
        if self.widget.isVisible() and self._service.state == "ready":
            self._service.refresh()

    def _onStart(self) -> None:
        self._service.start()

    def _onStop(self) -> None:
        self._service.stop()

    def _onRestart(self) -> None:
        self._service.restart()


def deviceText(device: dict[str, Any]) -> str:
    """The device's name and why it was chosen, without saying the name twice."""
    name, reason = str(device.get("name") or ""), str(device.get("reason") or "")
    return reason if name and reason.startswith(name) else ": ".join(text for text in (name, reason) if text)
