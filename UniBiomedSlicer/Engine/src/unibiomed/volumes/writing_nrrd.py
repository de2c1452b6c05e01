# SPDX-License-Identifier: Apache-2.0
"""3D Slicer's ``.seg.nrrd``, through slicerio.

Layout as Slicer's vtkMRMLSegmentationStorageNode reads it: one labelmap, or, where segments overlap, a leading "list"
axis of labelmaps (layers); everything about a segment in ``SegmentN_...`` fields of the header.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicerio

from unibiomed.errors import OutputError
from unibiomed.volumes.atomic import atomic_path
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.terminology import SLICER_REGION_CONTEXT, SLICER_TYPE_CONTEXT, Code, Term, resolve
from unibiomed.volumes.volume import Volume

FULL_GRID_BYTES = 2**29
"""Above this size only the part of the grid that holds segments is stored, with Slicer's extent offset."""

MAX_LABEL = 65535
_PREFIX = "UniBiomed."
_REFERENCE = re.compile(rb"&#(\d+);")


def write_seg_nrrd(path: Path, segmentation: Segmentation, reference: Volume) -> tuple[Path, ...]:
    """Write ``path``; names, terminology, colours and provenance travel in the header. OutputError on failure."""
    if len(segmentation.segments) > MAX_LABEL:
        raise OutputError(f"{path.name} cannot hold {len(segmentation.segments)} segments; {MAX_LABEL} are possible.")
    voxels, offset, layer_of = layered_labelmap(segmentation)
    with atomic_path(path) as temporary:
        document = _document(segmentation, voxels, offset, layer_of, reference)
        slicerio.write_segmentation(str(temporary), document, compression_level=6)
        _restore_unicode(temporary)
    return (path,)


def layered_labelmap(segmentation: Segmentation) -> tuple[np.ndarray, tuple[int, int, int], dict[int, int]]:
    """Labels (segment number + 1) as ``[i, j, k]`` or ``[layer, i, j, k]``, the (i, j, k) offset of that array in the
    grid (zero unless the full grid is too large), and the layer of each segment."""
    layers = segmentation.layers() or ((),)
    dtype = np.uint8 if len(segmentation.segments) < 256 else np.uint16
    k0, j0, i0, shape = 0, 0, 0, segmentation.shape
    if np.prod(shape, dtype=float) * len(layers) * np.dtype(dtype).itemsize > FULL_GRID_BYTES:
        (k0, j0, i0), shape = _storable_box(segmentation)
    labels = np.zeros((len(layers), *shape), dtype=dtype)
    layer_of = {}
    for layer, members in enumerate(layers):
        for index in members:
            layer_of[index] = layer
            mask = segmentation.segments[index].mask.tight()
            start = np.subtract(mask.offset, (k0, j0, i0))
            box = tuple(slice(int(a), int(a) + size) for a, size in zip(start, mask.array.shape, strict=True))
            labels[layer][box][mask.array] = index + 1
    voxels = labels.transpose(0, 3, 2, 1)
    return (voxels if len(layers) > 1 else voxels[0]), (i0, j0, k0), layer_of


def _storable_box(segmentation: Segmentation) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offset and shape of the box around all segments, two voxels or more along each axis: NRRD has no empty axis,
    and Slicer 5.13 ends at once on a labelmap of a single voxel."""
    offset, shape = BoxMask.box_around([segment.mask for segment in segmentation.segments])
    sizes = tuple(max(size, min(2, whole)) for size, whole in zip(shape, segmentation.shape, strict=True))
    places = zip(offset, sizes, segmentation.shape, strict=True)
    return tuple(min(start, whole - size) for start, size, whole in places), sizes


def _document(
    segmentation: Segmentation,
    voxels: np.ndarray,
    offset: tuple[int, int, int],
    layer_of: Mapping[int, int],
    reference: Volume,
) -> dict[str, Any]:
    shift = np.eye(4)
    shift[:3, 3] = offset
    document: dict[str, Any] = {
        "voxels": voxels,
        "ijkToLPS": LPS_TO_RAS @ segmentation.ijk_to_ras @ shift,
        "containedRepresentationNames": ["Binary labelmap"],
        "conversionParameters": [
            {
                "name": "Reference image geometry",
                "value": _reference_geometry(segmentation),
                "description": "Image geometry description string determining the geometry of the labelmap that is "
                "created in course of conversion.",
            }
        ],
        "masterRepresentation": "Binary labelmap",
        "referenceImageExtentOffset": list(offset),
    }
    for key, value in segmentation.attributes.items():
        document[f"UniBiomed_{_field_name(key)}"] = _plain(value)
    sizes = voxels.shape[-3:]
    document["segments"] = [
        _segment(index, segment, layer_of[index], sizes) for index, segment in enumerate(segmentation.segments)
    ]
    return document


def _segment(index: int, segment: Segment, layer: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    term = resolve(segment.target, segment.terminology)
    color = segment.color if segment.color is not None else term.color
    tags = {f"{_PREFIX}Target": _tag(segment.target)}
    for key, value in segment.attributes.items():
        name = re.sub(r"[:|\s]+", "_", _plain(key))
        tags[name if name.startswith(_PREFIX) else _PREFIX + name] = _tag(value)
    return {
        "id": f"Segment_{index + 1}",
        "name": _plain(segment.name) or f"Segment_{index + 1}",
        "nameAutoGenerated": False,
        "color": [round(float(value), 6) for value in color],
        "colorAutoGenerated": False,
        "labelValue": index + 1,
        "layer": layer,
        "extent": [value for size in sizes for value in (0, size - 1)],
        "terminology": _terminology(term),
        "tags": tags,
    }


def _terminology(term: Term) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "contextName": SLICER_TYPE_CONTEXT,
        "category": _triple(term.category),
        "type": _triple(term.type),
        "anatomicContextName": SLICER_REGION_CONTEXT,
    }
    optional = {
        "typeModifier": term.modifier,
        "anatomicRegion": term.region,
        "anatomicRegionModifier": term.region_modifier,
    }
    entry.update({key: _triple(code) for key, code in optional.items() if code is not None})
    return entry


def _triple(code: Code) -> list[str]:
    return [code.scheme, code.value, re.sub(r"[~^|]+", " ", _plain(code.meaning))]


def _reference_geometry(segmentation: Segmentation) -> str:
    """Slicer's serialised image geometry: 4x4 (RAS) row by row, then the extent, each followed by a semicolon."""
    k, j, i = segmentation.shape
    numbers = [repr(float(value)) for value in segmentation.ijk_to_ras.ravel()]
    return ";".join([*numbers, "0", str(i - 1), "0", str(j - 1), "0", str(k - 1)]) + ";"


def _field_name(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", key)


def _tag(value: object) -> str:
    return _plain(value).replace("|", "/")


def _plain(value: object) -> str:
    """One line in ASCII; other characters as ``&#number;``, which ``_restore_unicode`` turns into UTF-8."""
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", str(value)).strip()
    return line.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _restore_unicode(path: Path) -> None:
    """Put UTF-8 into the header: pynrrd writes ASCII only, Slicer reads UTF-8."""
    with path.open("rb") as source:
        header = b""
        for line in source:
            header += line
            if line == b"\n":
                break
        if not _REFERENCE.search(header):
            return
        final = path.with_name("utf8-" + path.name)
        with final.open("wb") as out:
            out.write(_REFERENCE.sub(lambda match: chr(int(match[1])).encode(), header))
            shutil.copyfileobj(source, out)
    final.replace(path)
