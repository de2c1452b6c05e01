# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of phantoms with their truth outlined, for looking at.

``python -m unibiomed.phantoms.contact_sheet docs/phantoms.png`` draws three phantoms of each modality, the first
of them healthy.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from unibiomed.phantoms.base import Generator, Phantom
from unibiomed.phantoms.registry import EXTRA_GENERATORS, MODALITY_GENERATORS, generate, generate_from
from unibiomed.phantoms.shapes import outline

ANATOMY_COLORS = ((80, 200, 255), (120, 255, 120), (255, 220, 80), (200, 140, 255), (255, 160, 200), (160, 255, 230))
ABNORMALITY_COLOR = (255, 60, 60)
LINE = 11  # height in pixels of a line of PIL's built-in font


def tile(phantom: Phantom, plain: bool = False) -> Image.Image:
    """One phantom, outlined (``plain``: as it is), over its legend and its sentences."""
    pixels = phantom.image.copy()
    colors = dict(zip(phantom.anatomy, ANATOMY_COLORS, strict=False))
    for name, mask in phantom.masks.items():
        if not plain:
            pixels[outline(mask)] = colors.get(name, ABNORMALITY_COLOR)
    size = pixels.shape[0]
    canvas = Image.new("RGB", (size, size + 5 * LINE))
    canvas.paste(Image.fromarray(pixels), (0, 0))
    pen = ImageDraw.Draw(canvas)
    if plain:
        return canvas
    pen.text((2, size), f"{phantom.modality} {phantom.site} seed {phantom.seed}", fill=(200, 200, 200))
    x, y = 2, size + LINE
    for name in phantom.masks:
        width = int(pen.textlength(name)) + 6
        if x + width > size:
            x, y = 2, y + LINE
        pen.text((x, y), name, fill=colors.get(name, ABNORMALITY_COLOR))
        x += width
    text = " ".join(phantom.sentences[name] for name in phantom.abnormalities) or phantom.healthy_sentence
    for row, line in enumerate(textwrap.wrap(text, 44)[:2]):
        pen.text((2, size + (3 + row) * LINE), line, fill=(230, 230, 230))
    return canvas


def sheet(rows: Iterable[Sequence[Phantom]], plain: bool = False) -> Image.Image:
    """A grid of phantoms; with ``plain`` each is shown twice, as it is and outlined."""
    tiles = [[tile(p, kind) for p in row for kind in ((True, False) if plain else (False,))] for row in rows]
    width, height = tiles[0][0].size
    canvas = Image.new("RGB", (width * max(map(len, tiles)), height * len(tiles)))
    for r, row in enumerate(tiles):
        for c, picture in enumerate(row):
            canvas.paste(picture, (c * width, r * height))
    return canvas


def generator_by_name(name: str) -> Generator:
    """The generator of that name, e.g. ``ct-chest``; KeyError where there is none."""
    tables = (MODALITY_GENERATORS, EXTRA_GENERATORS)
    return {entry.name: entry for table in tables for row in table.values() for entry in row}[name]


def _phantom(name: str, seed: int, size: int, abnormal: bool) -> Phantom:
    """A phantom of a modality word or of a generator's name."""
    if name in MODALITY_GENERATORS:
        return generate(name, seed, size, abnormal)
    return generate_from(generator_by_name(name), seed, size, abnormal)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw a contact sheet to a PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=None, help="modality words or generator names")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1, help="rows for each modality or generator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--plain", action="store_true", help="show each phantom without outlines too")
    options = parser.parse_args(arguments)
    rows = []
    for name in options.only or MODALITY_GENERATORS:
        for r in range(options.rows):
            seeds = range(options.seed + r * options.count, options.seed + (r + 1) * options.count)
            rows.append([_phantom(name, seed, options.size, c % 3 != 0) for c, seed in enumerate(seeds)])
    if not options.only:  # all modalities: two in a row
        rows = [first + second for first, second in zip(rows[::2], rows[1::2], strict=True)]
    picture = sheet(rows, options.plain)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.output, optimize=True)


if __name__ == "__main__":
    main()
