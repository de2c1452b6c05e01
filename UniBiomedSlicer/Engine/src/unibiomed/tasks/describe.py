# SPDX-License-Identifier: Apache-2.0
"""What is in this region? The region is shown as in training: a green box drawn on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from unibiomed.errors import InputError
from unibiomed.tasks.answers import parse_answer
from unibiomed.tasks.catalogue import catalogue_of
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.regions import draw_box, region_box
from unibiomed.tasks.report import middle
from unibiomed.tasks.results import RegionDescription
from unibiomed.tasks.stack import plane_of, slices_along
from unibiomed.tasks.templates import region_prompt
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.slicing import MAX_SIDE
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

Box = tuple[int, int, int, int]
Region = BoxMask | np.ndarray | Box

PUBLISHED_SIDE = 1024
"""Side of the published training pictures, on which the box was drawn before they were reduced to a tile."""


def describe(
    model: Model,
    volume: Volume,
    region: Region,
    *,
    slice_index: int | None = None,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> RegionDescription:
    """Name what is in ``region``.

    ``region`` is a mask of the volume (``BoxMask`` or bool ``[k, j, i]``), a bool mask (H, W) of the slice's picture,
    or a box (top, left, bottom, right) in its pixels, ends excluded. ``slice_index`` None: for a volume mask the slice
    with its largest cut, else the middle one. The box is that of the region's largest part on the slice.

    The picture is brought to the side of the training pictures before the box is drawn, so that the line is as thick as
    the model knows it, and reaches the model as a single tile. InputError for an empty or misplaced region.
    """
    run = Run(progress, cancelled)
    frames = Frames.of(volume, modality=modality, site=site, window=window, axis=axis)
    index, box = place(frames, region, slice_index)
    run.tell("describe", 0, 1)
    picture = boxed_picture(frames.picture(index), box, training_side(model))
    prediction = model.predict(picture, region_prompt(), on_text=run.writing("describe"))
    text = parse_answer(prediction.text).text
    phrase = parse_phrase(text)
    known = catalogue_of(model).find(phrase, frames.modality, frames.site)
    run.tell("describe", 1, 1, text=text)
    logprobs = np.asarray(prediction.token_logprobs, dtype=float)
    named = phrase.modality is not None or known is not None
    return RegionDescription(
        provenance=provenance_of("describe", model, frames, prompts=[region_prompt()], slices=[index]),
        slice=index,
        box=box,
        box_kji=_voxels(frames, box, index),
        text=text,
        target=phrase.target if named else None,
        site=phrase.site if named else None,
        modality=phrase.modality if named else None,
        mean_logprob=round(float(logprobs.mean()), 4) if logprobs.size and np.isfinite(logprobs).all() else None,
    )


def place(frames: Frames, region: Region, slice_index: int | None) -> tuple[int, Box]:
    """The slice and the box in its picture that ``region`` means."""
    given = None if slice_index is None else frames.slices([slice_index])[0]
    if isinstance(region, np.ndarray) and region.ndim == 3:
        if region.shape != frames.volume.shape:
            raise InputError(f"The region of shape {region.shape} is not on the volume's grid {frames.volume.shape}.")
        region = BoxMask.from_full(region)
    if isinstance(region, BoxMask):
        return _place_mask(frames, region, given)
    index = middle(frames) if given is None else given
    if isinstance(region, np.ndarray):
        if region.shape != frames.mapping.image_shape:
            raise InputError(
                f"The region of shape {region.shape} is not on the slice's picture {frames.mapping.image_shape}."
            )
        if not region.any():
            raise InputError("The region is empty; mark some pixels of the slice.")
        return index, region_box(region.astype(bool))
    return index, _checked_box(region, frames.mapping.image_shape)


def training_side(model: Any) -> int:
    """Side of the pictures that the boxes of the model's training were drawn on: what its SAM part takes in."""
    config = getattr(getattr(model, "model", None), "config", None)
    return int(getattr(config, "sam_image_size", None) or PUBLISHED_SIDE)


def boxed_picture(picture: np.ndarray, box: Box, side: int) -> np.ndarray:
    """``picture`` (H, W, 3) brought to ``side`` squared with the box drawn, then reduced to a single tile's side."""
    height, width = picture.shape[:2]
    scaled = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    top, left, bottom, right = box
    drawn = draw_box(
        np.asarray(scaled),
        (
            top * side // height,
            left * side // width,
            max(-(-bottom * side // height), top * side // height + 1),
            max(-(-right * side // width), left * side // width + 1),
        ),
    )
    if side <= MAX_SIDE:
        return drawn
    return np.asarray(Image.fromarray(drawn).resize((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC))


def _place_mask(frames: Frames, region: BoxMask, given: int | None) -> tuple[int, Box]:
    region.check_fits(frames.volume.shape)
    axis = frames.mapping.array_axis
    held = slices_along(region, axis)
    if not held:
        raise InputError("The region is empty; mark some voxels.")
    if given is not None and given not in held:
        raise InputError(f"The region is not on slice {given}; choose one of its slices, {held[0]} to {held[-1]}.")
    areas = np.moveaxis(region.array, axis, 0).sum(axis=(1, 2))
    index = region.offset[axis] + int(areas.argmax()) if given is None else given
    mask = frames.mapping.from_volume_slice(plane_of(region, axis, index, frames.volume.shape))
    if not mask.any():
        raise InputError(f"The region is too small to be seen on slice {index}; mark more voxels.")
    return index, region_box(mask)


def _checked_box(region: Any, shape: tuple[int, int]) -> Box:
    try:
        top, left, bottom, right = (int(value) for value in region)
    except (TypeError, ValueError) as error:
        raise InputError("A region is a mask, or a box of four whole numbers: top, left, bottom, right.") from error
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise InputError(
            f"The box {(top, left, bottom, right)} (top, left, bottom, right) is not inside the picture of "
            f"{shape[0]} x {shape[1]} pixels."
        )
    return top, left, bottom, right


def _voxels(frames: Frames, box: Box, index: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """The voxels under the box, (first, end) along k, j, i."""
    top, left, bottom, right = box
    corners = [frames.mapping.voxel_at(row, column, index) for row in (top, bottom - 1) for column in (left, right - 1)]
    return tuple((min(values), max(values) + 1) for values in zip(*corners, strict=True))
