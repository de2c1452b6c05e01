# SPDX-License-Identifier: Apache-2.0
"""The end of a child process: together with whatever it has started, and without harm to the QProcess that told it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

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


def letGo(process: Any) -> None:
    """Delete a QProcess from within one of its own signals; the caller may drop its reference at once."""
    process.deleteLater()
    # PythonQt deletes an object without a parent together with its last Python reference, whatever deleteLater() was
    # told, and after a failed start QProcess goes on using itself: one more turn of the event loop keeps it.
    qt.QTimer.singleShot(0, lambda: process)


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
