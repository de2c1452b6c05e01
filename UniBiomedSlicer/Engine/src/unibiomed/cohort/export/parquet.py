# SPDX-License-Identifier: Apache-2.0
"""Hugging Face ``datasets``: one parquet file a split, a row for every picture with its masks, phrases and report."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unibiomed.cohort.export.pictures import pictures
from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.cohort.export.splits import SPLITS
from unibiomed.errors import InputError

#: Rows of a row group, as the datasets library has it for pictures.
ROWS = 100


def write_parquet(folder: Path, samples: Iterable[Sample]) -> None:
    """Write ``data/<split>-00000-of-00001.parquet``, the layout that ``datasets.load_dataset(folder)`` finds by itself.

    Rows go to the disk by the hundred: the pictures of a cohort do not fit into memory. InputError when the library is
    missing.
    """
    try:
        import pyarrow
        from datasets import Features, Image, Sequence, Value
        from pyarrow import parquet
    except ImportError as error:
        raise InputError('This export needs the datasets library: pip install "unibiomed[export]"') from error
    features = Features(
        {
            "case": Value("string"), "patient": Value("string"), "slice": Value("int32"), "modality": Value("string"),
            "image": Image(), "phrases": Sequence(Value("string")), "masks": Sequence(Image()), "text": Value("string"),
        }
    )  # fmt: skip
    schema = features.arrow_schema
    waiting: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    (folder / "data").mkdir()
    with ExitStack() as opened:
        writers: dict[str, Any] = {}

        def write(split: str) -> None:
            if split not in writers:
                path = folder / "data" / f"{split}-00000-of-00001.parquet"
                writers[split] = opened.enter_context(parquet.ParquetWriter(path, schema))
            writers[split].write_table(pyarrow.Table.from_pylist(waiting[split], schema=schema))
            waiting[split].clear()

        for sample in one_by_one(samples):
            for row in _rows(sample):
                waiting[sample.split].append(row)
                if len(waiting[sample.split]) == ROWS:
                    write(sample.split)
        for split, rows in waiting.items():
            if rows:
                write(split)


def _rows(sample: Sample) -> Iterator[dict[str, Any]]:
    for picture in pictures(sample, empty=True):
        yield {
            "case": sample.name,
            "patient": sample.patient,
            "slice": picture.slice,
            "modality": sample.modality,
            "image": _png(Image.fromarray(picture.image)),
            "phrases": list(picture.masks),
            "masks": [_png(Image.fromarray(mask.astype(np.uint8) * 255)) for mask in picture.masks.values()],
            "text": sample.text,
        }


def _png(image: Image.Image) -> dict[str, Any]:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return {"bytes": out.getvalue(), "path": None}
