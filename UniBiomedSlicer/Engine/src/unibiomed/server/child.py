# SPDX-License-Identifier: Apache-2.0
"""The engine as a child process: token in by stdin, port out by stdout, nothing secret on a command line."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Annotated, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from unibiomed import __version__
from unibiomed.engine import Engine
from unibiomed.engine.parameters import first_problem
from unibiomed.server import PROTOCOL
from unibiomed.server.app import create_app
from unibiomed.server.running import listen, make_server
from unibiomed.server.watching import end_with_parent

EXIT_REFUSED = 3
_LONGEST_LINE = 65_536


class Start(BaseModel):
    """The first line on stdin. ``model`` and ``device`` are what the client means to load, told for the log alone."""

    model_config = ConfigDict(extra="ignore")

    protocol: int
    token: Annotated[str, StringConstraints(min_length=16, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    model: str | None = None
    device: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def serve_parent(engine: Engine, lines: BinaryIO | None = None) -> int:
    """Serve the program that started this process until it closes stdin; returns the exit code."""
    source = sys.stdin.buffer if lines is None else lines
    start = _read_start(source.readline(_LONGEST_LINE))
    if isinstance(start, int):
        return start
    logging.basicConfig(level=start.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    bound = listen("127.0.0.1", 0)
    answers = os.dup(1)
    # From here on stdout is the log too: whatever a library prints cannot be taken for an answer.
    os.dup2(2, 1)

    def ready(port: int) -> None:
        line = {"event": "ready", "port": port, "protocol": PROTOCOL, "version": __version__, "pid": os.getpid()}
        os.write(answers, json.dumps(line).encode("ascii") + b"\n")
        os.close(answers)

    def stop() -> None:
        server.stop()

    server = make_server(
        create_app(engine, token=start.token, shutdown=stop),
        ready,
        connections=engine.limits.connections,
        log_level=start.log_level,
    )

    def end() -> None:
        engine.close(seconds=0.5)
        server.stop()

    end_with_parent(end)
    server.run(sockets=[bound])
    # The worker may be in the middle of a slice: nothing is left to be saved.
    logging.shutdown()
    os._exit(0)


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
