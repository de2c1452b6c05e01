# SPDX-License-Identifier: Apache-2.0
"""uvicorn around the application: which socket, which limits, and a word when it listens."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 1
_SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """Calls ``ready(port)`` once it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        if self.started and sockets:
            self._ready(sockets[0].getsockname()[1])

    def stop(self) -> None:
        """End soon; may be called from any thread."""
        self.should_exit = True


def share_the_interpreter() -> None:
    """Hand the interpreter over more often than every 5 ms, so that voxels arrive fast while a job computes."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def make_server(
    app: FastAPI,
    ready: Callable[[int], None],
    *,
    connections: int,
    certificate: Path | None = None,
    key: Path | None = None,
    log_level: str = "info",
) -> Server:
    """A server that answers with ``app``; over TLS where a certificate is given."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=False,
        log_config=None,
        log_level=log_level,
        limit_concurrency=connections,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=90,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return Server(config, ready)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on ``host``, an address or a name; ``port`` 0 takes a free one. OSError where it cannot be."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    bound.set_inheritable(False)
    return bound
