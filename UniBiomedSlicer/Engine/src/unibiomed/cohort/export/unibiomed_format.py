# SPDX-License-Identifier: Apache-2.0
"""UniBiomed's own training format, as its published loaders read it (``Biomed_Dataset.py``, ``BiomedGRG_Dataset.py``).

A folder a split with PNG pictures, ``<split>_mask`` beside it with 0/255 masks, and a COCO-like ``<split>.json``:
images, annotations with ``file_name``, ``mask_file`` and ``sentences`` (image, mask, sentence triplets). What was said
of abnormalities, by a reviewer or the model, goes to ``<split>_parse.json`` (abnormality, report, anatomy, image and
mask file).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unibiomed.cohort.export.pictures import Picture, pictures
from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.cohort.export.splits import SPLITS
from unibiomed.tasks.phrases import parse_phrase

#: The published loaders call the held-out part of their data sets so.
FOLDER_OF = {"train": "train", "validation": "val", "test": "test"}


def write_unibiomed(folder: Path, samples: Iterable[Sample]) -> None:
    """Write the pictures, masks and JSON files into the empty ``folder``."""
    sets: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: {"images": [], "annotations": []})
    reports: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for sample in one_by_one(samples):
        split = FOLDER_OF[sample.split]
        for name in (split, f"{split}_mask"):
            (folder / name).mkdir(exist_ok=True)
        for picture in pictures(sample):
            _add_picture(folder, split, sample, picture, sets[split], reports[split])
    for split in (FOLDER_OF[name] for name in SPLITS):
        if split in sets:
            (folder / f"{split}.json").write_text(json.dumps(sets[split], indent=1), encoding="utf-8")
        if reports.get(split):
            (folder / f"{split}_parse.json").write_text(json.dumps(reports[split], indent=1), encoding="utf-8")


def _add_picture(
    folder: Path,
    split: str,
    sample: Sample,
    picture: Picture,
    out: dict[str, list[dict[str, Any]]],
    reports: list[dict[str, Any]],
) -> None:
    stem = f"{sample.name}-{picture.slice:04d}"
    file = f"{stem}_{_word(sample.modality)}_{_word(sample.result.provenance.site or '')}.png"
    height, width = picture.image.shape[:2]
    Image.fromarray(picture.image).save(folder / split / file)
    out["images"].append({"id": len(out["images"]), "file_name": file, "height": height, "width": width})
    anatomy = {sample.phrase(n) for n in range(len(sample.heads)) if sample.kind(n) == "anatomy"}
    for phrase, mask in picture.masks.items():
        mask_file = f"{file[:-4]}_{_word(picture.targets[phrase])}.png"
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{split}_mask" / mask_file)
        number = len(out["annotations"])
        out["annotations"].append(
            {
                "id": number,
                "image_id": out["images"][-1]["id"],
                "file_name": file,
                "mask_file": mask_file,
                "sentences": [{"raw": phrase, "sent": phrase, "sent_id": number}],
                "split": split,
                "patient": sample.patient,
            }
        )
        sentence = "" if phrase in anatomy else sample.sentence(phrase, picture.slice)
        if sentence:
            reports.append(
                {
                    "abnormality": picture.targets[phrase],
                    "report": sentence,
                    "anatomy": parse_phrase(phrase).site or sample.result.provenance.site or "",
                    "image_file": f"{split}/{file}",
                    "mask_file": f"{split}_mask/{mask_file}",
                }
            )


def _word(text: str) -> str:
    """Part of a file name; the published sets write ``+`` for a blank and split at ``_``."""
    return "".join(c if c.isalnum() or c in "-." else "+" for c in text) or "+"
