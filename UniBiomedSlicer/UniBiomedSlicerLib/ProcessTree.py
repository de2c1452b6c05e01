# SPDX-License-Identifier: Apache-2.0
"""Ends a process together with whatever it has started; the engine itself is one process, a launcher may be two."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import qt


def killTree(pid: int) -> None:
    """Kill ``pid``, its process group where it leads one, and its descendants; without effect when it is gone."""
    if pid <= 0:
        return
    if sys.platform == "win32":
        qt.QProcess.startDetached("taskkill", ["/PID", str(pid), "/T", "/F"])
        return
    descendants = _descendants(pid)
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    for one in [pid, *descendants]:
        try:
            os.kill(one, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _descendants(pid: int) -> list[int]:
    """Children, their children and so on, as Linux tells them; elsewhere the process group has to do."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        tasks = Path("/proc", str(waiting.pop()), "task")
        try:
            lists = [(task / "children").read_text() for task in tasks.iterdir()]
        except OSError:
            continue
        children = [int(child) for text in lists for child in text.split()]
        found += children
        waiting += children
    return found
