# SPDX-License-Identifier: Apache-2.0
"""A small CT volume, results for it, and what a segment of it holds."""

from __future__ import annotations

import copy

import numpy as np
import slicer
from fake_engine import encodeMask, recordedResult

SHAPE = (8, 20, 24)
IJK_TO_RAS = np.array([[-0.8, 0, 0, 10.0], [0, -0.8, 0, 20.0], [0, 0, 2.5, -30.0], [0, 0, 0, 1]])


def block(k, j, i):
    """A bool array of the volume with the voxels of three (first, behind last) ranges."""
    mask = np.zeros(SHAPE, bool)
    mask[slice(*k), slice(*j), slice(*i)] = True
    return mask


def answer(mask, target="liver", ijkToRas=IJK_TO_RAS):
    """A result document with one segment; nothing found where the mask is empty."""
    document = copy.deepcopy(recordedResult("segment"))
    document["provenance"]["shape"] = list(mask.shape)
    document["provenance"]["ijk_to_ras"] = np.asarray(ijkToRas).tolist()
    segment = copy.deepcopy(document["segments"][0])
    slices = [int(k) for k in np.flatnonzero(mask.any(axis=(1, 2)))]
    segment.update(target=target, phrase=f"{target} in abdomen CT", mask=encodeMask(mask), slices=slices, presence=[])
    segment.update(voxels=int(mask.sum()), volume_ml=float(mask.sum()) * 1.6 / 1000, confidence=0.9)
    document["segments"] = [segment] if mask.any() else []
    missing = {"target": target, "phrase": segment["phrase"], "reason": "object score"}
    document["not_found"] = [] if mask.any() else [missing]
    return document


def voxels(node, segmentId, volume):
    """The segment's voxels as a bool array over the volume."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume) != 0
