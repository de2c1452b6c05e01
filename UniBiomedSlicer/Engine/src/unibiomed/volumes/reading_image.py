# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG, TIFF and BMP through Pillow: no place in the patient, shown as stored."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageSequence, UnidentifiedImageError

from unibiomed.errors import InputError
from unibiomed.volumes.frames import choose_frame
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.volume import Source, Volume

_GREY = {"1": np.uint8, "L": np.uint8, "I": np.int32, "F": np.float32}


def read_image(path: Path, *, modality: str | None, frame: int | None) -> Volume:
    """Read a picture as one slice, or the pages of a multi-page TIFF as slices (``frame`` picks one of them).

    16-bit and float grey values are kept, transparent pixels turn black, palettes and CMYK become RGB.
    """
    try:
        with Image.open(path) as image:
            # Only a TIFF's pages are slices: phones hide thumbnails and depth maps as further pages of a JPEG.
            pages = [_pixels(page) for page in (ImageSequence.Iterator(image) if image.format == "TIFF" else (image,))]
    except (UnidentifiedImageError, NotImplementedError):
        # Pillow does not know 16-bit RGB TIFF, among others; ITK's libtiff does.
        pages = _pages_of_itk(path)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path.name} has too many pixels for one picture; cut or reduce it first.") from error
    except (OSError, EOFError, SyntaxError, ValueError, struct.error) as error:
        raise InputError(f"{path.name} cannot be read; the picture is damaged or cut short.") from error
    notes: tuple[str, ...] = ()
    if frame is not None:
        pages = [pages[choose_frame(len(pages), frame, path.name)]]
    elif len({(page.shape, page.dtype) for page in pages}) > 1:
        notes = (f"{path.name} has {len(pages)} pages of different sizes or kinds; the first one is used.",)
        pages = pages[:1]
    source = Source(path, "image", frame=frame, notes=notes)
    return Volume(np.stack(pages), LPS_TO_RAS, modality, source, spatial=False)


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in _GREY:
        pixels = np.array(image, dtype=_GREY[image.mode])
        return pixels * np.uint8(255) if image.mode == "1" else pixels
    if image.mode in ("LA", "La"):
        grey, alpha = (np.asarray(band, np.uint16) for band in image.convert("LA").split())
        return ((grey * alpha + 127) // 255).astype(np.uint8)
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return np.asarray(image.convert("RGB"))


def _pages_of_itk(path: Path) -> list[np.ndarray]:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path.name} cannot be read; the picture is damaged or of a kind that is not known."
        ) from error
    array = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    if components > 1:
        if components not in (3, 4) or array.dtype not in (np.uint8, np.uint16):
            raise InputError(f"{path.name} has {components} channels of {array.dtype}; grey or RGB is needed.")
        array = array[..., :3] if array.dtype == np.uint8 else (array[..., :3] >> 8).astype(np.uint8)
    return list(array) if image.GetDimension() == 3 else [array]
