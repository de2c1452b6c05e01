# SPDX-License-Identifier: Apache-2.0
"""The text of *Copy a report for an issue*: what is needed to help, and nothing that says who or where one is."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import slicer

from UniBiomedSlicerLib.DiskUse import sizeText
from UniBiomedSlicerLib.EnginePanel import deviceText
from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.ServerAddress import withoutCredentials
from UniBiomedSlicerLib.Settings import Settings

_LINES = 60
# Words that logs use anyway.
_COMMON_USERS = ("root", "user", "admin", "slicer")


def issueReport(settings: Settings, environment: Environment, service: Any) -> str:
    """Versions, environment, device, memory and the last lines of both logs as Markdown, in English, made harmless."""
    record = environment.record()
    state = environment.state()
    capabilities = service.capabilities or {}
    device = capabilities.get("device") or {}
    memory = capabilities.get("memory") or {}
    facts = {
        "Extension": environment.source.version() or "unknown",
        "Slicer": f"{slicer.app.applicationVersion} (revision {slicer.app.revision})",
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Environment": state.kind,
        "Engine": capabilities.get("version") or (record.version if record else "not installed"),
        "PyTorch": f"{record.torch} ({record.variant}), Python {record.python}" if record else "unknown",
        "Choice": record.reason if record else "",
        "Engine state": f"{service.state}: {service.stateText}",
        "Where": "remote server" if settings.useRemote else "this computer",
        "Model": settings.model if "/" not in settings.model or settings.model.count("/") == 1 else "a folder",
        "Device": deviceText(device),
        "Memory": ", ".join(f"{key} {sizeText(value)}" for key, value in memory.items() if value),
    }
    lines = ["### UniBiomed report", "", *(f"- {name}: {value}" for name, value in facts.items() if value)]
    lines += _block("Engine log", str(service.log).splitlines())
    lines += _block("Installer log", environment.log)
    secrets = [settings.remoteToken, settings.remoteHost, settings.remoteHost.partition(":")[0]]
    return harmless("\n".join(lines) + "\n", [secret for secret in secrets if secret])


def harmless(text: str, secrets: list[str]) -> str:
    """``text`` without the home folder, the user's name, credentials in addresses, addresses and ``secrets``."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = withoutCredentials(text)
    text = re.sub(r"(?i)(bearer|token)([\"':= ]+)[A-Za-z0-9._~+/=-]{12,}", r"\1\2***", text)
    home = str(Path.home())
    for spelling in sorted({home, home.replace("\\", "/"), home.replace("\\", "\\\\")}, key=len, reverse=True):
        if len(spelling) > 1:
            text = text.replace(spelling, "~")
    # Homes of other accounts that appear in messages.
    text = re.sub(r"(?i)(/home/|/users/|[a-z]:\\+users\\+)[^/\\\s:\"']+", r"\1***", text)
    user = os.environ.get("USER") or os.environ.get("USERNAME") or ""
    if len(user) > 3 and user not in _COMMON_USERS:
        text = re.sub(rf"\b{re.escape(user)}\b", "***", text)
    return re.sub(r"[\w.+-]+@[\w-]+\.[\w.]+", "***", text)


def _block(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title} (last {_LINES} lines)", "```", *lines[-_LINES:], "```"] if lines else []
