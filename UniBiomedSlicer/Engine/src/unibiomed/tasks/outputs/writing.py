# SPDX-License-Identifier: Apache-2.0
"""All files of an interpretation, written together or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from unibiomed.tasks.compose import picture_name
from unibiomed.tasks.outputs.colors import segment_colors
from unibiomed.tasks.outputs.overlay import overlay_image
from unibiomed.tasks.outputs.page import render_page
from unibiomed.tasks.outputs.segmentation import segment_names, to_segmentation
from unibiomed.tasks.outputs.views import choose_views
from unibiomed.tasks.results import Interpretation
from unibiomed.tasks.schema import to_text
from unibiomed.volumes.atomic import atomic_folder
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.writing import write_segmentation

SEGMENTATION, PAGE, JSON, OVERLAY = "segmentation.seg.nrrd", "report.html", "report.json", "overlay.png"


def write_outputs(
    folder: str | os.PathLike[str], interpretation: Interpretation, volume: Volume, *, replace: bool = False
) -> dict[str, Path]:
    """Write ``segmentation.seg.nrrd``, ``report.html``, ``report.json`` and ``overlay.png`` into ``folder``.

    All four are always written, the segmentation also where there is no segment. Returns file name to path. An existing
    folder that is not empty is refused unless ``replace``; on any error nothing is changed (OutputError, one sentence).
    InputError when ``interpretation`` was not made from ``volume``.
    """
    segmentation = to_segmentation(interpretation, volume)
    colors, names = segment_colors(interpretation.segments), segment_names(interpretation.segments)
    views = choose_views(interpretation, volume)
    target = Path(folder)
    written = (SEGMENTATION, PAGE, JSON, OVERLAY)
    with atomic_folder(target, replace=replace) as scratch:
        write_segmentation(scratch / SEGMENTATION, segmentation, reference=volume)
        (scratch / JSON).write_text(to_text(interpretation), encoding="utf-8")
        (scratch / PAGE).write_text(render_page(interpretation, views, colors, names), encoding="utf-8")
        overlay_image(interpretation, views, colors, names, title(interpretation)).save(scratch / OVERLAY)
    return {name: target / name for name in written}


def title(interpretation: Interpretation) -> str:
    """What the picture is, in a few words."""
    source = interpretation.provenance.source.name
    return f"{picture_name(interpretation.modality, interpretation.site)}, {source}"
