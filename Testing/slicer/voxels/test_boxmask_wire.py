# SPDX-License-Identifier: Apache-2.0
"""Slicer's reading and writing of masks is the engine's own form, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from unibiomed.volumes import masks
from UniBiomedSlicerLib import BoxMask

BOXES = arrays(bool, st.tuples(*[st.integers(0, 9)] * 3))
OFFSETS = st.tuples(*[st.integers(0, 1000)] * 3)


@settings(deadline=None)
@given(OFFSETS, BOXES)
def test_both_sides_write_the_same_document_and_read_the_same_voxels(offset, box):
    document = masks.BoxMask(offset, box).to_json()
    assert BoxMask.encode(offset, box) == document
    readOffset, readBox = BoxMask.decode(document)
    assert readOffset == offset
    np.testing.assert_array_equal(readBox, box)
    assert masks.BoxMask.from_json(BoxMask.encode(offset, box)) == masks.BoxMask(offset, box)


@settings(deadline=None)
@given(OFFSETS, BOXES)
def test_the_tightest_box_is_the_engines(offset, box):
    tightOffset, tight = BoxMask.tighten(offset, box)
    engine = masks.BoxMask(offset, box).tight()
    assert tightOffset == engine.offset
    np.testing.assert_array_equal(tight, engine.array)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"offset": [0, 0, 0], "shape": [1, 1], "bits": ""},
        {"offset": [0, 0, 0], "shape": [1, 1, -1], "bits": ""},
        {"offset": [0, 0, 0], "shape": [2, 2, 2], "bits": "not base64!"},
        {"offset": [0, 0, 0], "shape": [2, 2, 2], "bits": "AAAA"},
        {"offset": [0, 0, 0], "shape": [4096, 4096, 4096], "bits": ""},
        {**BoxMask.encode((0, 0, 0), np.ones((2, 2, 2), bool)), "shape": [2, 2, 20]},
        {**BoxMask.encode((0, 0, 0), np.ones((9, 9, 9), bool)), "shape": [2, 2, 2]},
        {**BoxMask.encode((0, 0, 0), np.ones((2, 2, 2), bool)), "offset": [0, 0, -1]},
        {"offset": None, "shape": None, "bits": None},
    ],
)
def test_what_is_not_a_mask_is_refused_in_one_sentence(broken):
    with pytest.raises(BoxMask.MaskError, match=r"^This is not a mask in the form offset, shape, bits: .+\.$"):
        BoxMask.decode(broken)


def test_a_box_is_refused_outside_its_volume_and_an_empty_one_fits_anywhere():
    assert BoxMask.fits((1, 1, 1), (1, 2, 3), (2, 3, 4))
    assert not BoxMask.fits((1, 1, 2), (1, 2, 3), (2, 3, 4))
    assert BoxMask.fits((50, 50, 50), (0, 0, 0), (2, 3, 4))
