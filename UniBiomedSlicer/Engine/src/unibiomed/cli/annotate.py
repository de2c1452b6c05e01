# SPDX-License-Identifier: Apache-2.0
"""``unibiomed annotate``: a whole cohort by one plan, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unibiomed.cli import options
from unibiomed.cli.opening import open_model
from unibiomed.cli.send import CaFile, TokenFile, UserFile, open_archive
from unibiomed.cli.terminal import Terminal
from unibiomed.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unibiomed.cohort.cases import Case, Found
    from unibiomed.cohort.catalogue import Catalogue
    from unibiomed.cohort.plan import Plan
    from unibiomed.cohort.run import CaseEvent, Runner

    Fetch = Callable[[Case], object]


def register(app: typer.Typer) -> None:
    """Add ``annotate`` to ``app``."""
    app.command("annotate")(annotate_command)


def annotate_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="COHORT", help="Folder with images, or a DICOMweb archive (https://…).", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the catalogue (else COHORT/derivatives/unibiomed)."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", "-p", help="YAML file that says what is looked for.", show_default=False)
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="What to segment; may be repeated. None: prompt-free.")
    ] = None,
    modality: options.Modality = None,
    site: options.Site = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Instead of the plan's model.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="Instead of the plan's device.")] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray", help='Address of a Ray cluster, or "local": workers there do the cases.', show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Ray workers (else one for each GPU, or one).")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try cases again that failed before.")] = False,
    redo: Annotated[
        bool,
        typer.Option("--redo", help="Do finished cases again that nobody has reviewed, as for a new plan or model."),
    ] = False,
    plan_only: Annotated[
        bool,
        typer.Option("--plan-only", help="Show what each case would get, and which would fail; do and write nothing."),
    ] = False,
    match: Annotated[
        list[str] | None, typer.Option("--match", help='Of an archive: KEYWORD=VALUE, as StudyDescription="*liver*".')
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Of an archive: at most so many series.")] = None,
    user_file: UserFile = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Pre-annotate every volume of a folder or an archive. Stopped or killed, the same command goes on where it was.

    Examples:

    [bold]unibiomed annotate scans/ -t liver -t spleen --modality CT[/bold]

    [bold]unibiomed annotate scans/ --plan plan.yaml --plan-only[/bold]

    [bold]unibiomed annotate scans/ --plan plan.yaml --ray auto[/bold]
    """
    from unibiomed.cli.cohort_tables import case_table, finding_tables, plan_json, plan_table, summary_json
    from unibiomed.cohort.cases import in_words
    from unibiomed.cohort.overview import write_overview
    from unibiomed.cohort.preview import preview, warnings_of
    from unibiomed.cohort.run import default_folder, work
    from unibiomed.cohort.tally import tally

    terminal = Terminal(as_json=as_json, quiet=quiet)
    cohort, fetch, found = _source(source, output, match, limit, user_file, token_file, ca_file)
    folder = output or default_folder(cohort)
    wanted = _plan(folder, plan, target, modality, site, model, device)
    rows = preview(wanted, found.cases)
    warnings = warnings_of(wanted, rows)
    if found.left_out:
        terminal.note(f"Left out: {in_words(found.left_out)}.")
    for warning in warnings:
        terminal.note(warning)
    if plan_only:
        terminal.show(plan_json(wanted, rows, warnings, found.left_out), plan_table(wanted, rows))
        return
    with _opened(folder, cohort, found.cases, wanted, terminal, redo=redo) as catalogue:
        states = [state for state, asked in (("failed", retry_failed or redo), ("done", redo)) if asked]
        if states:
            terminal.note(f"{catalogue.wait_again(states)} cases are done again.")
        waiting = catalogue.counts()["waiting"]
        terminal.note(f"{waiting} of {sum(catalogue.counts().values())} cases are to be done; catalogue: {folder}")
        if waiting or catalogue.counts()["running"]:
            runner = _runner(catalogue, cohort, fetch, ray, workers, terminal)
            with terminal.working(unit="cases") as bar:

                def told(event: CaseEvent) -> None:
                    bar.progress(_Bar("annotate", event.done, event.total))
                    if event.reason:
                        terminal.note(f"{event.case.id}: {event.reason}")

                work(catalogue, runner, told, bar.cancelled)
        page = write_overview(catalogue)
        counted = tally(catalogue)
        terminal.show(summary_json(catalogue, counted, warnings), case_table(catalogue), *finding_tables(counted))
        if counted.free:
            terminal.note(f"{counted.abnormal} of {counted.free} prompt-free cases show an abnormality.")
        if counted.cases:
            terminal.note(f"{counted.mean_seconds:.1f} s a case.")
        terminal.note(f"Overview: {page}")


