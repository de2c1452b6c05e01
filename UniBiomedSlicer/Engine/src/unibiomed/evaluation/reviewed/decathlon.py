# SPDX-License-Identifier: Apache-2.0
"""The Medical Segmentation Decathlon's layout, as MONAI reads it: a list in ``dataset.json``, volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts, read_facts
from unibiomed.evaluation.reviewed.cases import ListedCase, ReviewedSet
from unibiomed.evaluation.reviewed.files import known_modality, read_json
from unibiomed.evaluation.reviewed.labelled import Labels, labelled_case
from unibiomed.tasks.catalogue import Catalogue

_LIST_OF = {"train": "training", "validation": "validation", "test": "test"}


def read_decathlon(folder: Path, split: str, known: Catalogue) -> ReviewedSet:
    """The volumes of ``split``. InputError for a split without labels or cases, and for a damaged list."""
    path = folder / "dataset.json"
    document = read_json(path)
    facts = read_facts(folder)
    given = facts.by_name() if facts is not None else {}
    try:
        entries = list(document.get(_LIST_OF[split]) or ())
        channels = sorted((document.get("modality") or {"0": ""}).items(), key=lambda item: int(item[0]))
        labels = Labels.of({str(word): int(value) for value, word in document["labels"].items()}, known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a decathlon list ({error!r}).") from error
    if not entries:
        raise InputError(f"The split {split} of {folder} has no case in {path.name}.")
    cases = tuple(_case(folder, path, entry, split, known_modality(channels[0][1]), labels, given) for entry in entries)
    return ReviewedSet("MONAI decathlon", cases, notes=labels.notes(given))


def _case(
    folder: Path,
    path: Path,
    entry: Any,
    split: str,
    modality: str | None,
    labels: Labels,
    given: dict[str, CaseFacts],
) -> ListedCase:
    if isinstance(entry, str) or (isinstance(entry, dict) and "label" not in entry):
        raise InputError(
            f"The images of the split {split} in {path} have no labels, so there is nothing to compare with; choose "
            "another --split."
        )
    try:
        image, label = folder / entry["image"], folder / entry["label"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not a decathlon list ({error!r}).") from error
    name = image.name.removesuffix(".gz").removesuffix(".nii")
    stated = given.get(name) or CaseFacts(name=name, patient=name, split=split, modality=modality)
    return labelled_case(stated, labels, [image], label, stated=name in given)
