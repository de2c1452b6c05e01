# SPDX-License-Identifier: Apache-2.0
"""``overlay.png``: the telling slices side by side, coloured outlines, a legend, and what it is not for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unibiomed.tasks.compose import ranges, sentence_case, volume_text
from unibiomed.tasks.outputs.colors import Rgb
from unibiomed.tasks.outputs.views import VIEW_SIDE, View, halo, outline
from unibiomed.tasks.results import Interpretation, SegmentResult

NOTICE = "AI generated - not for clinical use"
_INK, _PAPER, _DIM, _WARN = (236, 240, 245), (16, 19, 24), (150, 160, 172), (255, 196, 84)
_GAP, _BAR, _ROW, _LEGEND = 14, 56, 44, 330
_FILL = {"abnormality": 0.22, "anatomy": 0.08, "unknown": 0.12}


def overlay_image(
    result: Interpretation, views: Sequence[View], colors: dict[str, Rgb], names: dict[str, str], title: str
) -> Image.Image:
    """The montage: at most three views a row, the legend on the right."""
    columns = 1 if len(views) == 1 else 2 if len(views) <= 4 else 3
    rows = -(-len(views) // columns)
    legend = [item for item in result.segments if any(item.id in view.masks for view in views)]
    height = _BAR + max(rows * (VIEW_SIDE + _GAP), (len(legend) + 2) * _ROW) + _GAP
    width = columns * (VIEW_SIDE + _GAP) + _GAP + _LEGEND
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, _BAR // 2), _shortened(draw, title, width - 2 * _GAP - 380), _INK, _font(22), anchor="lm")
    draw.text((width - _GAP, _BAR // 2), NOTICE, _WARN, _font(20), anchor="rm")
    tint = {item.id: _FILL[item.kind] for item in result.segments}
    for number, view in enumerate(views):
        left = _GAP + number % columns * (VIEW_SIDE + _GAP)
        top = _BAR + number // columns * (VIEW_SIDE + _GAP)
        canvas.paste(Image.fromarray(drawn(view, colors, tint)), (left, top))
        label = f"slice {view.slice}" if result.provenance.shape[0] > 1 else ""
        draw.text((left + 10, top + VIEW_SIDE - 10), label, _INK, _font(18), anchor="ls", stroke_width=2, stroke_fill=0)
    _draw_legend(draw, legend, colors, names, columns * (VIEW_SIDE + _GAP) + _GAP, result.nothing_found)
    return canvas


def drawn(view: View, colors: dict[str, Rgb], tint: dict[str, float]) -> np.ndarray:
    """A view with every segment tinted (share 0..1) and outlined, larger segments below smaller ones."""
    picture = view.picture.astype(np.float32)
    for identity, mask in sorted(view.masks.items(), key=lambda item: -int(item[1].sum())):
        color = np.array(colors[identity], dtype=np.float32)
        rim = outline(mask)
        picture[mask] = (1 - tint[identity]) * picture[mask] + tint[identity] * color
        picture[halo(rim)] *= 0.35
        picture[rim] = color
    return np.clip(picture, 0, 255).astype(np.uint8)


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    legend: Sequence[SegmentResult],
    colors: dict[str, Rgb],
    names: dict[str, str],
    left: int,
    nothing_found: bool,
) -> None:
    top = _BAR
    if nothing_found:
        draw.text((left, top + 12), "No abnormality found", _INK, _font(19), anchor="lm")
        top += _ROW
    for item in sorted(legend, key=lambda item: item.kind != "abnormality"):
        draw.rounded_rectangle((left, top + 2, left + 20, top + 22), 4, colors[item.id])
        name = _shortened(draw, sentence_case(names[item.id]), _LEGEND - 50)
        draw.text((left + 32, top + 12), name, _INK, _font(19), anchor="lm")
        figures = [volume_text(item.volume_ml), f"slices {ranges(item.slices)}" if len(item.slices) > 1 else ""]
        said = ", ".join(figure for figure in figures if figure)
        draw.text((left + 32, top + 32), _shortened(draw, said, _LEGEND - 50, 15), _DIM, _font(15), anchor="lm")
        top += _ROW + 4


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: int, size: int = 19) -> str:
    """``text`` cut to ``room`` pixels; letters that the built-in font lacks are replaced."""
    text = text.replace("–", "-").replace("×", "x")
    while len(text) > 1 and draw.textlength(text, _font(size)) > room:
        text = text[:-2].rstrip() + "…"
    return text
