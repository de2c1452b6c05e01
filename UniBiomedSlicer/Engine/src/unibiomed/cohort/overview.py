# SPDX-License-Identifier: Apache-2.0
"""``overview.html``: what was found in how many cases, and every case with its picture; one file, no script."""

from __future__ import annotations

import base64
import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from unibiomed.cohort.annotate import AUTOMATIC, THUMBNAIL
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.records import Record
from unibiomed.cohort.tally import tally
from unibiomed.volumes.atomic import atomic_path

OVERVIEW = "overview.html"


def write_overview(catalogue: Catalogue, *, thumbnails: bool = True) -> Path:
    """Write the page beside the catalogue; returns its path. Without ``thumbnails`` it stays small for huge cohorts."""
    text = resources.files("unibiomed.cohort").joinpath("overview.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    records = list(catalogue.records(embeddings=False))
    page = environment.from_string(text).render(
        cohort=catalogue.cohort.name,
        counts=catalogue.counts(),
        reviewed=sum(record.decision is not None for record in records),
        plan=catalogue.plan,
        asked=catalogue.plan.all_targets,
        tally=tally(catalogue),
        rows=[_row(catalogue, record, thumbnails) for record in records],
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    target = catalogue.folder / OVERVIEW
    with atomic_path(target) as scratch:
        scratch.write_text(page, encoding="utf-8")
    return target


def _row(catalogue: Catalogue, record: Record, thumbnails: bool) -> dict[str, Any]:
    folder = catalogue.folder / AUTOMATIC / record.case.id
    picture = folder / THUMBNAIL
    shown = ""
    if thumbnails and record.state == "done" and picture.is_file():
        shown = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")
    report = folder / "report.html"
    outcome, decision = record.outcome, record.decision
    reading = outcome.reading if outcome else None
    return {
        "id": record.case.id,
        "patient": record.case.patient,
        "state": record.state,
        "reason": record.reason,
        "picture": shown,
        "report": report.relative_to(catalogue.folder).as_posix() if report.is_file() else "",
        "segments": outcome.segments if outcome else None,
        "confidence": outcome.confidence if outcome else None,
        "disagreement": outcome.disagreement if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "modality": reading.modality if reading else "",
        "rule": reading.rule if reading else None,
        "findings": reading.findings if reading else None,
        "left_out": reading.left_out if reading else (),
        "verdict": decision.verdict if decision else "",
        "reviewer": decision.reviewer if decision else "",
    }
