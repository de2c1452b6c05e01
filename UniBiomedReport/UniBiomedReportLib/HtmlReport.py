# SPDX-License-Identifier: Apache-2.0
"""A report document as one HTML file that needs no network, and in the simpler HTML that Qt prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from slicer.i18n import tr as _

from UniBiomedReportLib.Figures import rangesText, volumeText
from UniBiomedReportLib.Pictures import Picture
from UniBiomedReportLib.Png import dataUri
from UniBiomedReportLib.ReportDocument import notice

Rgb = tuple[int, int, int]
PRINT_WIDTH = 300

_STYLE = """
body { font: 15px/1.6 system-ui, "Segoe UI", Roboto, Arial, sans-serif; color: #17202b; max-width: 980px;
  margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 15px; margin: 26px 0 8px; color: #47525f; }
.notice { background: #fff4d6; border: 1px solid #f0d48a; color: #6b4a00; border-radius: 8px; padding: 6px 12px;
  margin: 10px 0 18px; font-weight: 600; }
.meta { color: #5b6775; margin: 0; } .text p { margin: 0 0 10px; font-size: 16px; }
.phrase { border-bottom: 2.5px solid var(--c); border-radius: 3px 3px 0 0; padding: 0 1px; cursor: pointer; }
.phrase.on, tr.on td { background: color-mix(in srgb, var(--c) 30%, transparent); }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: #5b6775; font-size: 13px; }
th, td { padding: 6px 10px 6px 0; border-bottom: 1px solid #e6eaef; vertical-align: top; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--c);
  margin-right: 8px; } .sentence { color: #5b6775; display: block; }
.pictures { display: flex; flex-wrap: wrap; gap: 14px; } figure { margin: 0; max-width: 300px; flex: 1 1 240px; }
figure img { width: 100%; border-radius: 8px; background: #000; } figcaption { color: #5b6775; font-size: 13px; }
figure.on img { outline: 3px solid #1f5fbf; } .small { font-size: 13px; color: #5b6775; overflow-wrap: anywhere; }
"""
_SCRIPT = """
const all = [...document.querySelectorAll('[data-segments]')];
const mark = (ids) => all.forEach((item) => item.classList.toggle('on',
  item.dataset.segments.split(' ').some((id) => ids.includes(id))));
all.forEach((item) => {
  item.addEventListener('mouseenter', () => mark(item.dataset.segments.split(' ')));
  item.addEventListener('mouseleave', () => mark([]));
});
"""


def page(document: Mapping[str, Any], pictures: Sequence[Picture], colors: Mapping[str, Rgb]) -> str:
    """Return the page; phrases, table rows and pictures that belong together light up together."""
    keys = {item["id"]: f"s{number}" for number, item in enumerate(document["segments"], start=1)}
    shown = "".join(
        f'<figure data-segments="{" ".join(keys[one] for one in item.segments if one in keys)}">'
        f'<img alt="" src="{dataUri(item.image)}"><figcaption>{escape(_caption(item, document))}</figcaption></figure>'
        for item in pictures
    )
    body = [
        f"<h1>{escape(document['title'])}</h1>",
        f'<p class="meta">{escape(_meta(document))}</p>',
        f'<div class="notice">{escape(" ".join(notice(document)))}</div>',
        f'<div class="text">{"".join(_paragraphs(document, keys, colors))}</div>',
        f'<h2>{escape(_("Pictures"))}</h2><div class="pictures">{shown}</div>' if shown else "",
        _table(document, keys, colors),
        _notes(document),
        f'<p class="small">{escape(_provenance(document))}</p>',
    ]
    head = (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{escape(document['title'])}</title><style>{_STYLE}</style></head>\n<body>\n"
    )
    return head + "\n".join(part for part in body if part) + f"\n<script>{_SCRIPT}</script>\n</body></html>\n"


def printed(document: Mapping[str, Any], pictures: Sequence[Picture], colors: Mapping[str, Rgb]) -> str:
    """Return the same in the HTML that QTextDocument knows."""
    parts = [
        f"<h2>{escape(document['title'])}</h2>",
        f"<p style='color:#5b6775'>{escape(_meta(document))}</p>",
        "<table width='100%' cellpadding='5'><tr><td bgcolor='#fff4d6'><b>"
        f"{escape(' '.join(notice(document)))}</b></td></tr></table>",
    ]
    for paragraph in _cut(document):
        said = "".join(
            f"<span style='background-color:{_css(color, 0.3)}'>{_lines(text)}</span>" if color else _lines(text)
            for text, color in ((text, _first(segments, colors)) for text, segments in paragraph)
        )
        parts.append(f"<p>{said}</p>")
    if pictures:
        cells = [
            f"<td width='50%'><img width='{PRINT_WIDTH}' src='{dataUri(item.image)}'><br>"
            f"<span style='color:#5b6775'>{escape(_caption(item, document))}</span></td>"
            for item in pictures
        ]
        rows = "".join(f"<tr>{''.join(cells[start : start + 2])}</tr>" for start in range(0, len(cells), 2))
        parts.append(f"<table cellpadding='6'>{rows}</table>")
    if document["segments"]:
        head = "".join(f"<th align='left'>{escape(name)}</th>" for name in _columns())
        rows = "".join(
            f"<tr><td><span style='background-color:{_css(colors.get(item['id'], (160, 160, 160)))}'>"
            f"&nbsp;&nbsp;&nbsp;</span>&nbsp;{escape(item['name'])}</td>"
            + "".join(f"<td>{escape(value)}</td>" for value in _values(item))
            + "</tr>"
            for item in document["segments"]
        )
        parts.append(f"<table width='100%' cellpadding='3'><tr>{head}</tr>{rows}</table>")
    parts.append(_notes(document))
    parts.append(f"<p style='color:#5b6775; font-size:8pt'>{escape(_provenance(document))}</p>")
    return "".join(parts)


def plain(document: Mapping[str, Any]) -> str:
    """Return the report as plain text."""
    lines = [document["title"], *notice(document), "", document["text"].strip()]
    if document["segments"]:
        lines += ["", _("Segments")]
        for item in document["segments"]:
            told = ", ".join(
                part
                for part in (
                    volumeText(item.get("volume_ml")),
                    _("slices {slices}").format(slices=rangesText(item["slices"])) if item.get("slices") else "",
                    _("confidence {value:.2f}").format(value=item["confidence"]) if "confidence" in item else "",
                )
                if part
            )
            lines.append(f"- {item['name']}" + (f": {told}" if told else ""))
    if document["notes"]:
        lines += ["", _("Notes"), *[f"- {note}" for note in document["notes"]]]
    return "\n".join([*lines, "", _provenance(document)]) + "\n"


def _cut(document: Mapping[str, Any]) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """The text as paragraphs of (words, segments that they speak of); of phrases that overlap the first counts."""
    text, at = document["text"], 0
    pieces: list[tuple[str, tuple[str, ...]]] = []
    for span in sorted(document["spans"], key=lambda item: (item["start"], item["end"])):
        if span["start"] < at or span["end"] > len(text):
            continue
        pieces.append((text[at : span["start"]], ()))
        pieces.append((text[span["start"] : span["end"]], tuple(span["segments"])))
        at = span["end"]
    pieces.append((text[at:], ()))
    paragraph: list[tuple[str, tuple[str, ...]]] = []
    for words, segments in pieces:
        first, *rest = words.split("\n\n")
        paragraph.append((first, segments))
        for part in rest:
            yield paragraph
            paragraph = [(part, segments)]
    yield paragraph


def _paragraphs(document: Mapping[str, Any], keys: Mapping[str, str], colors: Mapping[str, Rgb]) -> Iterator[str]:
    for paragraph in _cut(document):
        said = []
        for text, segments in paragraph:
            color = _first(segments, colors)
            if color is None:
                said.append(_lines(text))
                continue
            ids = " ".join(keys[one] for one in segments if one in keys)
            said.append(f'<span class="phrase" data-segments="{ids}" style="--c:{_css(color)}">{_lines(text)}</span>')
        yield f"<p>{''.join(said)}</p>"


def _table(document: Mapping[str, Any], keys: Mapping[str, str], colors: Mapping[str, Rgb]) -> str:
    if not document["segments"]:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in _columns())
    rows = []
    for item in document["segments"]:
        color = _css(colors.get(item["id"], (160, 160, 160)))
        sentence = f'<span class="sentence">{escape(item["sentence"])}</span>' if item.get("sentence") else ""
        cells = "".join(f"<td>{escape(value)}</td>" for value in _values(item))
        rows.append(
            f'<tr data-segments="{keys[item["id"]]}" style="--c:{color}"><td><span class="swatch"></span>'
            f"{escape(item['name'])}{sentence}</td>{cells}</tr>"
        )
    return f"<h2>{escape(_('Segments'))}</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _columns() -> tuple[str, ...]:
    return _("Segment"), _("Volume"), _("Slices"), _("Confidence (not calibrated)")


def _values(item: Mapping[str, Any]) -> tuple[str, str, str]:
    confidence = item.get("confidence")
    return (
        volumeText(item.get("volume_ml")),
        rangesText(item.get("slices", ())),
        "" if confidence is None else f"{confidence:.2f}",
    )


def _notes(document: Mapping[str, Any]) -> str:
    if not document["notes"]:
        return ""
    return f"<h2>{escape(_('Notes'))}</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in document['notes'])}</ul>"


def _caption(picture: Picture, document: Mapping[str, Any]) -> str:
    names = {item["id"]: item["name"] for item in document["segments"]}
    what = ", ".join(names[one] for one in picture.segments if one in names)
    place = _("{axis} slice {number}").format(axis=picture.axis, number=picture.slice)
    return f"{place}: {what}" if what else place


def _meta(document: Mapping[str, Any]) -> str:
    made = document["provenance"]
    site = made.get("site")
    return ", ".join(str(part) for part in (made.get("modality"), site, str(made.get("date", ""))[:10]) if part)


def _provenance(document: Mapping[str, Any]) -> str:
    made = document["provenance"]
    model = f"{made.get('model', '')} {made.get('model_version', '')}".strip()
    parts = [
        _("Made by UniBiomed for 3D Slicer"),
        _("model {name}").format(name=model) if model else "",
        _("weights {digest}").format(digest=str(made["weights_sha256"])[:16]) if made.get("weights_sha256") else "",
        str(made.get("date", "")),
        _("on {device}").format(device=made["device"]) if made.get("device") else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _first(segments: Sequence[str], colors: Mapping[str, Rgb]) -> Rgb | None:
    return next((colors[one] for one in segments if one in colors), None)


def _css(color: Rgb, share: float = 1.0) -> str:
    """A colour, mixed with white down to ``share``."""
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in color)
