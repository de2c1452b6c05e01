# SPDX-License-Identifier: Apache-2.0
"""``unibiomed serve``: the engine for 3D Slicer, on this machine or on another one."""

from __future__ import annotations

from typing import Annotated

import typer

from unibiomed.errors import InputError


def register(app: typer.Typer) -> None:
    """Add ``serve`` to ``app``."""
    app.command("serve")(serve_command)


def serve_command(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Started by another program: token by stdin, port by stdout.")
    ] = False,
) -> None:
    """Serve."""
    from unibiomed.engine import Engine
    from unibiomed.server.child import serve_parent

    if stdio:
        raise typer.Exit(serve_parent(Engine()))
    raise InputError("Only --stdio so far.")
