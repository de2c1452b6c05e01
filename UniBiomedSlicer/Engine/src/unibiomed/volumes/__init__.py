# SPDX-License-Identifier: Apache-2.0
"""Images and masks with their geometry: files and DICOM in and out, slices, windows, segments."""

from __future__ import annotations

from unibiomed.volumes.dicom_files import SeriesInfo, list_series
from unibiomed.volumes.modalities import MODALITIES, MRI_SEQUENCES, base_modality, parse_modality
from unibiomed.volumes.reading import read_volume
from unibiomed.volumes.slicing import MAX_SIDE, SliceAxis, SliceMapping, default_axis, slice_mapping
from unibiomed.volumes.statistics import IntensityStats, intensity_stats
from unibiomed.volumes.volume import Source, Volume
from unibiomed.volumes.windows import WINDOWS, Window, apply_window, default_window, parse_window

__all__ = [
    "MAX_SIDE",
    "MODALITIES",
    "MRI_SEQUENCES",
    "WINDOWS",
    "IntensityStats",
    "SeriesInfo",
    "SliceAxis",
    "SliceMapping",
    "Source",
    "Volume",
    "Window",
    "apply_window",
    "base_modality",
    "default_axis",
    "default_window",
    "intensity_stats",
    "list_series",
    "parse_modality",
    "parse_window",
    "read_volume",
    "slice_mapping",
]
