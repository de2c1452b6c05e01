# SPDX-License-Identifier: Apache-2.0
"""``report.html``: one file that needs no network, every phrase tied to its segments in the pictures and the tables."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from unibiomed.tasks.compose import extent_text, full_stop, picture_name, ranges, sentence_case, volume_text
from unibiomed.tasks.outputs.colors import Rgb
from unibiomed.tasks.outputs.views import View, halo, outline
from unibiomed.tasks.results import Interpretation, Provenance, SegmentResult, TextSpan
from unibiomed.volumes.geometry import anatomical_axes

TEMPLATE = "report.html.j2"
_SIDES = {"axial": ("A", "P", "R", "L"), "coronal": ("S", "I", "R", "L"), "sagittal": ("S", "I", "A", "P")}


@dataclass(frozen=True)
class Piece:
    """A stretch of text; ``segments`` are the ids it speaks of, none for plain text."""

    text: str
    segments: tuple[str, ...] = ()


def render_page(result: Interpretation, views: Sequence[View], colors: dict[str, Rgb], names: dict[str, str]) -> str:
    """The page as HTML text; everything that came from a file, a user or the model is escaped by the template."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    by_id = {item.id: item for item in result.segments}
    finding_ids = set(_finding_order(result))
    best = best_views(result, views)
    volume = result.provenance.shape[_array_axis(result.provenance)] > 1
    return template.render(
        result=result,
        is_volume=volume,
        title=picture_name(result.modality, result.site),
        pieces=[Piece(_unbroken(piece.text), piece.segments) for piece in pieces(result.text, result.spans)],
        findings=[
            {"finding": item, "row": _row(by_id[item.segments[0]], result, names, colors)}
            for item in result.findings
            if item.segments and item.segments[0] in by_id
        ],
        anatomy=[_row(item, result, names, colors) for item in result.segments if item.id not in finding_ids],
        views=[_view(view, colors, names) for view in views],
        best=best,
        first=next((best[identity] for identity in [*_finding_order(result), *best] if identity in best), 0),
        sides=_sides(result),
        said=list(_said(result)),
        provenance=_facts(result.provenance),
        css={identity: _css(color) for identity, color in colors.items()},
        full_stop=full_stop,
        sentence_case=sentence_case,
    )


def pieces(text: str, spans: Sequence[TextSpan]) -> Iterator[Piece]:
    """``text`` cut at its spans, in order; a span that overlaps one before it is left out."""
    at = 0
    for span in sorted(spans, key=lambda item: (item.start, item.end)):
        if span.start < at or span.end > len(text) or not span.segments:
            continue
        if span.start > at:
            yield Piece(text[at : span.start])
        yield Piece(text[span.start : span.end], span.segments)
        at = span.end
    if at < len(text):
        yield Piece(text[at:])


def _unbroken(text: str) -> str:
    """Numbers kept on one line with their units."""
    return re.sub(r"(?<=\d) (?=ml|mm|×)|(?<=×) (?=\d)", "\N{NO-BREAK SPACE}", text)


def data_uri(picture: np.ndarray) -> str:
    """A picture (H, W, 3) uint8 as a PNG in a data address; grey ones are stored as grey."""
    if (picture[..., :1] == picture).all():
        picture = picture[..., 0]
    return _png_uri(Image.fromarray(picture))


def layer_uri(classes: np.ndarray, color: Rgb) -> str:
    """A see-through layer (H, W) uint8 as a PNG in a data address: 0 nothing, 1 shadow, 2 line, 3 tint of ``color``."""
    image = Image.fromarray(classes)
    image.putpalette([0, 0, 0, 0, 0, 0, *color, *color])
    return _png_uri(image, transparency=bytes((0, 170, 255, 110)))


