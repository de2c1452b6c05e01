# SPDX-License-Identifier: Apache-2.0
"""Slicer's window goes first: an engine that computes on the CPU takes what Slicer leaves."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

NICENESS = 10
_PROCESS_SET_INFORMATION = 0x0200
_BELOW_NORMAL_PRIORITY_CLASS = 0x4000


def lowerPriority(pid: int) -> None:
    """Make ``pid`` give way to other programs; for a process that has just started, since threads inherit it."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_PROCESS_SET_INFORMATION, False, pid)
        if handle:
            kernel.SetPriorityClass(handle, _BELOW_NORMAL_PRIORITY_CLASS)
            kernel.CloseHandle(handle)
        return
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, max(NICENESS, os.getpriority(os.PRIO_PROCESS, pid)))
