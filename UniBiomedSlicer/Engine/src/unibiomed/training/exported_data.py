# SPDX-License-Identifier: Apache-2.0
"""Training examples from a data set in UniBiomed's own format, as ``unibiomed export`` writes it.

``<split>.json`` names pictures, masks and sentences; ``<split>_parse.json``, where there is one, what was said of an
abnormality. Layout: the published ``Biomed_Dataset.py`` and ``BiomedGRG_Dataset.py``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from unibiomed.errors import InputError
from unibiomed.tasks import templates
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.training.augmentation import Mapped, moved, other_look
from unibiomed.training.conversations import SEGMENT_ANSWER, segment_question
from unibiomed.training.turns import Conversation, Example, Turn

_ABSENT_SHARE = 0.25
_TURNS = 3


@dataclass(frozen=True)
class ExportedPicture:
    """One picture of a split: its file, mask files by phrase, reports, the patient ("" where nobody said it).

    A report is abnormality, sentence and mask file.
    """

    file: str
    masks: dict[str, str]
    reports: tuple[tuple[str, str, str], ...]
    patient: str


class ExportedPictures:
    """The pictures of a split, ordered by name, and ``phrases``, every phrase that one of them has."""

    def __init__(self, folder: Path, split: str) -> None:
        """Read the lists, not the pictures. InputError when the split is not there or is damaged."""
        self.folder, self.split = folder, split
        self.pictures = _read(folder, split)
        self.phrases = tuple(sorted({phrase for picture in self.pictures for phrase in picture.masks}))

    def image(self, picture: ExportedPicture) -> np.ndarray:
        """RGB uint8 (H, W, 3)."""
        return np.asarray(self._opened(self.split, picture.file, "RGB"))

    def mask(self, picture: ExportedPicture, phrase: str) -> np.ndarray:
        """Bool (H, W), all false for a phrase that the picture lacks."""
        if phrase not in picture.masks:
            return np.zeros(self._opened(self.split, picture.file, "L").size[::-1], dtype=bool)
        return self.mask_file(picture.masks[phrase])

    def mask_file(self, file: str) -> np.ndarray:
        """Bool (H, W) in a mask file of this split."""
        return np.asarray(self._opened(f"{self.split}_mask", file, "L")) > 0

    def _opened(self, folder: str, file: str, mode: str) -> Image.Image:
        path = self.folder / folder / Path(file).name
        try:
            with Image.open(path) as opened:
                return opened.convert(mode)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error}); export the data set again.") from error


class ExportedExamples(Dataset):
    """Example ``n``: the pictures of a split in an order that changes with each pass, with fresh questions.

    Attributes:
        phrases: every phrase of the split; one that a picture lacks is asked for too, with an empty mask.
    """

    def __init__(
        self, folder: Path, split: str = "train", *, count: int, seed: int = 0, augmented: bool = False
    ) -> None:
        """``folder`` of the export, ``count`` examples in all; ``augmented``: each pass shows them a little otherwise.

        InputError when the split is not there or is damaged.
        """
        self.count, self.seed, self.augmented = count, seed, augmented
        self._data = ExportedPictures(folder, split)
        self.phrases = self._data.phrases

    def __len__(self) -> int:
        return self.count

    @property
    def n_pictures(self) -> int:
        """Different pictures in the split."""
        return len(self._data.pictures)

    def __getitem__(self, key: tuple[str, int]) -> Example:
        _, number = key
        passed, place = divmod(number, self.n_pictures)
        order = np.random.default_rng([self.seed, passed]).permutation(self.n_pictures)
        return self._example(self._data.pictures[order[place]], np.random.default_rng([self.seed, 1, number]))

    def _example(self, picture: ExportedPicture, rng: np.random.Generator) -> Example:
        image, change = self._data.image(picture), _as_it_is
        if self.augmented:
            change = moved(image.shape[:2], rng)
            image = other_look(change(image), rng)
        turns = [self._segmentation_turn(image, picture, change, rng) for _ in range(min(_TURNS, len(self.phrases)))]
        conversations = [Conversation(image, tuple(turns))]
        if picture.reports:
            conversations.append(Conversation(image, (self._report_turn(picture, change),)))
        return Example(image=image, conversations=tuple(conversations))

    def _segmentation_turn(
        self, image: np.ndarray, picture: ExportedPicture, change: Mapped, rng: np.random.Generator
    ) -> Turn:
        absent = [phrase for phrase in self.phrases if phrase not in picture.masks]
        if absent and (not picture.masks or rng.random() < _ABSENT_SHARE):
            phrase = str(rng.choice(absent))
            mask = np.zeros(image.shape[:2], dtype=bool)
        else:
            phrase = str(rng.choice(list(picture.masks)))
            mask = change(self._data.mask_file(picture.masks[phrase]))
        return Turn(segment_question(phrase), SEGMENT_ANSWER, (mask,), (phrase,))

    def _report_turn(self, picture: ExportedPicture, change: Mapped) -> Turn:
        blocks = [
            f"<p> {name}. {said} </p> [SEG]".lower().replace("[seg]", "[SEG]") for name, said, _ in picture.reports
        ]
        masks = tuple(change(self._data.mask_file(file)) for _, _, file in picture.reports)
        return Turn(templates.REPORT[2], " ".join(blocks), masks)


def _as_it_is(array: np.ndarray) -> np.ndarray:
    return array


def _read(folder: Path, split: str) -> list[ExportedPicture]:
    path = folder / f"{split}.json"
    if not path.is_file():
        raise InputError(f"{folder} has no {split}.json; make the data set with: unibiomed export --format unibiomed")
    content = _json(path)
    try:
        masks: dict[str, dict[str, str]] = {image["file_name"]: {} for image in content["images"]}
        patients: dict[str, str] = {}
        for annotation in content["annotations"]:
            # Spelled as the engine's prompts are, not as the published loader does (all lower case).
            sentence = parse_phrase(annotation["sentences"][0]["raw"]).text
            masks[annotation["file_name"]][sentence] = annotation["mask_file"]
            patients[annotation["file_name"]] = str(annotation.get("patient", ""))
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is not a training list as unibiomed export writes it ({error!r}).") from error
    reports: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    spoken = folder / f"{split}_parse.json"
    try:
        for entry in _json(spoken) if spoken.is_file() else ():
            reports[Path(entry["image_file"]).name].append((entry["abnormality"], entry["report"], entry["mask_file"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{spoken} is not a list of reports as unibiomed export writes it ({error!r}).") from error
    if not masks:
        raise InputError(f"{path} lists no picture, so there is nothing to train on.")
    return [
        ExportedPicture(file, found, tuple(reports[file]), patients.get(file, ""))
        for file, found in sorted(masks.items())
    ]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
