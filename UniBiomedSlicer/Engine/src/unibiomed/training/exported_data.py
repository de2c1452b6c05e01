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
from unibiomed.training.conversations import SEGMENT_ANSWER, segment_question
from unibiomed.training.turns import Conversation, Example, Turn

_ABSENT_SHARE = 0.25
_TURNS = 3


@dataclass(frozen=True)
class _Picture:
    file: str
    masks: dict[str, str]
    reports: tuple[tuple[str, str, str], ...]  # abnormality, sentence, mask file


class ExportedExamples(Dataset):
    """Example ``n``: the pictures of a split in an order that changes with each pass, with fresh questions.

    Attributes:
        phrases: every phrase of the split; one that a picture lacks is asked for too, with an empty mask.
    """

    def __init__(self, folder: Path, split: str = "train", *, count: int, seed: int = 0) -> None:
        """``folder`` of the export, ``count`` examples in all. InputError when the split is not there or is damaged."""
        self.folder, self.split, self.count, self.seed = folder, split, count, seed
        self._pictures = _read(folder, split)
        self.phrases = tuple(sorted({phrase for picture in self._pictures for phrase in picture.masks}))

    def __len__(self) -> int:
        return self.count

    @property
    def n_pictures(self) -> int:
        """Different pictures in the split."""
        return len(self._pictures)

    def __getitem__(self, key: tuple[str, int]) -> Example:
        _, number = key
        passed, place = divmod(number, len(self._pictures))
        order = np.random.default_rng([self.seed, passed]).permutation(len(self._pictures))
        return self._example(self._pictures[order[place]], np.random.default_rng([self.seed, 1, number]))

    def _example(self, picture: _Picture, rng: np.random.Generator) -> Example:
        with Image.open(self.folder / self.split / picture.file) as opened:
            image = np.asarray(opened.convert("RGB"))
        turns = [self._segmentation_turn(image, picture, rng) for _ in range(min(_TURNS, len(self.phrases)))]
        conversations = [Conversation(image, tuple(turns))]
        if picture.reports:
            conversations.append(Conversation(image, (self._report_turn(picture),)))
        return Example(image=image, conversations=tuple(conversations))

    def _segmentation_turn(self, image: np.ndarray, picture: _Picture, rng: np.random.Generator) -> Turn:
        absent = [phrase for phrase in self.phrases if phrase not in picture.masks]
        if absent and (not picture.masks or rng.random() < _ABSENT_SHARE):
            phrase = str(rng.choice(absent))
            mask = np.zeros(image.shape[:2], dtype=bool)
        else:
            phrase = str(rng.choice(list(picture.masks)))
            mask = self._mask(picture.masks[phrase])
        return Turn(segment_question(phrase), SEGMENT_ANSWER, (mask,), (phrase,))

    def _report_turn(self, picture: _Picture) -> Turn:
        blocks = [
            f"<p> {name}. {said} </p> [SEG]".lower().replace("[seg]", "[SEG]") for name, said, _ in picture.reports
        ]
        return Turn(
            templates.REPORT[2], " ".join(blocks), tuple(self._mask(Path(file).name) for _, _, file in picture.reports)
        )

    def _mask(self, file: str) -> np.ndarray:
        with Image.open(self.folder / f"{self.split}_mask" / file) as opened:
            return np.asarray(opened.convert("L")) > 0


def _read(folder: Path, split: str) -> list[_Picture]:
    path = folder / f"{split}.json"
    if not path.is_file():
        raise InputError(f"{folder} has no {split}.json; make the data set with: unibiomed export --format unibiomed")
    content = _json(path)
    try:
        masks: dict[str, dict[str, str]] = {image["file_name"]: {} for image in content["images"]}
        for annotation in content["annotations"]:
            sentence = annotation["sentences"][0]["raw"].lower().rstrip(".")
            masks[annotation["file_name"]][sentence] = annotation["mask_file"]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is not a training list as unibiomed export writes it ({error!r}).") from error
    reports: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    spoken = folder / f"{split}_parse.json"
    for entry in _json(spoken) if spoken.is_file() else ():
        reports[Path(entry["image_file"]).name].append((entry["abnormality"], entry["report"], entry["mask_file"]))
    if not masks:
        raise InputError(f"{path} lists no picture, so there is nothing to train on.")
    return [_Picture(file, found, tuple(reports[file])) for file, found in sorted(masks.items())]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
