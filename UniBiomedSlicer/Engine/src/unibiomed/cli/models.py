# SPDX-License-Identifier: Apache-2.0
"""``unibiomed models``: the models on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unibiomed.cli.options import Json, Quiet
from unibiomed.cli.terminal import ProgressStyle, Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from unibiomed.model.hub import RemoteModel
    from unibiomed.model.store import StoredModel

Name = Annotated[str, typer.Argument(help="The model's name, as `unibiomed models list` shows it.", show_default=False)]
Repository = Annotated[str, typer.Argument(help="Organisation/Name on the Hugging Face Hub.", show_default=False)]
Revision = Annotated[
    str | None, typer.Option("--revision", help="A branch, tag or commit (else the newest).", show_default=False)
]
Progress = Annotated[
    ProgressStyle,
    typer.Option("--progress", help="A bar, or (lines) one line of JSON on stderr now and then, for other programs."),
]


def register(app: typer.Typer) -> None:
    """Add ``models`` and its sub-commands to ``app``."""
    group = typer.Typer(
        name="models",
        help="List, download, import, verify and remove models.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command("list")(list_models)
    group.command("where")(where)
    group.command("look-up")(look_up)
    group.command("download")(download)
    group.command("import")(import_folder)
    group.command("verify")(verify)
    group.command("remove")(remove)
    group.command("path")(path)
    app.add_typer(group)


def list_models(as_json: Json = False) -> None:
    """List the models that can be used by name.

    Example: [bold]unibiomed models list --json[/bold]
    """
    from unibiomed.model.store import ModelStore

    store = ModelStore()
    found = store.list()
    Terminal(as_json=as_json).show([model.to_json() for model in found], _table(found), f"Store: {store.root}")


def where() -> None:
    """Print the folder that downloaded and imported models are kept in.

    Example: [bold]du -sh "$(unibiomed models where)"[/bold]
    """
    from unibiomed.model.store import ModelStore

    print(ModelStore().root)


def look_up(repository: Repository, revision: Revision = None, as_json: Json = False) -> None:
    """Say what the Hugging Face Hub has under a name: revision, licence, size. Nothing is downloaded.

    Example: [bold]unibiomed models look-up Luffy503/UniBiomed[/bold]
    """
    from unibiomed.model.store import ModelStore

    remote = ModelStore().look_up(repository, revision)
    data = {"name": remote.repo_id, "revision": remote.revision, "licence": remote.licence, "size": remote.size}
    Terminal(as_json=as_json).show(
        data, f"{remote.repo_id} at {remote.revision[:12]}, {remote.size / 1e9:.2f} GB, licence: {remote.licence}"
    )


def download(
    repository: Repository,
    revision: Revision = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence that is shown, without the question.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    progress_style: Progress = ProgressStyle.BAR,
) -> None:
    """Download a model; its licence is shown and must be accepted first.

    A stopped download goes on where it was when the command is run again.

    Example: [bold]unibiomed models download Luffy503/UniBiomed[/bold]
    """
    from unibiomed.model.store import ModelStore

    terminal = Terminal(as_json=as_json, quiet=quiet, progress=progress_style)

    def accept(remote: RemoteModel) -> bool:
        terminal.note(
            f"{remote.repo_id} at {remote.revision[:12]}, {remote.size / 1e9:.2f} GB\n"
            f"Licence: {remote.licence} (see https://huggingface.co/{remote.repo_id})"
        )
        return accept_licence or typer.confirm("Do you accept this licence?", err=True)

    with terminal.bytes_bar(repository) as progress:
        model = ModelStore().download(repository, accept_licence=accept, revision=revision, progress=progress)
    terminal.show(model.to_json(), f"{model.name} is in {model.folder}")


def import_folder(
    folder: Annotated[
        Path, typer.Argument(help="A model folder (config, safetensors, tokenizer).", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Its name in the store (else the folder's).", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    progress_style: Progress = ProgressStyle.BAR,
) -> None:
    """Copy a model folder into the store; the folder itself is only read.

    Example: [bold]unibiomed models import runs/fine-tuned --name liver-2027[/bold]
    """
    from unibiomed.model.store import ModelStore

    terminal = Terminal(as_json=as_json, quiet=quiet, progress=progress_style)
    with terminal.bytes_bar(f"Copying {folder.name}") as progress:
        model = ModelStore().import_folder(folder, name, progress=progress)
    terminal.show(model.to_json(), f"{model.name} is in {model.folder}")


def verify(
    name: Name, as_json: Json = False, quiet: Quiet = False, progress_style: Progress = ProgressStyle.BAR
) -> None:
    """Read every file of a model and compare it with the SHA-256 recorded for it.

    Example: [bold]unibiomed models verify mini[/bold]
    """
    from unibiomed.model.store import ModelStore

    terminal = Terminal(as_json=as_json, quiet=quiet, progress=progress_style)
    with terminal.bytes_bar(f"Verifying {name}") as progress:
        model = ModelStore().verify(name, progress)
    terminal.show({**model.to_json(), "verified": True}, f"{model.name}: every file is as it was stored.")


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: Quiet = False,
) -> None:
    """Delete a model from the store.

    Example: [bold]unibiomed models remove Luffy503/UniBiomed --yes[/bold]
    """
    from unibiomed.model.store import ModelStore

    terminal = Terminal(quiet=quiet)
    if not yes and not typer.confirm(f"Delete {name}?", err=True):
        raise typer.Abort
    ModelStore().remove(name)
    terminal.show(None, f"{name} is removed.")


def path(name: Name) -> None:
    """Print the folder of a model.

    Example: [bold]ls "$(unibiomed models path mini)"[/bold]
    """
    from unibiomed.model.store import ModelStore

    print(ModelStore().path(name))


def _table(models: tuple[StoredModel, ...]) -> Table:
    from rich.table import Table

    table = Table("Name", "Licence", "Revision", "Size", "Folder", title="Models")
    for model in models:
        size = f"{model.size / 1e6:,.1f} MB"
        table.add_row(model.name, model.licence, model.revision[:12] or "-", size, str(model.folder))
    return table