def _png_uri(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _view(view: View, colors: dict[str, Rgb], names: dict[str, str]) -> dict[str, Any]:
    layers = []
    for identity, mask in sorted(view.masks.items(), key=lambda item: -int(item[1].sum())):
        rim = outline(mask)
        lines = layer_uri(halo(rim) * np.uint8(1) + rim * np.uint8(2), colors[identity])
        fill = layer_uri(mask * np.uint8(3), colors[identity])
        layers.append({"id": identity, "name": names[identity], "lines": lines, "fill": fill})
    return {"slice": view.slice, "picture": data_uri(view.picture), "layers": layers}


def _row(item: SegmentResult, result: Interpretation, names: dict[str, str], colors: dict[str, Rgb]) -> dict[str, Any]:
    count = result.provenance.shape[_array_axis(result.provenance)]
    return {
        "segment": item,
        "name": sentence_case(names[item.id]),
        "color": _css(colors[item.id]),
        "volume": volume_text(item.volume_ml) or f"{item.voxels:,} px",
        "extent": extent_text(item.extent_mm),
        "slices": ranges(item.slices),
        "strip": [
            {"left": 100 * run[0] / count, "width": max(1.2, 100 * len(run) / count)} for run in _runs(item.slices)
        ],
        "percent": round(100 * item.confidence),
    }


def _runs(indices: Sequence[int]) -> list[list[int]]:
    return [[index for _, index in run] for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0])]


def _finding_order(result: Interpretation) -> list[str]:
    return [identity for finding in result.findings for identity in finding.segments]


def best_views(result: Interpretation, views: Sequence[View]) -> dict[str, int]:
    """Segment id to the number of the view with its largest cut."""
    best = {}
    for item in result.segments:
        areas = [int(view.masks[item.id].sum()) if item.id in view.masks else 0 for view in views]
        if any(areas):
            best[item.id] = int(np.argmax(areas))
    return best


def _said(result: Interpretation) -> Iterator[dict[str, Any]]:
    """What was said slice by slice, equal texts on successive slices together."""
    for (text, nothing), run in groupby(result.slices, key=lambda item: (item.text, item.nothing_found)):
        reports = list(run)
        segments = dict.fromkeys(identity for item in reports for identity in item.segments)
        yield {
            "slices": ranges([item.slice for item in reports]),
            "text": sentence_case(text) or "(no words)",
            "nothing": nothing,
            "segments": " ".join(segments),
        }


def _sides(result: Interpretation) -> tuple[str, str, str, str] | None:
    """Letters for top, bottom, left and right; None for a picture without a place in the patient."""
    return None if _is_flat(result) else _SIDES.get(result.provenance.axis)


def _is_flat(result: Interpretation) -> bool:
    return result.provenance.source.kind == "image" or all(item.volume_ml is None for item in result.segments)


def _array_axis(provenance: Provenance) -> int:
    """Which of k, j, i the slices count along."""
    direction = {"sagittal": 0, "coronal": 1, "axial": 2}[provenance.axis]
    return 2 - anatomical_axes(np.array(provenance.ijk_to_ras))[direction][0]


def _facts(provenance: Provenance) -> list[tuple[str, str]]:
    """The provenance block as label and text."""
    window = provenance.window
    limits = "; ".join(
        f"{phrase}: " + ", ".join(f"{name.replace('_', ' ')} ≥ {value:.2f}" for name, value in values.items())
        for phrase, values in provenance.thresholds.items()
    )
    facts = [
        ("Model", f"{provenance.model} {provenance.model_version}".strip()),
        ("Weights SHA-256", provenance.weights_sha256),
        ("Revision", provenance.model_revision or ""),
        ("Engine", f"unibiomed {provenance.engine_version} on {provenance.device}, {provenance.dtype}"),
        ("Date", provenance.date),
        ("Input", f"{provenance.source.name} ({provenance.source.kind})"),
        ("Input SHA-256", provenance.source.sha256),
        ("Series", provenance.source.series_uid or ""),
        ("Grid", " × ".join(str(size) for size in provenance.shape[::-1]) + " voxels (i, j, k)"),
        ("Slices read", f"{ranges(provenance.slices)} ({provenance.axis})"),
        ("Window", _window(window)),
        ("Presence gate", limits),
    ]
    return [(label, text) for label, text in facts if text]


def _window(window: dict[str, Any]) -> str:
    if window.get("kind") == "by site":
        return "; ".join(f"{site}: {_window(own)}" for site, own in window["sites"].items())
    numbers = {key: value for key, value in window.items() if key not in ("name", "kind")}
    told = ", ".join(f"{key} {value:g}" for key, value in numbers.items())
    return f"{window['name']}" + (f" ({told})" if told else "")


def _css(color: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
