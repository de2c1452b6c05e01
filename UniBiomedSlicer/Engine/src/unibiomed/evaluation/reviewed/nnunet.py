# SPDX-License-Identifier: Apache-2.0
"""nnU-Net's raw data set: ``imagesTr`` and ``labelsTr``, ``imagesTs`` and ``labelsTs``, ``dataset.json``, volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts, read_facts
from unibiomed.evaluation.reviewed.cases import ReviewedSet
from unibiomed.evaluation.reviewed.files import known_modality, read_json
from unibiomed.evaluation.reviewed.labelled import Labels, labelled_case
from unibiomed.tasks.catalogue import Catalogue

_SPLITS = "splits_final.json"


def read_nnunet(folder: Path, split: str, known: Catalogue) -> ReviewedSet:
    """The volumes of ``split``: "test" is ``imagesTs``, the others are told apart by ``splits_final.json``.

    InputError for a split without labels or cases, and for damaged lists.
    """
    document = _document(folder / "dataset.json")
    facts = read_facts(folder)
    given = facts.by_name() if facts is not None else {}
    part = "Ts" if split == "test" else "Tr"
    ending = str(document.get("file_ending", ".nii.gz"))
    names = _names(folder, split, part, ending)
    channels = [str(word) for _, word in sorted(document["channel_names"].items(), key=lambda item: int(item[0]))]
    colour = [word.lower() for word in channels] == ["red", "green", "blue"]
    modality = None if colour else known_modality(channels[0])
    labels = Labels.of(document["labels"], known)
    count = 3 if colour else 1
    cases = tuple(
        labelled_case(
            given.get(name) or CaseFacts(name=name, patient=name, split=split, modality=modality),
            labels,
            [folder / f"images{part}" / f"{name}_{number:04d}{ending}" for number in range(count)],
            folder / f"labels{part}" / f"{name}{ending}",
            stated=name in given,
        )
        for name in names
    )
    notes = list(labels.notes(given))
    if len(channels) > 1 and not colour:
        notes.append(f"Of the {len(channels)} channels the first, {channels[0]}, is shown to the model.")
    return ReviewedSet("nnU-Net", cases, notes=tuple(notes))


def _names(folder: Path, split: str, part: str, ending: str) -> list[str]:
    images = folder / f"images{part}"
    there = sorted(path.name.removesuffix(f"_0000{ending}") for path in images.glob(f"*_0000{ending}"))
    if not there:
        raise InputError(f"{folder} has no image in images{part}, so its split {split} is empty.")
    if not (folder / f"labels{part}").is_dir():
        raise InputError(
            f"The images of the split {split} of {folder} have no labels (no folder labels{part}), so there is nothing "
            "to compare with; choose another --split."
        )
    if split == "test":
        return there
    listed = folder / _SPLITS
    if not listed.is_file():
        if split == "train":
            return there
        raise InputError(
            f"{folder} has no {_SPLITS}, so nothing says which cases are its validation; use --split train."
        )
    try:
        wanted = {str(name) for name in read_json(listed)[0]["train" if split == "train" else "val"]}
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(f"{listed} is not a list of splits as nnU-Net has it ({error!r}).") from error
    missing = sorted(wanted - set(there))
    if missing:
        raise InputError(f"{listed} names the case {missing[0]}, which has no image in images{part}.")
    if not wanted:
        raise InputError(f"The split {split} of {folder} has no case.")
    return sorted(wanted)


def _document(path: Path) -> dict[str, Any]:
    document = read_json(path)
    try:
        if not document["labels"] or not document["channel_names"]:
            raise KeyError("labels")
        [int(number) for number in document["channel_names"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not as nnU-Net has it ({error!r}).") from error
    return document
