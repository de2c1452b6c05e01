# SPDX-License-Identifier: Apache-2.0
"""The engine started by hand, on this machine or for others: what must be in place before it listens."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from unibiomed.engine import Engine, Limits
from unibiomed.engine.models import ModelChoice
from unibiomed.errors import InputError
from unibiomed.server import PROTOCOL
from unibiomed.server.app import create_app
from unibiomed.server.child import LOG_FORMAT, leave
from unibiomed.server.running import listen, make_server, share_the_interpreter

_TOKEN = re.compile(r"[\x21-\x7e]{16,500}")


@dataclass(frozen=True)
class Options:
    """How to serve. ``folders`` are models that clients may load by name; ``model`` None loads none at the start."""

    host: str = "127.0.0.1"
    port: int = 0
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    allow_shutdown: bool = False
    model: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    folders: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    log_level: str = "info"


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; ``say`` is given what the person who started it must know.

    InputError for what would be unsafe or cannot be: see :func:`check_options`.
    """
    token = check_options(options)
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT)
    share_the_interpreter()
    engine = Engine(options.limits, folders=options.folders)
    if options.model is not None:
        engine.models.folder(options.model)
    try:
        bound = listen(options.host, options.port)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The engine cannot listen on {options.host} port {options.port}: {reason}.") from error

    def ready(port: int) -> None:
        scheme = "http" if options.certificate is None else "https"
        host = f"[{options.host}]" if ":" in options.host else options.host
        say(f"UniBiomed serves protocol {PROTOCOL} at {scheme}://{host}:{port} until Ctrl-C. Not for clinical use.")
        if options.token_file is None:
            say(f"Token (made up for this run): {token}")
        if options.model is not None:
            engine.load("", ModelChoice(options.model, options.device, options.dtype))

    server = make_server(
        create_app(engine, token=token, shutdown=(lambda: server.stop()) if options.allow_shutdown else None),
        ready,
        connections=options.limits.connections,
        certificate=options.certificate,
        key=options.key,
        log_level=options.log_level,
    )
    with suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
    leave()


def check_options(options: Options) -> str:
    """The token to ask for; InputError where others could read along or get in."""
    if (options.certificate is None) != (options.key is None):
        raise InputError("TLS needs both a certificate and its key; give --tls-cert and --tls-key.")
    for path in (options.certificate, options.key):
        if path is not None and not path.is_file():
            raise InputError(f"There is no file {path}.")
    for name, folder in options.folders.items():
        if not folder.is_dir():
            raise InputError(f"The folder of the model {name}, {folder}, does not exist.")
    if not is_loopback(options.host):
        if options.token_file is None:
            raise InputError(
                f"{options.host} can be reached by others: put a token of your own into a file and give --token-file."
            )
        if options.certificate is None and not options.behind_proxy:
            raise InputError(
                f"{options.host} can be reached by others, so what is sent must be encrypted: give --tls-cert and "
                "--tls-key, or say --behind-proxy where a proxy does it."
            )
    return secrets.token_urlsafe(24) if options.token_file is None else read_token(options.token_file)


def read_token(path: Path) -> str:
    """The token in a file: its one line."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The token cannot be read from {path}: {error}.") from error
    if not _TOKEN.fullmatch(token):
        raise InputError(f"The token in {path} must be one line of 16 to 500 printable characters without blanks.")
    return token


def is_loopback(host: str) -> bool:
    """Whether ``host``, an address or a name, means this machine alone; InputError where it means nothing."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"There is no address {host!r} to listen on.") from error
    return all(ipaddress.ip_address(str(address[0]).split("%")[0]).is_loopback for *_, address in found)
