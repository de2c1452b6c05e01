# SPDX-License-Identifier: Apache-2.0
"""The engine ends with the program that started it: when stdin closes, or when that program is gone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

_POLITE_SECONDS = 1.0
_LOOK_EVERY_S = 0.25


def end_with_parent(stop: Callable[[], None], descriptor: int = 0) -> None:
    """Watch ``descriptor`` and the parent process from threads; then ``stop()``, and a second later the hard end."""
    gone = threading.Event()
    parent = os.getppid()

    def end() -> None:
        gone.wait()
        stop()
        # A job may be deep in a library that cannot be interrupted.
        time.sleep(_POLITE_SECONDS)
        os._exit(0)

    def watch_input() -> None:
        wait_for_end_of_file(descriptor)
        gone.set()

    def watch_parent() -> None:
        # A copy of the pipe in another child of that program would keep it open beyond its end.
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        gone.set()

    watchers = [end, watch_input] if sys.platform == "win32" else [end, watch_input, watch_parent]
    for watcher in watchers:
        threading.Thread(target=watcher, name=f"unibiomed-{watcher.__name__}", daemon=True).start()


def wait_for_end_of_file(descriptor: int) -> None:
    """Return when the other side of ``descriptor`` is closed; what is sent meanwhile is ignored."""
    if sys.platform == "win32":
        _wait_for_broken_pipe(descriptor)
        return
    while os.read(descriptor, 4096):
        pass


def _wait_for_broken_pipe(descriptor: int) -> None:
    # A blocking read of a pipe on Windows blocks every other look at that handle, which imports of libraries make.
    import _winapi
    import msvcrt

    handle = msvcrt.get_osfhandle(descriptor)
    while True:
        try:
            waiting, _ = _winapi.PeekNamedPipe(handle, 0)
        except OSError:
            return
        if waiting:
            os.read(descriptor, waiting)
        time.sleep(_LOOK_EVERY_S)
