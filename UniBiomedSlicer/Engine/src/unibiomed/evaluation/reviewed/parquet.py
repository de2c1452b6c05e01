# SPDX-License-Identifier: Apache-2.0
"""Hugging Face parquet: a row for every picture of a case, also those that nothing stands on.

Which cases there are is read from the small columns; pictures and masks when a case is opened, from its row groups.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import CaseFacts, SegmentFacts, phrases_of, read_facts
from unibiomed.evaluation.reviewed.cases import (
    ListedCase,
    OpenedPictures,
    PictureFile,
    ReviewedSet,
    fitting,
    sentences_at,
)
from unibiomed.evaluation.reviewed.files import bare, known_modality, words_of
from unibiomed.tasks.catalogue import Catalogue
from unibiomed.tasks.phrases import parse_phrase

_LISTED = ("case", "patient", "slice", "modality", "phrases", "text")
_PICTURES = ("image", "masks")


def read_parquet(folder: Path, split: str, known: Catalogue) -> ReviewedSet:
    """The pictures of ``split``. InputError when the split is missing or damaged, or pyarrow is."""
    files = sorted((folder / "data").glob(f"{split}-*.parquet"))
    if not files:
        raise InputError(f"{folder} has no data/{split}-*.parquet, so it has no split {split}.")
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in files:
        for row in _rows(path):
            rows[str(row["case"])].append(row)
    facts = read_facts(folder)
    given = facts.by_name() if facts is not None else {}
    stated = {name: given.get(name) or _guessed(name, some, split) for name, some in rows.items()}
    phrases = (_phrase(text) for some in rows.values() for row in some for text in row["phrases"])
    asked = dict.fromkeys((*phrases, *phrases_of(stated.values())))
    if not asked:
        raise InputError(f"The split {split} of {folder} has no segment to compare with.")
    cases = tuple(
        ListedCase(
            stated[name],
            fitting(asked, stated[name].modality),
            partial(_opened, stated[name], some),
        )
        for name, some in rows.items()
    )
    notes = () if given else ("The set does not say how large a pixel is, so distances are in pixels.",)
    unit = "mm" if any(case.facts.spatial for case in cases) else "pixels"
    return ReviewedSet("Hugging Face parquet", cases, unit, flat=True, notes=notes)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file without their pictures; "place" says where these are: file, row group, row."""
    with _parquet(path) as opened:
        missing = [name for name in (*_LISTED, *_PICTURES) if name not in opened.schema_arrow.names]
        if missing:
            raise InputError(f"{path} lacks the column {missing[0]}; export the data set again.")
        for group in range(opened.num_row_groups):
            rows = opened.read_row_group(group, columns=list(_LISTED)).to_pylist()
            for number, row in enumerate(rows):
                yield {**row, "place": (path, group, number)}


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """The file opened by pyarrow; InputError when that is missing, or the file damaged."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError('Parquet files need the datasets library: pip install "unibiomed[export]"') from error
    try:
        with parquet.ParquetFile(path) as opened:
            yield opened
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read as parquet; it is damaged or cut short.") from error


def _with_pictures(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one case with "image" and "masks", each row group read once."""
    groups: dict[tuple[Path, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["place"][:2]].append(row)
    found = []
    for (path, group), some in groups.items():
        with _parquet(path) as opened:
            table = opened.read_row_group(group, columns=list(_PICTURES))
            pictures = table.take([row["place"][2] for row in some]).to_pylist()
        found += [{**row, **own} for row, own in zip(some, pictures, strict=True)]
    return sorted(found, key=lambda row: row["slice"])


def _opened(facts: CaseFacts, rows: list[dict[str, Any]]) -> OpenedPictures:
    return OpenedPictures(
        tuple(
            PictureFile(
                str(row["slice"]),
                partial(_image, row),
                {_phrase(text): partial(_mask, row, number) for number, text in enumerate(row["phrases"])},
                sentences_at(facts, int(row["slice"])),
            )
            for row in _with_pictures(rows)
        )
    )


def _image(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(_decoded(row, row["image"]).convert("RGB"))


def _mask(row: dict[str, Any], number: int) -> np.ndarray:
    return np.asarray(_decoded(row, row["masks"][number]).convert("L")) > 0


def _decoded(row: dict[str, Any], cell: dict[str, Any]) -> Image.Image:
    try:
        opened = Image.open(io.BytesIO(cell["bytes"]))
        opened.load()
    except (OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(
            f"A picture of slice {row['slice']} of {row['case']} cannot be read; export the data set again."
        ) from error
    return opened


def _phrase(text: str) -> str:
    return parse_phrase(text).text


def _guessed(name: str, rows: list[dict[str, Any]], split: str) -> CaseFacts:
    phrases = list(dict.fromkeys(_phrase(text) for row in rows for text in row["phrases"]))
    words, first = words_of(phrases), rows[0]
    return CaseFacts(
        name=name,
        patient=str(first["patient"] or name),
        split=split,
        modality=known_modality(first["modality"]) or words.modality,
        site=words.site,
        spatial=False,
        segments=tuple(SegmentFacts(phrase=phrase, target=bare(phrase)) for phrase in phrases),
        text=str(first["text"] or ""),
        text_stands=bool(first["text"]),
    )
