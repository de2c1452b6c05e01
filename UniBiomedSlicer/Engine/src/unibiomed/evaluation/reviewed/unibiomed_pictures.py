# SPDX-License-Identifier: Apache-2.0
"""UniBiomed's own format: PNG pictures and masks, ``<split>.json``, and what is said in ``<split>_parse.json``."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts, SegmentFacts, phrases_of, read_facts
from unibiomed.evaluation.reviewed.cases import ListedCase, OpenedPictures, PictureFile, ReviewedSet, fitting
from unibiomed.evaluation.reviewed.files import bare, words_of
from unibiomed.tasks.catalogue import Catalogue
from unibiomed.training.exported_data import ExportedPicture, ExportedPictures

FOLDER_OF = {"train": "train", "validation": "val", "test": "test"}
LISTS = {split: f"{folder}.json" for split, folder in FOLDER_OF.items()}
_CASE = re.compile(r"(?P<case>.+?)-(?P<slice>\d+)_")


def read_unibiomed(folder: Path, split: str, known: Catalogue) -> ReviewedSet:
    """The pictures of ``split``, which are those that a segment stands on.

    Without ``unibiomed-export.json`` distances are in pixels. InputError when the split is missing or damaged.
    """
    try:
        data = ExportedPictures(folder, FOLDER_OF[split])
    except (KeyError, TypeError) as error:
        spoken = folder / f"{FOLDER_OF[split]}_parse.json"
        raise InputError(f"{spoken} is not a list of reports as unibiomed export writes it ({error!r}).") from error
    if not data.phrases:
        raise InputError(f"The split {split} of {folder} has no segment to compare with.")
    facts = read_facts(folder)
    given = facts.by_name() if facts is not None else {}
    files: dict[str, list[ExportedPicture]] = defaultdict(list)
    for picture in data.pictures:
        files[_named(picture)[0]].append(picture)
    stated = {name: given.get(name) or _guessed(name, some, split) for name, some in files.items()}
    asked = dict.fromkeys((*data.phrases, *phrases_of(stated.values())))
    cases = tuple(
        ListedCase(stated[name], fitting(asked, stated[name].modality), partial(_opened, data, some))
        for name, some in files.items()
    )
    notes = ["The pictures are those that a segment stands on; slices without any are not in this format."]
    if not given:
        notes.append("The set does not say how large a pixel is, so distances are in pixels.")
    unit = "mm" if any(case.facts.spatial for case in cases) else "pixels"
    return ReviewedSet("UniBiomed's pictures", cases, unit, flat=True, whole=False, notes=tuple(notes))


def _named(picture: ExportedPicture) -> tuple[str, str]:
    found = _CASE.match(picture.file)
    return (found["case"], found["slice"]) if found else (picture.file, "")


def _opened(data: ExportedPictures, files: list[ExportedPicture]) -> OpenedPictures:
    return OpenedPictures(
        tuple(
            PictureFile(
                _named(one)[1],
                partial(data.image, one),
                {phrase: partial(data.mask, one, phrase) for phrase in one.masks},
                _sentences(one),
            )
            for one in files
        )
    )


def _sentences(picture: ExportedPicture) -> dict[str, str]:
    phrase_of = {file: phrase for phrase, file in picture.masks.items()}
    said = ((phrase_of.get(Path(file).name), sentence) for _, sentence, file in picture.reports)
    return {phrase: sentence for phrase, sentence in said if phrase is not None}


def _guessed(name: str, files: list[ExportedPicture], split: str) -> CaseFacts:
    """What the lists alone say; a case that is spoken of was read without a prompt."""
    phrases = list(dict.fromkeys(phrase for one in files for phrase in one.masks))
    spoken = {name.lower() for one in files for name, _, _ in one.reports}
    words = words_of(phrases)
    return CaseFacts(
        name=name,
        patient=next((one.patient for one in files if one.patient), name),
        split=split,
        modality=words.modality,
        site=words.site,
        spatial=False,
        prompt_free=bool(spoken),
        text_stands=bool(spoken),
        segments=tuple(
            SegmentFacts(
                phrase=phrase, target=bare(phrase), kind="abnormality" if bare(phrase) in spoken else "unknown"
            )
            for phrase in phrases
        ),
    )
