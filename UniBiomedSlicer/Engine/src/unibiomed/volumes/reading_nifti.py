# SPDX-License-Identifier: Apache-2.0
"""NIfTI-1 and -2, plain or gzipped, through nibabel, which gives the affine of the header as it is.

ITK refuses or straightens a sheared sform and reads truncated files without a word; nibabel does neither.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from unibiomed.errors import InputError
from unibiomed.volumes.frames import choose_frame
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.lazy import LazySlices, wants_lazy
from unibiomed.volumes.volume import Source, Volume

_MM = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: Path, *, modality: str | None, frame: int | None, lazy: bool | None) -> Volume:
    """Read one frame of a NIfTI file; RAS and mm as in its sform, or else its qform.

    Scaled values come as float32. Without either form the image is not ``spatial``: shown as stored, as Slicer does.
    """
    try:
        image = _opened(path)
        shape = tuple(int(size) for size in image.shape)
        if shape[3:] == (1, 3) and image.get_data_dtype() == np.uint8:
            shape = shape[:3]  # RGB as ITK writes it, a vector a voxel
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if not 2 <= len(shape) <= 4:
            raise InputError(
                f"{path.name} has {len(shape)} dimensions ({' x '.join(map(str, shape))}), as a vector field has; "
                "an image of 2, 3 or 4 dimensions is needed."
            )
        chosen = choose_frame(shape[3], frame, path.name) if len(shape) == 4 else choose_frame(1, frame, path.name)
        array = _voxels(path, image.dataobj, shape, chosen, lazy)
        affine, spatial, notes = _geometry(image.header, path.name)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError, WrapStructError) as error:
        raise InputError(f"{path.name} cannot be read as NIfTI; it is damaged or cut short.") from error
    description = bytes(image.header["descrip"]).split(b"\0")[0].decode("latin-1").strip()
    source = Source(path, "nifti", description=description, frame=chosen if len(shape) == 4 else None, notes=notes)
    return Volume(array, affine, modality, source, spatial)


def _opened(path: Path) -> nibabel.Nifti1Pair:
    """Open by name where the name says NIfTI (a pair .hdr/.img too), else by the mark in the header."""
    if path.name.lower().endswith((".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")):
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise InputError(f"{path.name} is not a NIfTI file.")
        return image
    holder = nibabel.FileHolder(str(path))
    with holder.get_prepare_fileobj("rb") as file:
        is_second = file.read(8)[4:7] == b"n+2"
    kind = nibabel.Nifti2Image if is_second else nibabel.Nifti1Image
    return kind.from_file_map({"header": holder, "image": holder})


def _voxels(
    path: Path, proxy: ArrayProxy, shape: tuple[int, ...], frame: int, lazy: bool | None
) -> np.ndarray | LazySlices:
    """Return [k, j, i(, 3)], or lazy slices where wanted and the file is one uncompressed piece."""
    if proxy.dtype.kind == "c":
        raise InputError(f"{path.name} holds complex numbers; save its magnitude and try again.")
    plain = path.suffix.lower() == ".nii"
    sizes = (*shape[:3], 1)[:3]
    # Axes beyond the third: the frame, then those of size 1 that were left out of ``shape``.
    rest = (frame,) + (0,) * (len(proxy.shape) - 4) if len(proxy.shape) > 3 else ()
    vector = proxy.shape[3:] == (1, 3) and proxy.dtype == np.uint8
    if vector:
        rest = (0, slice(None))
    colour = vector or proxy.dtype.names is not None
    scaled = not colour and (proxy.slope, proxy.inter) != (1, 0)
    dtype = np.dtype(np.float32) if scaled else np.dtype(np.uint8) if colour else proxy.dtype.newbyteorder("=")
    target = sizes[::-1] + ((3,) if colour else ())

    def read(key: tuple) -> np.ndarray:
        part = np.asarray(proxy[key])
        if vector:
            return np.stack([part[..., channel].T for channel in range(3)], axis=-1)
        if colour:
            return np.stack([part[channel].T for channel in "RGB"], axis=-1)
        return part.T.astype(dtype, copy=False)

    if plain and len(proxy.shape) >= 3 and wants_lazy(lazy, target, dtype):
        if path.stat().st_size < proxy.offset + int(np.prod(proxy.shape, dtype=np.int64)) * proxy.dtype.itemsize:
            raise InputError(f"{path.name} is cut short: it holds fewer voxels than its header says.")
        return LazySlices(lambda k: read((slice(None), slice(None), k, *rest)), target, dtype)
    key = (slice(None),) * min(3, len(proxy.shape)) + rest
    return np.ascontiguousarray(read(key).reshape(target))


def _geometry(header: nibabel.Nifti1Header, name: str) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    to_mm = _MM.get(header.get_xyzt_units()[0], 1.0)
    if header["sform_code"] > 0:
        affine, spatial = header.get_sform(), True
    elif header["qform_code"] > 0:
        affine, spatial = header.get_qform(), True
    else:
        zooms = [float(zoom) or 1.0 for zoom in (*header.get_zooms()[:3], 1.0, 1.0)[:3]]
        affine, spatial = LPS_TO_RAS @ np.diag([*zooms, 1.0]), False
    affine = np.array(affine, dtype=np.float64)
    affine[:3] *= to_mm
    notes = () if spatial else (f"{name} does not say how it lies in the patient, so it is shown as it is stored.",)
    return affine, spatial, notes
