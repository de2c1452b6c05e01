# SPDX-License-Identifier: Apache-2.0
"""The engine's state as a sentence."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

NOT_INSTALLED = "notInstalled"
STOPPED = "stopped"
STARTING = "starting"
LOADING = "loading"
READY = "ready"
STOPPING = "stopping"
CRASHED = "crashed"
UNREACHABLE = "unreachable"


def stateSentence(state: str, capabilities: dict[str, Any] | None, host: str) -> str:
    """What is told where there is nothing more particular to say; ``host`` is "" for the engine of this computer."""
    if state == READY:
        return _readySentence(capabilities or {}, host)
    return {
        NOT_INSTALLED: _("The environment of UniBiomed is not installed yet; set it up in module UniBiomed."),
        STOPPED: _("The engine is stopped."),
        STARTING: _("Connecting to {host}…").format(host=host) if host else _("The engine is starting…"),
        LOADING: _("The model is being loaded…"),
        STOPPING: _("The engine is being stopped…"),
        CRASHED: _("The engine ended unexpectedly; look at the log and start it again."),
        UNREACHABLE: _("The server {host} cannot be reached.").format(host=host),
    }[state]


def _readySentence(capabilities: dict[str, Any], host: str) -> str:
    model = capabilities.get("model") or {}
    device = capabilities.get("device") or {}
    title = str(model.get("title") or model.get("name") or "")
    if not title:
        return _("The engine runs, but no model is loaded; choose one in module UniBiomed.")
    where = str(device.get("reason") or device.get("name") or device.get("kind") or "").rstrip(".")
    words = _("Ready: {title}, {where}, at {host}.") if host else _("Ready: {title}, {where}.")
    return words.format(title=title, where=where, host=host)
