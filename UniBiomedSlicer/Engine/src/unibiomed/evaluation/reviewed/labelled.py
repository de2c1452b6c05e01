# SPDX-License-Identifier: Apache-2.0
"""Volumes with one label map each: which phrase a label is asked for by, and a case that is opened from its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts, SegmentFacts
from unibiomed.evaluation.reviewed.cases import ListedCase, OpenedVolume
from unibiomed.evaluation.reviewed.files import bare, phrase_of_label, read_image, read_labels, truth_of
from unibiomed.tasks.catalogue import Catalogue

OVERLAP = (
    "This format has one label a voxel: where segments overlapped, the smaller one won, so its Dice can differ from "
    "that of the catalogue."
)
GUESSED = (
    "The set does not say its phrases, patients and window: a label is asked for by its name in the default window, "
    "and every case counts as a patient of its own."
)


@dataclass(frozen=True)
class Labels:
    """Label values by name, without the background; a name may have several (nnU-Net's regions)."""

    values: dict[str, tuple[int, ...]]
    known: Catalogue

    @classmethod
    def of(cls, listed: Mapping[str, Any], known: Catalogue) -> Labels:
        """From ``{"background": 0, "liver": 1, "whole tumor": [2, 3]}``. InputError where a value is no number."""
        values: dict[str, tuple[int, ...]] = {}
        try:
            for name, value in listed.items():
                own = tuple(int(one) for one in (value if isinstance(value, (list, tuple)) else [value]))
                if own != (0,) and name != "ignore":
                    values[str(name)] = own
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"The labels of the data set are not numbered ({error}).") from error
        if not values:
            raise InputError("The data set has no label but the background, so there is nothing to compare with.")
        return cls(values, known)

    def phrases(self, facts: CaseFacts, stated: bool) -> dict[str, tuple[int, ...]]:
        """Label values by phrase: the case's own phrases where it states them, else by the labels' names."""
        if not stated:
            return {phrase_of_label(name, facts.modality, self.known): own for name, own in self.values.items()}
        by_label = {_label(item.target): item.phrase for item in facts.segments}
        return {by_label[_label(name)]: own for name, own in self.values.items() if _label(name) in by_label}

    def notes(self, given: Mapping[str, CaseFacts]) -> tuple[str, ...]:
        """What to know of figures from label maps."""
        return (OVERLAP,) if given else (OVERLAP, GUESSED)


def labelled_case(facts: CaseFacts, labels: Labels, image: list[Path], label: Path, *, stated: bool) -> ListedCase:
    """A case of an image and a label map; ``stated``: ``facts`` come from the export, not from the lists alone."""
    values = labels.phrases(facts, stated)
    asked = dict.fromkeys((*facts.asked, *values))
    if not stated:
        kinds = (SegmentFacts(phrase=phrase, target=bare(phrase)) for phrase in values)
        facts = facts.model_copy(update={"segments": tuple(kinds)})
    return ListedCase(facts, tuple(asked), partial(_open, facts, values, image, label))


def _open(facts: CaseFacts, values: dict[str, tuple[int, ...]], image: list[Path], label: Path) -> OpenedVolume:
    volume = read_image(image, facts.modality, facts.spatial)
    return OpenedVolume(facts, volume, truth_of(read_labels(label, volume.shape), values))


def _label(name: str) -> str:
    """A target as the label of it is spelled."""
    return " ".join(name.lower().split())
