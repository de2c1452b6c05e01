# SPDX-License-Identifier: Apache-2.0
"""What went wrong where Slicer would only print it: collected here, and turned into test failures by the fixture.

Slicer swallows exceptions of slots and observers, and refuses connections to unknown signals with a silent False.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

_found: list[str] = []


def report(text: str) -> None:
    _found.append(text)
    print(text, file=sys.stderr)


def reportException(kind: type[BaseException], value: BaseException | None, where: TracebackType | None) -> None:
    report("".join(traceback.format_exception(kind, value, where)))


def take() -> list[str]:
    """The problems so far; they are forgotten here."""
    taken = list(_found)
    _found.clear()
    return taken


class _Logged(logging.Handler):
    """Exceptions that the extension catches and logs, so that the other listeners of an event are still called."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            _found.append(record.getMessage() + "\n" + "".join(traceback.format_exception(*record.exc_info)))


def _qtMessage(kind: object, context: object, text: str) -> None:
    if "No such s" in text:  # "QObject::connect: No such signal ..." or slot
        report(text)
    elif "This plugin does not support" not in text:
        print(text, file=sys.stderr)


def install() -> None:
    """Exceptions that C++ code swallows (slots, virtual methods, VTK observers) end up in these hooks."""
    from PySide6 import QtCore

    sys.excepthook = reportException
    logging.getLogger().addHandler(_Logged(logging.ERROR))
    QtCore.qInstallMessageHandler(_qtMessage)
    sys.unraisablehook = lambda args: reportException(args.exc_type, args.exc_value, args.exc_traceback)