class _Bar:
    """What the progress bar reads of an event."""

    def __init__(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total


def _plan(
    folder: Path,
    path: Path | None,
    targets: list[str] | None,
    modality: str | None,
    site: str | None,
    model: str | None,
    device: str | None,
) -> Plan:
    """The plan file, or the one in the catalogue, or the default; with what the options say in their place."""
    from unibiomed.cohort.catalogue import FILE, Catalogue
    from unibiomed.cohort.plan import Plan, plan_from, read_plan

    if path is not None:
        base = read_plan(path)
    elif (folder / FILE).is_file():
        with Catalogue(folder) as catalogue:
            base = catalogue.plan
    else:
        base = Plan()
    given = {"targets": targets, "modality": modality, "site": site, "model": model, "device": device}
    changed = {name: value for name, value in given.items() if value}
    return plan_from({**base.model_dump(mode="json"), **changed}, "the options")


def _source(
    source: str,
    output: Path | None,
    match: list[str] | None,
    limit: int | None,
    user_file: Path | None,
    token_file: Path | None,
    ca_file: Path | None,
) -> tuple[Path, Fetch | None, Found]:
    """Folder of the images, how the files of a case get there (None: they are there), and the cases."""
    from unibiomed.cohort.cases import Found, look_through

    if not source.startswith(("https://", "http://")):
        return Path(source), None, look_through(Path(source))
    if output is None:
        raise InputError("Say with --output where the images of the archive and the results go.")
    pairs = [entry.partition("=") for entry in match or []]
    if any(not equals or not keyword.isalpha() for keyword, equals, _ in pairs):
        raise InputError("--match is KEYWORD=VALUE with a DICOM keyword, as Modality=CT.")
    archive = open_archive(source, user_file, token_file, ca_file)
    cases = tuple(archive.series({keyword: value for keyword, _, value in pairs}, limit=limit))
    if not cases:
        raise InputError(f"The archive at {source} has no image series that match.")
    return output, lambda case: archive.fetch(case, output), Found(cases)


def _opened(
    folder: Path, cohort: Path, cases: Sequence[Case], plan: Plan, terminal: Terminal, *, redo: bool
) -> Catalogue:
    """The catalogue in ``folder``, made if there is none; new images of the cohort are added.

    A plan that is another for no finished case takes the old one's place: a rule for those that failed costs no redo.
    """
    from unibiomed.cohort.catalogue import FILE, Catalogue
    from unibiomed.cohort.plan import differs_for

    if not (folder / FILE).is_file():
        return Catalogue.create(folder, cohort, plan, cases)
    catalogue = Catalogue(folder)
    if catalogue.cohort.resolve() != cohort.resolve():
        catalogue.close()
        raise InputError(f"{folder} is the catalogue of {catalogue.cohort}; choose another --output for {cohort}.")
    if (before := catalogue.plan) != plan:
        changed = [case.id for case in catalogue.cases_in("done") if differs_for(case, before, plan)]
        if changed and not redo:
            catalogue.close()
            raise InputError(
                f"The plan differs from that of finished cases ({len(changed)}, as {changed[0]}); add --redo, or "
                "choose another --output."
            )
        failed = [case.id for case in catalogue.cases_in("failed") if differs_for(case, before, plan)]
        catalogue.set_plan(plan)
        if failed:
            terminal.note(f"{catalogue.try_again(failed)} failed cases, for which the plan is another now, are tried.")
    if new := catalogue.add_cases(cases):
        terminal.note(f"{new} new cases were found.")
    return catalogue


def _runner(
    catalogue: Catalogue, cohort: Path, fetch: Fetch | None, ray: str | None, workers: int | None, terminal: Terminal
) -> Runner:
    plan = catalogue.plan
    if ray is not None and fetch is not None:
        raise InputError("Workers of a cluster read files: fetch the series into a shared folder first.")
    if ray is not None:
        from unibiomed.cohort.ray_runner import annotate_on_ray

        return annotate_on_ray(ray, plan, cohort, catalogue.folder, workers=workers)
    from unibiomed.cohort.annotate import Annotator
    from unibiomed.cohort.run import annotate_here

    model = open_model(plan.model, plan.device, "auto", terminal)
    return annotate_here(Annotator(model, plan, cohort, catalogue.folder, fetch))
