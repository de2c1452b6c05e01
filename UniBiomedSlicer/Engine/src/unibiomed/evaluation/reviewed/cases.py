# SPDX-License-Identifier: Apache-2.0
"""A reviewed case as a model is measured on it: its pictures, what stands on them, and what is known of it.

A case is opened for as long as it is asked about, so that one volume at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts
from unibiomed.tasks.catalogue import agree
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.stack import plane_of
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.volume import Volume


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture: RGB uint8 (H, W, 3), the bool masks (H, W) that stand on it and what is said, both by phrase."""

    place: str
    image: np.ndarray
    masks: Mapping[str, np.ndarray]
    sentences: Mapping[str, str]


class Opened(Protocol):
    """The pictures of a case in order; ``areas`` are the pixels of each phrase by the picture's number."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def picture(self, index: int) -> Shown:
        """Picture ``index`` with what stands on it."""

    def areas(self, phrases: Iterable[str]) -> dict[str, dict[int, int]]:
        """Pixels of each of ``phrases`` on the pictures that have any."""


class ReviewedCase(Protocol):
    """A case before it is read; ``phrases`` are what it is asked for."""

    @property
    def facts(self) -> CaseFacts:
        """What is known of the case."""

    @property
    def phrases(self) -> tuple[str, ...]:
        """What a model is asked for in it."""

    def open(self) -> Opened:
        """Read it. InputError for damaged files."""


@dataclass(frozen=True, eq=False)
class ListedCase:
    """A case of a data set's list; ``open`` reads its files."""

    facts: CaseFacts
    phrases: tuple[str, ...]
    open: Callable[[], Opened]


@dataclass(frozen=True, eq=False)
class ReviewedSet:
    """The cases of one split.

    Attributes:
        kind: the format, as a person calls it.
        unit: of distances, "mm" or "pixels".
        flat: the cases are pictures, measured one by one, and not volumes.
        whole: every picture of a case is there, so that a case can be read as a whole.
        notes: what a reader of the figures should know of these data.
    """

    kind: str
    cases: tuple[ReviewedCase, ...]
    unit: str = "mm"
    flat: bool = False
    whole: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class OpenedVolume:
    """A volume with its truth by phrase; its pictures are cut as the tasks cut them."""

    facts: CaseFacts
    volume: Volume
    truth: Mapping[str, BoxMask]

    def __len__(self) -> int:
        """Slices along the axis of the plan."""
        return len(self._frames)

    def picture(self, index: int) -> Shown:
        """Slice ``index`` in the window of the plan, else of its modality and site."""
        mapping = self._frames.mapping
        masks = {}
        for phrase, mask in self.truth.items():
            plane = plane_of(mask, mapping.array_axis, index, self.volume.shape)
            if plane.any():
                masks[phrase] = mapping.from_volume_slice(plane)
        return Shown(str(index), self._frames.picture(index), masks, sentences_at(self.facts, index))

    def areas(self, phrases: Iterable[str]) -> dict[str, dict[int, int]]:
        """Voxels of each phrase by slice."""
        axis = self._frames.mapping.array_axis
        found: dict[str, dict[int, int]] = {}
        for phrase in phrases:
            mask = self.truth.get(phrase)
            if mask is None or mask.is_empty:
                continue
            counts = np.moveaxis(mask.array, axis, 0).sum(axis=(1, 2))
            found[phrase] = {mask.offset[axis] + row: int(count) for row, count in enumerate(counts) if count}
        return found

    @cached_property
    def _frames(self) -> Frames:
        how = self.facts.how
        return Frames.of(
            self.volume,
            modality=how.modality or self.facts.modality,
            site=how.site or self.facts.site,
            window=how.window,
            axis=how.axis,
        )


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture that is read when it is asked for; ``masks`` reads the mask of each phrase that stands on it."""

    place: str
    image: Callable[[], np.ndarray]
    masks: Mapping[str, Callable[[], np.ndarray]]
    sentences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class OpenedPictures:
    """The pictures of a case, file by file."""

    pictures: Sequence[PictureFile]

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.pictures)

    def picture(self, index: int) -> Shown:
        """Read picture ``index`` and its masks. InputError where their sizes differ."""
        one = self.pictures[index]
        image, masks = one.image(), {phrase: read() for phrase, read in one.masks.items()}
        for phrase, mask in masks.items():
            if mask.shape != image.shape[:2]:
                raise InputError(
                    f"The mask of {phrase} on picture {one.place} has {mask.shape} pixels, its picture "
                    f"{image.shape[:2]}; export the data set again."
                )
        return Shown(one.place, image, masks, one.sentences)

    def areas(self, phrases: Iterable[str]) -> dict[str, dict[int, int]]:
        """Pixels of each phrase by picture."""
        found: dict[str, dict[int, int]] = {}
        for phrase in phrases:
            for index, one in enumerate(self.pictures):
                if phrase in one.masks:
                    found.setdefault(phrase, {})[index] = int(np.count_nonzero(one.masks[phrase]()))
        return found


def sentences_at(facts: CaseFacts, index: int) -> dict[str, str]:
    """What is said of each phrase on picture ``index``."""
    return {item.phrase: item.sentence for item in facts.sentences if index in item.slices}


def fitting(phrases: Iterable[str], modality: str | None) -> tuple[str, ...]:
    """The phrases that may be meant for a picture of ``modality``: nobody looks for a polyp in a CT."""
    chosen = []
    for phrase in phrases:
        own = parse_phrase(phrase).modality
        if own is None or modality is None or agree(own, modality):
            chosen.append(phrase)
    return tuple(chosen)
