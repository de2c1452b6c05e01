# SPDX-License-Identifier: Apache-2.0
"""``unibiomed send``: reviewed results back into the archive that the images came from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError

if TYPE_CHECKING:
    from unibiomed.cohort.archive import Archive

UserFile = Annotated[
    Path | None, typer.Option("--user-file", help="File with NAME:PASSWORD for the archive.", show_default=False)
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with a bearer token for the archive.", show_default=False)
]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", help="Certificate authority of the archive.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add ``send`` to ``app``."""
    app.command("send")(send_command)


def open_archive(url: str, user_file: Path | None, token_file: Path | None, ca_file: Path | None) -> Archive:
    """The archive at ``url`` with what the files say. Secrets come from files, so that no process list shows them."""
    try:
        from unibiomed.cohort.archive import Archive
    except ModuleNotFoundError as error:
        raise InputError(f"An archive needs {error.name}; install it: pip install 'unibiomed[dicomweb]'.") from error
    user = token = None
    if user_file is not None:
        name, colon, password = user_file.read_text(encoding="utf-8").strip().partition(":")
        if not colon:
            raise InputError(f"{user_file} must hold NAME:PASSWORD in one line.")
        user = (name, password)
    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    return Archive(url, user=user, token=token, ca=str(ca_file) if ca_file else None)


def send_command(
    catalogue: Annotated[Path, typer.Argument(help="Folder of the catalogue.", show_default=False)],
    url: Annotated[
        str, typer.Argument(help="DICOMweb root, as https://pacs.example.org/dicom-web.", show_default=False)
    ],
    which: Annotated[
        str, typer.Option("--cases", help="corrected, reviewed (accepted or corrected), or all.")
    ] = "reviewed",
    user_file: UserFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Send DICOM SEG and SR (TID 1500) of reviewed cases to a DICOMweb archive, into the study of their images."""
    from rich.text import Text

    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.export.dicom import write_dicom
    from unibiomed.cohort.export.samples import samples

    terminal = Terminal(as_json=as_json, quiet=quiet)
    if which not in ("corrected", "reviewed", "all"):
        raise InputError(f"--cases is corrected, reviewed or all, not {which[:40]!r}.")
    archive = open_archive(url, user_file, token_file, ca_file)
    with Catalogue(catalogue) as opened, tempfile.TemporaryDirectory(prefix="unibiomed-") as scratch:
        chosen = list(samples(opened, which, validation=0, test=0, keep_identity=True))  # type: ignore[arg-type]
        if not yes and not typer.confirm(
            f"Send results of {len(chosen)} cases, with patient data, to {url}?", err=True
        ):
            raise InputError("Nothing was sent.")
        with terminal.waiting("Sending"):
            files = write_dicom(Path(scratch), chosen)
            sent = archive.store(files)
    terminal.show({"sent": sent, "url": url}, Text(f"{sent} objects of {len(chosen)} cases are in {url}."))
