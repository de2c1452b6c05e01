# SPDX-License-Identifier: Apache-2.0
"""A report as a file: HTML with pictures, PDF, plain text, JSON. DICOM SR is asked of the engine (see ``Logic``).

A file appears under its name only when it is complete; what was there before stays until then.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from UniBiomedReportLib import HtmlReport
from UniBiomedReportLib.PdfReport import pdfSteps
from UniBiomedReportLib.Pictures import pictureSteps

HTML, PDF, TEXT, JSON, DICOM_SR = "html", "pdf", "text", "json", "dicom-sr"
SUFFIXES = {HTML: ".html", PDF: ".pdf", TEXT: ".txt", JSON: ".json", DICOM_SR: ".dcm"}
_FALLBACK = (160, 160, 160)


def exportSteps(
    kind: str, path: str, document: dict[str, Any], volumeNode: Any, segmentationNode: Any
) -> Iterator[None]:
    """Write a report document (``ReportDocument``) as ``kind``, one short step at a time; OSError where that fails.

    Without a volume node there are no pictures.
    """
    colors = segmentColors(segmentationNode, [item["id"] for item in document["segments"]])
    pictures = []
    if kind in (HTML, PDF) and volumeNode is not None and volumeNode.GetImageData() is not None:
        provenance = document["provenance"]
        ids = [item["id"] for item in document["segments"]]
        read = provenance.get("slices", ())
        pictures = yield from pictureSteps(volumeNode, segmentationNode, ids, colors, provenance, read)
    with replacing(path) as temporary:
        if kind == PDF:
            yield from pdfSteps(temporary, HtmlReport.printed(document, pictures, colors), document["title"])
        elif kind == HTML:
            Path(temporary).write_text(HtmlReport.page(document, pictures, colors), encoding="utf-8")
        elif kind == TEXT:
            Path(temporary).write_text(HtmlReport.plain(document), encoding="utf-8")
        elif kind == JSON:
            written = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
            Path(temporary).write_text(written, encoding="utf-8")
        else:
            raise ValueError(f"a report cannot be written as {kind}")
    yield


def writeBytes(path: str, data: bytes) -> None:
    """Write a file at once or not at all."""
    with replacing(path) as temporary:
        Path(temporary).write_bytes(data)


def kindOf(path: str) -> str:
    """The kind that a file name asks for by its ending, "" where it asks for none."""
    suffix = Path(path).suffix.lower()
    return next((kind for kind, known in SUFFIXES.items() if suffix == known), "html" if suffix == ".htm" else "")


def segmentColors(segmentationNode: Any, segmentIds: list[str]) -> dict[str, tuple[int, int, int]]:
    """Return the colours (0..255) of segments as they are shown."""
    found = {}
    for segmentId in segmentIds:
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId) if segmentationNode is not None else None
        found[segmentId] = tuple(round(255 * part) for part in segment.GetColor()) if segment is not None else _FALLBACK
    return found


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """A new file beside ``path`` that takes its name when the with block ends well, and vanishes otherwise."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield name
        # mkstemp makes files that only their owner can read.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """What new files of this process are not allowed to be."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
