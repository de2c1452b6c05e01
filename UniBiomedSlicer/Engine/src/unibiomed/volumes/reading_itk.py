# SPDX-License-Identifier: Apache-2.0
"""NRRD and MetaImage (MHA, MHD) through SimpleITK; large uncompressed ones as memory maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import SimpleITK as sitk

from unibiomed.errors import InputError
from unibiomed.volumes.frames import choose_frame
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.lazy import wants_lazy
from unibiomed.volumes.volume import Source, Volume


def read_itk(path: Path, kind: str, *, modality: str | None, frame: int | None, lazy: bool | None) -> Volume:
    """Read one frame of an NRRD or MetaImage file of 2, 3 or 4 dimensions.

    8-bit pixels of three or four components are colour (alpha is dropped); other vectors are frames, as Slicer stores
    sequences and diffusion images.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if kind == "nrrd" else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if not 2 <= reader.GetDimension() <= 4:
            raise InputError(f"{path.name} has {reader.GetDimension()} dimensions; 2, 3 or 4 are needed.")
        components = reader.GetNumberOfComponents()
        dtype = _dtype(reader.GetPixelID(), path.name)
        sizes = reader.GetSize()
        colour = components in (3, 4) and dtype == np.uint8
        n_frames = sizes[3] if len(sizes) == 4 else 1 if colour else components
        if len(sizes) == 4 and components > 1:
            raise InputError(f"{path.name} is 4-D with {components} components a voxel; split it into 3-D files.")
        chosen = choose_frame(n_frames, frame, path.name)
        affine = _affine(reader)
        shape = (*sizes[:3], 1)[:3][::-1]
        array = None
        if not colour and n_frames == 1 and len(sizes) == 3 and wants_lazy(lazy, shape, dtype):
            array = _mapped_nrrd(path, shape, dtype) if kind == "nrrd" else _mapped_mha(path, shape, dtype)
        if array is None:
            whole = sitk.GetArrayFromImage(reader.Execute())
            array = _frame(whole, shape, colour, chosen, four_d=len(sizes) == 4, vector=components > 1)
    except RuntimeError as error:
        what = "NRRD" if kind == "nrrd" else "MetaImage"
        raise InputError(
            f"{path.name} cannot be read as {what}; it is damaged, cut short or lacks its data."
        ) from error
    source = Source(path, kind, frame=chosen if n_frames > 1 else None)
    return Volume(array, affine, modality, source)


def _dtype(pixel_id: int, name: str) -> np.dtype:
    text = sitk.GetPixelIDValueAsString(pixel_id)
    if "complex" in text:
        raise InputError(f"{name} holds complex numbers; save its magnitude and try again.")
    bits = next((bits for bits in (8, 16, 32, 64) if f"{bits}-bit" in text), 8)
    return np.dtype(f"{'f' if 'float' in text else 'u' if 'unsigned' in text else 'i'}{bits // 8}")


def _affine(reader: sitk.ImageFileReader) -> np.ndarray:
    """LPS of ITK → RAS, 2-D embedded as one slice of 1 mm."""
    count = reader.GetDimension()
    used = min(count, 3)
    directions = np.array(reader.GetDirection()).reshape(count, count)[:used, :used]
    lps = np.eye(4)
    lps[:used, :used] = directions * np.array(reader.GetSpacing()[:used])
    lps[:used, 3] = reader.GetOrigin()[:used]
    return LPS_TO_RAS @ lps


def _frame(
    whole: np.ndarray, shape: tuple[int, ...], colour: bool, frame: int, *, four_d: bool, vector: bool
) -> np.ndarray:
    if colour:
        return np.ascontiguousarray(whole[..., :3].reshape(*shape, 3))
    if four_d:
        whole = whole[frame]
    elif vector:
        whole = np.ascontiguousarray(whole[..., frame])
    return whole.reshape(shape)


def _mapped_nrrd(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Map the voxels of an attached, raw NRRD; None for any other."""
    with path.open("rb") as file:
        header: dict[str, Any] = nrrd.read_header(file)
        offset = file.tell()
    detached = {"data file", "datafile", "byte skip", "line skip"} & set(header)
    if header.get("encoding") != "raw" or detached:
        return None
    return _mapped(path, offset, dtype.newbyteorder(">" if header.get("endian") == "big" else "<"), shape)


def _mapped_mha(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Map the voxels of an uncompressed MetaImage with one data file; None for any other."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(4096), b""):
            key, _, value = line.decode("latin-1").partition("=")
            fields[key.strip()] = value.strip()
            if "ElementDataFile" in fields:
                break
        offset = file.tell()
    if fields.get("CompressedData", "False").lower() == "true" or "HeaderSize" in fields:
        return None
    name = fields.get("ElementDataFile", "")
    if name.upper() != "LOCAL":
        path, offset = path.parent / name, 0
        if name.upper().startswith("LIST") or not path.is_file():
            return None
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    return _mapped(path, offset, dtype.newbyteorder(">" if big else "<"), shape)


def _mapped(path: Path, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if path.stat().st_size - offset < int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
        raise InputError(f"{path.name} is cut short: it holds fewer voxels than its header says.")
    return np.memmap(path, dtype, "r", offset, shape)
