# SPDX-License-Identifier: Apache-2.0
"""Small DICOM series made for a test, with any geometry, type and compression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def make_dicom() -> Callable[..., FileDataset]:
    """``make_dicom(pixels, **elements)``: one DICOM dataset with ``pixels`` (j, i), (n, j, i), or (j, i, 3)."""

    def make(pixels: np.ndarray, **elements: Any) -> FileDataset:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", CT_STORAGE)
        meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        colour = pixels.ndim > 2 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8
        grid = pixels.shape[:-1] if colour else pixels.shape
        bits = pixels.dtype.itemsize * 8
        dataset.SOPClassUID = CT_STORAGE
        dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        dataset.Modality = "CT"
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3.1", "1.2.3"
        dataset.FrameOfReferenceUID = "1.2.3.9"
        dataset.Rows, dataset.Columns = grid[-2:]
        if len(grid) == 3:
            dataset.NumberOfFrames = grid[0]
        dataset.SamplesPerPixel = 3 if colour else 1
        dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            dataset.PlanarConfiguration = 0
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        for name, value in elements.items():
            setattr(dataset, name, value)
        return dataset

    return make


@pytest.fixture
def write_series(tmp_path: Path, make_dicom: Callable[..., FileDataset]) -> Callable[..., Path]:
    """``write_series(array [k, j, i], positions, ...)``: a folder with one file a slice; returns the folder."""

    def write(
        array: np.ndarray,
        positions: Sequence[Sequence[float]] | None = None,
        *,
        orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
        spacing: Sequence[float] = (0.5, 0.75),
        folder: str = "series",
        per_slice: Sequence[dict[str, Any]] | None = None,
        syntax: str | None = None,
        **elements: Any,
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        if positions is None:
            positions = [(-10.0, -20.0, 30.0 + 2.5 * k) for k in range(len(array))]
        for k, pixels in enumerate(array):
            extra = per_slice[k] if per_slice else {}
            placed = {
                "ImagePositionPatient": list(positions[k]),
                "ImageOrientationPatient": list(orientation),
                "PixelSpacing": list(spacing),
                "SliceThickness": 2.5,
                "InstanceNumber": k + 1,
            }
            dataset = make_dicom(pixels, **{**placed, **elements, **extra})
            if syntax is not None:
                dataset.compress(syntax)
            # Names in another order than the slices: only the headers may count.
            name = f"{(k * 7919) % 10007:05d}_{dataset.SeriesInstanceUID}_{k}.dcm"
            dataset.save_as(target / name, enforce_file_format=True)
        return target

    return write


@pytest.fixture
def item() -> Callable[..., Dataset]:
    """``item(**elements)``: a dataset for a sequence."""

    def make(**elements: Any) -> Dataset:
        dataset = Dataset()
        for name, value in elements.items():
            setattr(dataset, name, value)
        return dataset

    return make
