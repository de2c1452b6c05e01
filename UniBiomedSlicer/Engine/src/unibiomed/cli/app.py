# SPDX-License-Identifier: Apache-2.0
"""All commands together, and what an error looks like to the user."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from unibiomed import __version__
from unibiomed.cli import (
    annotate,
    demo,
    evaluate,
    export,
    interpret,
    models,
    questions,
    review,
    segment,
    send,
    serve,
    train,
)
from unibiomed.errors import UniBiomedError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def build_app() -> typer.Typer:
    """The command line as one typer application."""
    app = typer.Typer(
        name="unibiomed",
        help="Interpret biomedical images: segments, and text that speaks of them.",
        epilog="Exit codes: 0 done, 2 an error (one sentence on stderr), 130 stopped by Ctrl-C.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module in (interpret, segment, questions, serve, annotate, review, export, send, evaluate, train, models, demo):
        module.register(app)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors meant for the user become one sentence on stderr."""
    command = typer.main.get_command(build_app())
    try:
        command.main(args=None if arguments is None else list(arguments), prog_name="unibiomed")
    except UniBiomedError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        code: object = EXIT_INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    except MemoryError:
        _say("There is not enough memory for this image; crop or resample it, or close other programs.")
        return EXIT_ERROR
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or error}.")
        return EXIT_ERROR
    if code == EXIT_INTERRUPTED:
        _say("Stopped; nothing half-written is left.")
    return code if isinstance(code, int) else 0


def _say(sentence: str) -> None:
    print(f"unibiomed: {' '.join(sentence.split())}", file=sys.stderr)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"unibiomed {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """The options before the command."""
