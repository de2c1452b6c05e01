# SPDX-License-Identifier: Apache-2.0
"""What the readers of data sets share: JSON, names of cases, labels without a phrase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from unibiomed.errors import InputError
from unibiomed.tasks.catalogue import Catalogue, Target
from unibiomed.tasks.phrases import Phrase, make_phrase, parse_phrase
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.modalities import parse_modality
from unibiomed.volumes.reading import read_volume
from unibiomed.volumes.volume import Volume


def read_json(path: Path) -> Any:
    """Parsed JSON; InputError names the file and what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); export the data set again.") from error


def known_modality(word: object) -> str | None:
    """``word`` as a modality, None where it names none."""
    try:
        return parse_modality(str(word))
    except InputError:
        return None


def phrase_of_label(label: str, modality: str | None, known: Catalogue) -> str:
    """The phrase that a bare label is asked for by: that of the one target that it can mean, else the label itself."""
    target = meant_target(label, modality, known)
    if target is not None:
        return target.phrase
    words = parse_phrase(label)
    return make_phrase(words.target, words.site, words.modality or modality)


def meant_target(text: str, modality: str | None, known: Catalogue) -> Target | None:
    """The one target that a label or phrase can mean; None for an unknown name and where several are possible."""
    try:
        return known.resolve(text, modality)
    except InputError:
        return None


def bare(phrase: str) -> str:
    """The target that a phrase names."""
    return parse_phrase(phrase).target


def words_of(phrases: list[str]) -> Phrase:
    """Modality and site that the first phrase with any says."""
    said = [parse_phrase(phrase) for phrase in phrases]
    return Phrase(
        "",
        next((one.site for one in said if one.site), None),
        next((one.modality for one in said if one.modality), None),
    )


def read_image(files: list[Path], modality: str | None, spatial: bool) -> Volume:
    """A NIfTI image of one channel; of three files, or of three frames in one, 8-bit colour."""
    for path in files:
        if not path.is_file():
            raise InputError(f"The image {path} is not there; export the data set again.")
    if len(files) == 3:
        channels = [read_volume(path, modality=modality) for path in files]
    elif _frames(files[0]) == 3:
        channels = [read_volume(files[0], modality=modality, frame=frame) for frame in range(3)]
    else:
        channels = [read_volume(files[0], modality=modality)]
    first = channels[0]
    array = first.array
    if len(channels) == 3:
        array = np.stack([np.asarray(one.array).astype(np.uint8) for one in channels], axis=-1)
    return Volume(array, first.ijk_to_ras, first.modality, first.source, spatial and first.spatial)


def read_labels(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Whole-numbered labels [k, j, i] on an image's grid. InputError where they are not there or do not fit."""
    if not path.is_file():
        raise InputError(f"The image has no label map {path}, so there is nothing to compare with.")
    try:
        stored = np.asarray(nibabel.load(path).dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise InputError(f"The label map {path} cannot be read; it is damaged or cut short.") from error
    labels = stored.reshape((*stored.shape, 1, 1)[:3]).T if stored.ndim <= 3 else stored.T
    if labels.shape != shape:
        raise InputError(f"The label map {path} has {labels.shape} voxels [k, j, i], its image {shape}.")
    # As they are stored where that is whole numbers: a large label map fits into memory once, not nine times.
    return labels if np.issubdtype(labels.dtype, np.integer) else np.rint(labels).astype(np.int32)


def truth_of(labels: np.ndarray, values: dict[str, tuple[int, ...]]) -> dict[str, BoxMask]:
    """A mask for each phrase that has a voxel; ``values`` are the label values of each phrase."""
    found = {phrase: BoxMask.from_full(np.isin(labels, wanted)) for phrase, wanted in values.items()}
    return {phrase: mask for phrase, mask in found.items() if not mask.is_empty}


def _frames(path: Path) -> int:
    try:
        shape = nibabel.load(path).shape
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise InputError(f"{path.name} cannot be read as NIfTI; it is damaged or cut short.") from error
    return int(shape[3]) if len(shape) == 4 else 1
