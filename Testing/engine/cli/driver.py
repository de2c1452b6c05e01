# SPDX-License-Identifier: Apache-2.0
"""The command line with a model that reads grey values, as a process of its own: ``python driver.py SECONDS ARGS...``.

SECONDS is how long the model thinks about each picture.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType


def load_fakes() -> ModuleType:
    name = "unibiomed_task_fakes"
    if name not in sys.modules:
        place = Path(__file__).parents[1] / "tasks" / "fakes.py"
        spec = importlib.util.spec_from_file_location(name, place)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def make_model(seconds: float = 0.0):
    """The grey value model; ``seconds`` a picture."""
    fakes = load_fakes()

    class Slow(fakes.FakeModel):
        device_reason = "the test's own"

        def _answer(self, image, text):
            if seconds:
                print("thinking", file=sys.stderr, flush=True)
                time.sleep(seconds)
            return super()._answer(image, text)

    return Slow()


def print_peak() -> None:
    """Peak memory of this program; ``ru_maxrss`` would count the process that started it too."""
    status = Path("/proc/self/status").read_text().split()
    print("peak", status[status.index("VmHWM:") + 1], "kB", file=sys.stderr)


if __name__ == "__main__":
    # A shell starts programs in the background with Ctrl-C ignored, and a test may run there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "UNIBIOMED_TEST_PEAK" in os.environ:
        atexit.register(print_peak)
    import unibiomed.model
    import unibiomed.model.store
    from unibiomed.cli import main

    thinking = float(sys.argv[1])

    def load(*args, **options):
        if thinking:
            print("loading", file=sys.stderr, flush=True)
            time.sleep(thinking)
        return make_model(thinking)

    unibiomed.model.load = load
    unibiomed.model.store.resolve = Path
    print("ready", file=sys.stderr, flush=True)
    main(sys.argv[2:])
