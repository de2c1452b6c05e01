# SPDX-License-Identifier: Apache-2.0
"""Images and masks with their geometry: files and DICOM in and out, slices, windows, segments.

What reads and writes files is imported on first use: SimpleITK, pydicom, highdicom and slicerio cost a second or two.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unibiomed.volumes.atomic import atomic_folder, atomic_path
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.modalities import MODALITIES, MRI_SEQUENCES, base_modality, parse_modality
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.slicing import MAX_SIDE, SliceAxis, SliceMapping, default_axis, slice_mapping
from unibiomed.volumes.statistics import IntensityStats, intensity_stats
from unibiomed.volumes.terminology import Code, Term, lookup
from unibiomed.volumes.volume import Source, Volume
from unibiomed.volumes.windows import WINDOWS, Window, apply_window, default_window, parse_window

if TYPE_CHECKING:
    from unibiomed.volumes.dicom_files import SeriesInfo, list_series
    from unibiomed.volumes.reading import read_volume
    from unibiomed.volumes.writing import write_segmentation

_HOME = {
    "SeriesInfo": "dicom_files",
    "list_series": "dicom_files",
    "read_volume": "reading",
    "write_segmentation": "writing",
}

__all__ = [
    "MAX_SIDE",
    "MODALITIES",
    "MRI_SEQUENCES",
    "WINDOWS",
    "BoxMask",
    "Code",
    "IntensityStats",
    "Segment",
    "Segmentation",
    "SeriesInfo",
    "SliceAxis",
    "SliceMapping",
    "Source",
    "Term",
    "Volume",
    "Window",
    "apply_window",
    "atomic_folder",
    "atomic_path",
    "base_modality",
    "default_axis",
    "default_window",
    "intensity_stats",
    "list_series",
    "lookup",
    "parse_modality",
    "parse_window",
    "read_volume",
    "slice_mapping",
    "write_segmentation",
]


def __getattr__(name: str) -> Any:
    """Import the module of a reader or writer when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
