# SPDX-License-Identifier: Apache-2.0
"""The reviewed cases of a catalogue, as a model is measured on them: whole volumes, distances in millimetres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.facts import case_facts, standing_phrases
from unibiomed.cohort.export.samples import Sample, Which, samples
from unibiomed.errors import InputError
from unibiomed.evaluation.agreement import Answer
from unibiomed.evaluation.export_facts import CaseFacts, phrases_of
from unibiomed.evaluation.exported import ask, known_targets
from unibiomed.evaluation.reviewed.cases import OpenedVolume, ReviewedSet
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.volumes.masks import BoxMask


def reviewed_set(catalogue: Catalogue, which: Which = "reviewed", split: str | None = None) -> ReviewedSet:
    """The cases of ``catalogue`` under the names of an export.

    Asked for is what a case was annotated for and what its reviewer outlined. ``split`` ("train", "validation", "test")
    takes the patients that an export with default shares puts there. A picture without real spacing counts 1 mm a
    pixel. InputError when no case was reviewed.
    """
    chosen = [one for one in samples(catalogue, which) if split in (None, one.split)]
    if not chosen:
        raise InputError(f"{catalogue.folder} holds no reviewed case in the split {split}.")
    return ReviewedSet("catalogue", tuple(_CatalogueCase(sample) for sample in chosen))


def ask_catalogue(
    model: Any,
    catalogue: Catalogue,
    tolerance: float,
    *,
    which: Which = "reviewed",
    split: str | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    stage: str = "Evaluating",
) -> list[Answer]:
    """What ``model`` segments in every reviewed case, as the catalogue's plan says; ``tolerance`` of NSD in mm.

    See ``reviewed_set`` and ``unibiomed.evaluation.exported.ask``. Cancelled within a slice.
    """
    asked = ask(
        model,
        reviewed_set(catalogue, which, split),
        known_targets(model),
        tolerance,
        tasks=("segment",),
        progress=progress,
        cancelled=cancelled,
        stage=stage,
    )
    return list(asked.answers)


class _CatalogueCase:
    """A case that is read when it is opened, and let go of afterwards; its facts come with its first reading."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._facts: CaseFacts | None = None

    @property
    def facts(self) -> CaseFacts:
        """What is known of the case."""
        if self._facts is None:
            self._facts = case_facts(replace(self._sample))
        return self._facts

    @property
    def phrases(self) -> tuple[str, ...]:
        """What was asked for, and what stands."""
        return phrases_of([self.facts])

    def open(self) -> OpenedVolume:
        """The volume with what stands in it."""
        fresh = replace(self._sample)
        self._facts = case_facts(fresh)
        return _opened(fresh, self._facts)


def _opened(sample: Sample, facts: CaseFacts) -> OpenedVolume:
    truth: dict[str, BoxMask] = {}
    for phrase, item in zip(standing_phrases(sample), sample.segmentation.segments, strict=True):
        truth[phrase] = truth[phrase].union(item.mask) if phrase in truth else item.mask
    return OpenedVolume(facts, sample.volume, {phrase: mask for phrase, mask in truth.items() if not mask.is_empty})
