# SPDX-License-Identifier: Apache-2.0
"""The few slices that tell most about a result, as pictures with the outlines of its segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from unibiomed.tasks.frames import Frames
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.results import Interpretation, SegmentationResult, SegmentResult
from unibiomed.tasks.stack import plane_of
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

VIEW_SIDE = 560
"""Pixels of a view's side."""
MOST_VIEWS = 9
FEWEST_VIEWS = 6
"""A volume is shown on this many slices even where fewer tell all, so that its extent can be seen."""
_GOOD_ENOUGH = 0.8


@dataclass(frozen=True, eq=False)
class View:
    """One slice: RGB uint8 (side, side, 3) and, for each segment on it, its bool mask (side, side)."""

    slice: int
    picture: np.ndarray
    masks: dict[str, np.ndarray]


def choose_views(result: Interpretation, volume: Volume, most: int = MOST_VIEWS) -> tuple[View, ...]:
    """The views of ``result`` in slice order: each finding, then each structure, on (nearly) its largest cut.

    A slice that shows at least 80 % of a segment's largest cut serves for that segment too. A volume is filled up to
    six views with slices far from those chosen; without segments these are slices that were read.
    """
    finding_ids = [identity for finding in result.findings for identity in finding.segments]
    by_id = {segment.id: segment for segment in result.segments}
    ordered = [by_id[identity] for identity in finding_ids if identity in by_id]
    ordered += [segment for segment in result.segments if segment.id not in finding_ids]
    axis = frames_of(result, volume, None).mapping.array_axis
    chosen: dict[int, str | None] = {}
    for segment in ordered:
        areas = _areas(segment, axis)
        largest = max(areas.values(), default=0)
        if not largest or any(areas.get(index, 0) >= _GOOD_ENOUGH * largest for index in chosen):
            continue
        if len(chosen) < most:
            chosen[max(areas, key=areas.get)] = parse_phrase(segment.phrase).site
    pool = sorted({index for segment in ordered for index in segment.slices} or set(result.provenance.slices) or {0})
    site = parse_phrase(ordered[0].phrase).site if ordered else None
    for index in _spread(pool, [*chosen], min(FEWEST_VIEWS, most)):
        chosen[index] = _site_at(ordered, index, site)
    return tuple(view_at(result, volume, index, chosen[index]) for index in sorted(chosen))


def frames_of(result: Interpretation | SegmentationResult, volume: Volume, site: str | None) -> Frames:
    """The pictures as they were read: the provenance's axis and window, that of ``site`` where they differ by site."""
    provenance = result.provenance
    window = provenance.window
    if window.get("kind") == "by site":
        sites = window["sites"]
        window = sites.get(site or "", next(iter(sites.values())))
    modality = None if provenance.modality == "unknown" else provenance.modality
    return Frames.of(volume, modality=modality, window=Window.from_json(window), axis=provenance.axis)


def outline(mask: np.ndarray, width: int = 2) -> np.ndarray:
    """The rim of ``mask`` (H, W), ``width`` pixels, inside it; all of a mask that is thinner."""
    return mask & ~binary_erosion(mask, iterations=width, border_value=1)


def halo(rim: np.ndarray) -> np.ndarray:
    """One dark pixel around a rim, so that it is seen on a picture of its own colour."""
    return binary_dilation(rim) & ~rim


def _spread(pool: list[int], chosen: list[int], count: int) -> list[int]:
    """Slices of ``pool`` that fill ``chosen`` up to ``count``, each as far as can be from all before."""
    added: list[int] = []
    if not chosen:
        added.append(pool[len(pool) // 2])
    while len(chosen) + len(added) < min(count, len(pool)):
        there = [*chosen, *added]
        far = max(pool, key=lambda index: min(abs(index - other) for other in there))
        if far in there:
            break
        added.append(far)
    return added


def _site_at(segments: list[SegmentResult], index: int, otherwise: str | None) -> str | None:
    """The site whose window serves on slice ``index``: that of a segment there."""
    here = next((segment for segment in segments if index in segment.slices), None)
    return parse_phrase(here.phrase).site if here is not None else otherwise


def _areas(segment: SegmentResult, axis: int) -> dict[int, int]:
    counts = np.moveaxis(segment.mask.array, axis, 0).sum(axis=(1, 2))
    return {segment.mask.offset[axis] + row: int(count) for row, count in enumerate(counts) if count}


def view_at(result: Interpretation | SegmentationResult, volume: Volume, index: int, site: str | None) -> View:
    """Slice ``index`` with every segment that is on it, in the window of ``site``."""
    frames = frames_of(result, volume, site)
    axis = frames.mapping.array_axis
    picture = Image.fromarray(frames.picture(index)).resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BICUBIC)
    masks = {}
    for segment in result.segments:
        if index not in segment.slices:
            continue
        mask = frames.mapping.from_volume_slice(plane_of(segment.mask, axis, index, volume.shape))
        masks[segment.id] = _enlarged(mask)
    return View(index, np.asarray(picture), masks)


def _enlarged(mask: np.ndarray) -> np.ndarray:
    """The mask at the view's size with smooth edges; never empty where it was not."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    smooth = np.asarray(grey.resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BICUBIC)) >= 128
    if smooth.any() or not mask.any():
        return smooth
    return np.asarray(grey.resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.NEAREST)) > 0
