# SPDX-License-Identifier: Apache-2.0
"""A small picture of a result: its most telling slice with the outlines, for lists of many cases."""

from __future__ import annotations

from collections import Counter

from PIL import Image

from unibiomed.tasks.outputs.colors import segment_colors
from unibiomed.tasks.outputs.overlay import drawn
from unibiomed.tasks.outputs.views import frames_of, view_at
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.results import Interpretation, SegmentationResult
from unibiomed.volumes.volume import Volume

SIDE = 192
_TINT = 0.2


def thumbnail(result: Interpretation | SegmentationResult, volume: Volume, side: int = SIDE) -> Image.Image:
    """RGB, ``side`` pixels square: the slice that most segments are on, the middle one read where there is none."""
    sites = [parse_phrase(segment.phrase).site for segment in result.segments]
    site = sites[0] if sites else None
    shown = Counter(index for segment in result.segments for index in segment.slices)
    read = result.provenance.slices or tuple(range(len(frames_of(result, volume, site))))
    if shown:
        most = max(shown.values())
        best = [index for index in sorted(shown) if shown[index] == most]
    else:
        best = sorted(read)
    view = view_at(result, volume, best[len(best) // 2], site)
    tint = {segment.id: _TINT for segment in result.segments}
    picture = Image.fromarray(drawn(view, segment_colors(result.segments), tint))
    return picture.resize((side, side), Image.Resampling.LANCZOS)
