# SPDX-License-Identifier: Apache-2.0
"""The engine as a child process: token in by stdin, port out by stdout, nothing secret on a command line."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from unibiomed import __version__
from unibiomed.engine import Engine, Limits
from unibiomed.engine.parameters import first_problem
from unibiomed.server import PROTOCOL
from unibiomed.server.app import create_app
from unibiomed.server.running import listen, make_server, share_the_interpreter
from unibiomed.server.watching import end_with_parent

EXIT_REFUSED = 3
LEASE_SECONDS = 900.0
"""Long: whether that program lives is told by stdin, and it may be busy loading data for minutes."""
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LONGEST_LINE = 65_536


class Start(BaseModel):
    """The first line on stdin; what it holds beside this is ignored.

    ``models`` are folders that may be loaded by the names given here: the program that starts the engine may use any.
    """

    model_config = ConfigDict(extra="ignore")

    protocol: int
    token: Annotated[str, StringConstraints(min_length=16, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    models: dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], Path] = {}
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def serve_parent() -> int:
    """Serve the program that started this process until it closes stdin; returns the exit code if it was refused."""
    _leave_process_group()
    start = _read_start(sys.stdin.buffer.readline(_LONGEST_LINE))
    if isinstance(start, int):
        return start
    logging.basicConfig(level=start.log_level.upper(), format=LOG_FORMAT)
    share_the_interpreter()
    engine = Engine(Limits(lease_seconds=LEASE_SECONDS), folders=start.models)
    bound = listen("127.0.0.1", 0)
    answers = os.dup(1)
    # From here on stdout is the log too: whatever a library prints cannot be taken for an answer.
    os.dup2(2, 1)

    def ready(port: int) -> None:
        line = {"event": "ready", "port": port, "protocol": PROTOCOL, "version": __version__, "pid": os.getpid()}
        os.write(answers, json.dumps(line).encode("ascii") + b"\n")
        os.close(answers)

    server = make_server(
        create_app(engine, token=start.token, shutdown=lambda: server.stop()),
        ready,
        connections=engine.limits.connections,
        log_level=start.log_level,
    )

    def end() -> None:
        engine.close(seconds=0.5)
        server.stop()

    end_with_parent(end)
    server.run(sockets=[bound])
    leave()


def leave() -> NoReturn:
    """End the process now: the worker may be in the middle of a slice, and nothing is left to be saved."""
    logging.shutdown()
    os._exit(0)


def _leave_process_group() -> None:
    # So that the whole tree can be ended at once, and Ctrl-C in a terminal reaches the program above alone.
    if hasattr(os, "setpgid"):
        with suppress(OSError):
            os.setpgid(0, 0)


def _read_start(line: bytes) -> Start | int:
    """The start line, or the exit code where it was refused (told on stdout)."""
    try:
        given = json.loads(line)
    except ValueError:
        return _refuse("bad_start", "The first line on stdin is not JSON; the engine is started by 3D Slicer.")
    spoken = given.get("protocol") if isinstance(given, dict) else None
    if spoken != PROTOCOL:
        return _refuse(
            "protocol_mismatch",
            f"This engine (version {__version__}) speaks protocol {PROTOCOL} and the program that started it protocol "
            f"{str(spoken)[:20]}; repair the environment so that both are of one version.",
        )
    try:
        return Start.model_validate(given)
    except ValidationError as error:
        return _refuse("bad_start", f"The first line on stdin cannot be used: {first_problem(error.errors())}")


def _refuse(code: str, message: str) -> int:
    print(json.dumps({"event": "refused", "code": code, "message": message}), flush=True)
    return EXIT_REFUSED
