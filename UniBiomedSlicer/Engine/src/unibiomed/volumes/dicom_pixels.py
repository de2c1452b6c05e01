# SPDX-License-Identifier: Apache-2.0
"""The pixels of one DICOM frame as grey values in their unit or as RGB: decoding, inversion, rescaling, palettes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from unibiomed.errors import InputError
from unibiomed.volumes.dicom_files import READ_ERRORS

_DECODE_ERRORS = (*READ_ERRORS, RuntimeError, struct.error, IndexError)


@dataclass(frozen=True)
class PixelFormat:
    """What every slice of a volume is turned into."""

    dtype: np.dtype
    colour: bool


def pixel_format(dataset: Dataset, rescales: list[tuple[float, float]]) -> PixelFormat:
    """Return the smallest type that holds every slice exactly: colour uint8, whole numbers, or float32.

    ``rescales`` are the (slope, intercept) of all slices; ``dataset`` is any one of them.
    """
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2")
    if int(dataset.get("SamplesPerPixel") or 1) > 1 or photometric == "PALETTE COLOR":
        return PixelFormat(np.dtype(np.uint8), True)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset or dataset.get("ModalityLUTSequence"):
        return PixelFormat(np.dtype(np.float32), False)
    if any(not slope.is_integer() or not intercept.is_integer() for slope, intercept in rescales):
        return PixelFormat(np.dtype(np.float32), False)
    lowest, highest = _stored_range(dataset)
    ends = [slope * value + intercept for slope, intercept in set(rescales) for value in (lowest, highest)]
    if str(dataset.get("Modality")) == "CT":
        # Hounsfield numbers fit 16 bits; only padding below -32768 does not, and is clipped.
        ends = [max(end, -32768.0) for end in ends]
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
            return PixelFormat(np.dtype(dtype), False)
    return PixelFormat(np.dtype(np.float32), False)


def decode(
    path: Path,
    header: Dataset,
    frame: int | None,
    rescale: tuple[float, float],
    target: PixelFormat,
) -> np.ndarray:
    """Return one frame of a file as (rows, columns[, 3]) of ``target``'s type.

    ``header`` is the file's dataset, with its pixels (``frame`` is then decoded from memory) or without (from disk).
    MONOCHROME1 is inverted within its stored range, so that bright is dense as in MONOCHROME2. Raises InputError where
    the pixels are missing, cut short or in a compression that cannot be read.
    """
    try:
        source = header if "PixelData" in header else path
        raw = pixel_array(source, index=frame or 0)
        photometric = str(header.get("PhotometricInterpretation") or "MONOCHROME2")
        if photometric == "PALETTE COLOR":
            raw = apply_color_lut(raw, header)
        values = _as_rgb(raw, header) if target.colour else _as_grey(raw, header, photometric, rescale)
    except _DECODE_ERRORS as error:
        syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
        how = f" ({syntax.name})" if syntax is not None else ""
        raise InputError(
            f"The pixels of {path.name} cannot be decoded{how}; the file is damaged, cut short or of an unusual kind."
        ) from error
    if target.dtype.kind in "iu" and values.dtype != target.dtype:
        limits = np.iinfo(target.dtype)
        values = np.clip(values, limits.min, limits.max)
    return values.astype(target.dtype, copy=False)


def read_dataset(path: Path) -> Dataset:
    """Return a whole DICOM file; raises InputError where it is damaged."""
    try:
        return pydicom.dcmread(path, force=True)
    except READ_ERRORS as error:
        raise InputError(f"{path.name} cannot be read as DICOM; it is damaged or cut short.") from error


def _stored_range(dataset: Dataset) -> tuple[int, int]:
    bits = int(dataset.get("BitsStored") or dataset.get("BitsAllocated") or 16)
    if int(dataset.get("PixelRepresentation") or 0) == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def _as_grey(raw: np.ndarray, header: Dataset, photometric: str, rescale: tuple[float, float]) -> np.ndarray:
    values = raw
    if photometric == "MONOCHROME1" and raw.dtype.kind in "iu":
        lowest, highest = _stored_range(header)
        values = (lowest + highest) - raw.astype(np.int64)
    if header.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(values, header))
    slope, intercept = rescale
    if (slope, intercept) == (1.0, 0.0):
        return values
    if slope.is_integer() and intercept.is_integer() and values.dtype.kind in "iu":
        return values.astype(np.int64) * int(slope) + int(intercept)
    return values.astype(np.float64) * slope + intercept


def _as_rgb(raw: np.ndarray, header: Dataset) -> np.ndarray:
    rgb = raw[..., :3]
    if rgb.dtype == np.uint8:
        return rgb
    bits = rgb.dtype.itemsize * 8
    if str(header.get("PhotometricInterpretation")) != "PALETTE COLOR":
        bits = int(header.get("BitsStored") or bits)
    return (rgb >> max(bits - 8, 0)).astype(np.uint8)
