# SPDX-License-Identifier: Apache-2.0
"""``unibiomed serve``: the engine for 3D Slicer, on this machine or on another one."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unibiomed.cli import options
from unibiomed.errors import InputError

_GIB = 1 << 30


class LogLevel(StrEnum):
    """How much is told on stderr."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def register(app: typer.Typer) -> None:
    """Add ``serve`` to ``app``."""
    app.command("serve")(serve_command)


def serve_command(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8791,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the token that clients must send (else one is made up)."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its private key, PEM.")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front does the TLS.")] = False,
    model: Annotated[str, typer.Option("--model", "-m", help='Loaded at the start; "none" for none.')] = "mini",
    model_folder: Annotated[
        list[str] | None,
        typer.Option("--model-folder", help="NAME=FOLDER: a model that clients may load by NAME; again for more."),
    ] = None,
    device: options.Device = "auto",
    dtype: options.DType = "auto",
    sessions: Annotated[int, typer.Option("--sessions", min=1, help="Most clients at a time.")] = 16,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Most jobs that wait, of all clients.")] = 64,
    volume_memory: Annotated[float, typer.Option("--volume-memory", min=0.1, help="GiB of voxels to keep.")] = 8.0,
    allow_shutdown: Annotated[bool, typer.Option("--allow-shutdown", help="Clients may end the engine.")] = False,
    log_level: Annotated[LogLevel, typer.Option("--log-level")] = LogLevel.info,
    stdio: Annotated[
        bool,
        typer.Option(
            "--stdio",
            help="For programs that start the engine: token on stdin, port on stdout, ends when stdin closes; "
            "all else is ignored.",
        ),
    ] = False,
) -> None:
    """Serve the engine to 3D Slicer; beyond this machine only with a token and TLS.

    Examples:

    [bold]unibiomed serve[/bold]

    [bold]unibiomed serve --host 0.0.0.0 --token-file token --tls-cert cert.pem --tls-key key.pem[/bold]
    """
    if stdio:
        from unibiomed.server.child import serve_parent

        raise typer.Exit(serve_parent())
    from unibiomed.engine import Limits
    from unibiomed.server.standalone import Options, serve

    room = int(volume_memory * _GIB)
    limits = replace(
        Limits(), sessions=sessions, queued_jobs=queue, volume_bytes=room, one_volume_bytes=min(room, 4 * _GIB)
    )
    wanted = Options(
        host=host,
        port=port,
        token_file=token_file,
        certificate=tls_cert,
        key=tls_key,
        behind_proxy=behind_proxy,
        allow_shutdown=allow_shutdown,
        model=None if model == "none" else model,
        device=device,
        dtype=dtype,
        folders=dict(_named_folder(text) for text in model_folder or ()),
        limits=limits,
        log_level=log_level.value,
    )
    serve(wanted, lambda text: print(text, file=sys.stderr, flush=True))


def _named_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise InputError(f"{text[:80]!r} does not name a model folder; write NAME=FOLDER.")
    return name, Path(folder)
