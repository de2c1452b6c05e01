# SPDX-License-Identifier: Apache-2.0
"""Which format a folder is in, told by its files, and its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unibiomed.errors import InputError
from unibiomed.evaluation.reviewed.cases import ReviewedSet
from unibiomed.evaluation.reviewed.decathlon import read_decathlon
from unibiomed.evaluation.reviewed.files import read_json
from unibiomed.evaluation.reviewed.nnunet import read_nnunet
from unibiomed.evaluation.reviewed.parquet import read_parquet
from unibiomed.evaluation.reviewed.unibiomed_pictures import LISTS, read_unibiomed
from unibiomed.tasks.catalogue import Catalogue

Split = str
Reader = Callable[[Path, Split, Catalogue], ReviewedSet]


def read_export(folder: Path, split: Split, known: Catalogue) -> ReviewedSet:
    """The cases of ``split`` ("train", "validation", "test") of a data set that ``unibiomed export`` can write.

    ``known`` are targets by which a label without a phrase finds its own. InputError, in one sentence, for a folder
    that is none, one without images, a missing split, and damaged files.
    """
    return _reader(folder)(folder, split, known)


def _reader(folder: Path) -> Reader:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    if (folder / "catalogue.sqlite").is_file():
        raise InputError(f"{folder} is the catalogue of a cohort; measure on it with --catalogue {folder}")
    document = folder / "dataset.json"
    if document.is_file():
        content = read_json(document)
        if isinstance(content, dict) and "training" in content:
            return read_decathlon
        if isinstance(content, dict) and "channel_names" in content:
            return read_nnunet
        raise InputError(f"{document} is neither nnU-Net's (channel_names) nor a decathlon list (training).")
    if any((folder / name).is_file() for name in LISTS.values()):
        return read_unibiomed
    if any((folder / "data").glob("*.parquet")):
        return read_parquet
    if any(folder.glob("*/segmentation.dcm")) or any(folder.glob("*/report.dcm")):
        raise InputError(
            f"{folder} holds DICOM SEG and SR without the images that they speak of, so no model can be asked; measure "
            "with --catalogue, or export another format."
        )
    raise InputError(
        f"{folder} is no data set that unibiomed export writes (unibiomed, nnunet, decathlon, parquet, dicom); it has "
        "none of their lists."
    )
