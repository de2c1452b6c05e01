# SPDX-License-Identifier: Apache-2.0
"""A report as bytes to save: DICOM SR, page, text or JSON, from the document alone (no path, no voxels)."""

from __future__ import annotations

import base64
import io
import json
import textwrap
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

from unibiomed.errors import InputError
from unibiomed.tasks.compose import extent_text, full_stop, sentence_case, span_text, volume_text
from unibiomed.tasks.outputs.colors import segment_colors
from unibiomed.tasks.outputs.document import Document, DocumentSegment, as_interpretation, read_document
from unibiomed.tasks.outputs.page import render_page
from unibiomed.tasks.outputs.segmentation import segment_names
from unibiomed.tasks.outputs.views import VIEW_SIDE, View
from unibiomed.tasks.results import Result

NOTICE = "AI generated, not for clinical use."
UNRELIABLE = "Unreliable: the model was not trained on this question."
EDITED = "A person edited this text after it was generated."
MAX_PIXELS = 4_000_000


def export(kind: str, document: dict[str, Any]) -> tuple[bytes, str]:
    """``document`` (see ``outputs.document.Document``; ``result`` may stand in for its fields) as ``kind``.

    Kinds: ``dicom-sr``, ``html``, ``text``, ``json``. Returns the bytes and their media type. InputError for another
    kind and for a document that is wrong, with the place.
    """
    writer = _WRITERS.get(kind)
    if writer is None:
        raise InputError(f'A report cannot be exported as "{kind}"; choose one of {", ".join(sorted(_WRITERS))}.')
    return writer(*read_document(document))


def as_text(document: Document, result: Result | None = None) -> tuple[bytes, str]:
    """Plain text in UTF-8: the notice, the text, a line for each segment, how it came about."""
    lines = [document.title or "UniBiomed report", NOTICE]
    lines += [UNRELIABLE] if document.unreliable else []
    lines += [EDITED] if document.edited else []
    lines += ["", document.text.strip() or "(no text)"]
    if document.segments:
        lines += ["", "Segments"]
        lines += [f"- {_figures(item)}" for item in document.segments]
    if document.notes:
        lines += ["", "Notes"]
        lines += [textwrap.fill(note, 100, initial_indent="- ", subsequent_indent="  ") for note in document.notes]
    made = ", ".join(
        f"{label} {document.provenance[name]}"
        for name, label in (("model", "model"), ("model_version", "version"), ("date", "made"))
        if document.provenance.get(name)
    )
    lines += ["", f"UniBiomed for 3D Slicer{', ' if made else ''}{made}"]
    return ("\n".join(lines) + "\n").encode(), "text/plain; charset=utf-8"


def as_json(document: Document, result: Result | None = None) -> tuple[bytes, str]:
    """The document itself, complete, checked."""
    values = document.model_dump(mode="json")
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode(), "application/json"


def as_html(document: Document, result: Result | None = None) -> tuple[bytes, str]:
    """The page of ``report.html``, with the pictures that the document brings."""
    if result is None:
        raise InputError("The page is written from a task's result; send it as the document's result.")
    shell = as_interpretation(document, result)
    known = {item.id for item in shell.segments}
    views = [_view(item, known) for item in sorted(document.images, key=lambda image: image.slice)]
    page = render_page(shell, views, segment_colors(shell.segments), segment_names(shell.segments))
    return page.encode(), "text/html; charset=utf-8"


def as_dicom_sr(document: Document, result: Result | None = None) -> tuple[bytes, str]:
    """A DICOM file: Comprehensive 3D SR, TID 1500."""
    # highdicom takes a second to import; only this kind needs it.
    build = import_module("unibiomed.tasks.outputs.structured_report").structured_report
    return build(document), "application/dicom"


_WRITERS: dict[str, Callable[[Document, Result | None], tuple[bytes, str]]] = {
    "dicom-sr": as_dicom_sr,
    "html": as_html,
    "text": as_text,
    "json": as_json,
}
KINDS = tuple(sorted(_WRITERS))


def _figures(item: DocumentSegment) -> str:
    said = [
        volume_text(item.volume_ml),
        extent_text(item.extent_mm),
        span_text(item.slices) if item.slices else "",
        f"confidence {item.confidence:.2f}" if item.confidence is not None else "",
    ]
    told = ", ".join(figure for figure in said if figure)
    line = f"{sentence_case(item.name)}: {told}" if told else sentence_case(item.name)
    return f"{line}. {full_stop(sentence_case(item.sentence))}" if item.sentence else line


def _view(image: Any, known: set[str]) -> View:
    picture = np.asarray(_decoded(image.picture, image.slice).convert("RGB"))
    masks = {
        identity: np.asarray(_decoded(mask, image.slice).convert("L")) >= 128
        for identity, mask in image.masks.items()
        if identity in known
    }
    return View(image.slice, picture, masks)


def _decoded(text: str, index: int) -> Image.Image:
    """A square PNG at the view's size; InputError for anything else."""
    refused = f"The picture of slice {index} is not a square PNG in base64 of at most {MAX_PIXELS:,} pixels."
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
        width, height = image.size
        if width != height or width * height > MAX_PIXELS:
            raise InputError(refused)
        image.load()
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(refused) from error
    return image if width == VIEW_SIDE else image.resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.NEAREST)
