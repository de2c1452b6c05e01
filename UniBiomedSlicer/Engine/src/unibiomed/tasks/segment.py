# SPDX-License-Identifier: Apache-2.0
"""Segment named targets in a volume or picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from unibiomed.errors import InputError
from unibiomed.tasks.catalogue import Catalogue, Target, catalogue_of
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.propagate import track
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.results import SegmentationResult
from unibiomed.tasks.templates import segment_prompt
from unibiomed.tasks.tracks import segment_targets, settle_tracks
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

Method = Literal["slices", "propagate"]


def segment(
    model: Model,
    volume: Volume,
    targets: str | Iterable[str],
    *,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    slices: Iterable[int] | None = None,
    method: Method = "slices",
    key_slice: int | None = None,
    clean: bool = False,
    batch_size: int | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> SegmentationResult:
    """Segment each of ``targets`` (names or phrases, see ``Catalogue.resolve``); they may overlap.

    ``method`` "slices" asks slice by slice and lets the presence gate decide on each; "propagate" follows the target
    from ``key_slice`` (default: the slice where it is most certain) both ways through SAM 2's memory, see
    ``propagate.track``. ``slices`` restricts both. ``clean`` removes small islands and holes and says so.
    ``batch_size``: slices a call, None = as fast as a stop within about a second allows.

    Memory does not grow with the number of slices, but for the masks' boxes. InputError for an unknown target,
    modality, window, axis or slice; Cancelled when ``cancelled()`` turns true.
    """
    if method not in ("slices", "propagate"):
        raise InputError(f'The method "{str(method)[:40]}" is not known; use "slices" or "propagate".')
    if key_slice is not None and method != "propagate":
        raise InputError('A key slice is used by the method "propagate" only; choose that method or leave it out.')
    run = Run(progress, cancelled)
    chosen, frames = settle(model, volume, targets, modality=modality, site=site, window=window, axis=axis)
    wanted = frames.slices(slices)
    if method == "propagate":
        tracks = [track(model, frames, target, wanted, run, key_slice=key_slice) for target in chosen]
    else:
        tracks = segment_targets(model, frames, chosen, wanted, run, batch_size=batch_size)
    segments, missing = settle_tracks(tracks, frames, len(wanted), clean=clean)
    return SegmentationResult(
        provenance=provenance_of(
            "segment",
            model,
            frames,
            prompts=[segment_prompt(target.phrase) for target in chosen],
            slices=wanted,
            method=method,
            phrases=[target.phrase for target in chosen],
            notes=[note for item in tracks for note in item.notes],
            modality=chosen[0].modality,
            site=chosen[0].site,
        ),
        segments=segments,
        not_found=missing,
    )


def settle(
    model: Model,
    volume: Volume,
    targets: str | Iterable[str],
    *,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
) -> tuple[list[Target], Frames]:
    """The targets meant, without doubles, and the pictures to look for them in.

    The window follows the site only when all targets share one.
    """
    words = [targets] if isinstance(targets, str) else list(targets)
    if not words:
        raise InputError("No target was given; name at least one, for example liver.")
    known: Catalogue = catalogue_of(model)
    word = modality or volume.modality
    chosen = list(dict.fromkeys(known.resolve(text, word, site) for text in words))
    sites = {target.site for target in chosen}
    frames = Frames.of(
        volume,
        modality=word or chosen[0].modality,
        site=site or (sites.pop() if len(sites) == 1 else None),
        window=window,
        axis=axis,
    )
    return chosen, frames
