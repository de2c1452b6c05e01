# SPDX-License-Identifier: Apache-2.0
"""What may have gone wrong when the engine ended by itself, from how it ended and from its last lines."""

from __future__ import annotations

import re
import sys

from slicer.i18n import tr as _

_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


def howItEnded(code: int, crashed: bool) -> str:
    """The exit in words: "exit code 1" or "SIGKILL"; ``code`` is the signal's number where it crashed (not Windows)."""
    if crashed and sys.platform != "win32":
        return _SIGNALS.get(code, _("signal {number}").format(number=code))
    if code < 0 or code > 255:
        return _("exit code {code}").format(code=f"0x{code & 0xFFFFFFFF:08X}")
    return _("exit code {code}").format(code=code)


def suggestion(code: int, crashed: bool, lastLines: list[str]) -> str:
    """What to do, one sentence; the log speaks first, then the way it ended."""
    said = "\n".join(lastLines)
    for pattern, advice in _byLog():
        if re.search(pattern, said, re.IGNORECASE):
            return advice
    if crashed and sys.platform != "win32":
        if code in (9, 15):
            return _(
                "It was ended from outside, most often because memory ran out: close other programs, choose fewer "
                "slices or a smaller model, then start it again."
            )
        if code == 4:
            return _("This processor lacks instructions that PyTorch needs: use a remote server.")
        return _("Start it again; if it happens again, update the graphics driver or repair the environment.")
    return _("Look at the log, then start it again or repair the environment in module UniBiomed.")


def _byLog() -> list[tuple[str, str]]:
    memory = _(
        "Memory ran out: close other programs, choose fewer slices, a smaller model or the CPU, and start it again."
    )
    repair = _("The environment is damaged: repair it in module UniBiomed.")
    return [
        (
            r"No space left on device|Errno 28|disk (is )?full",
            _("The disk is full: free some space and start it again."),
        ),
        (r"out of memory|MemoryError|bad_alloc|paging file is too small", memory),
        (
            r"No module named '?unibiomed",
            _("This Python has no UniBiomed engine: repair the environment, or choose another interpreter."),
        ),
        (r"No module named|cannot import name|DLL load failed|cannot open shared object", repair),
        (r"Fatal Python error: init|Could not find platform|SRE module mismatch|No module named 'encodings'", repair),
        (
            r"CUDA driver version is insufficient|no kernel image|CUDA error",
            _("The graphics driver does not fit: update it, or choose the CPU as device and start the engine again."),
        ),
        (
            r"Permission denied|Errno 13",
            _("A file or folder cannot be read or written: check its permissions, or repair the environment."),
        ),
    ]
