# SPDX-License-Identifier: Apache-2.0
"""Boxes of voxels: what goes in comes out, in memory and through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from unibiomed.errors import InputError
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation

FULL = st.tuples(*[st.integers(1, 7)] * 3).flatmap(lambda shape: arrays(bool, shape))


@given(FULL)
@settings(max_examples=60, deadline=None)
def test_any_mask_comes_back_from_its_box_and_from_json(full: np.ndarray) -> None:
    mask = BoxMask.from_full(full)
    assert np.array_equal(mask.to_full(full.shape), full)
    assert mask.voxel_count == full.sum()
    back = BoxMask.from_json(json.loads(json.dumps(mask.to_json())))
    assert back == mask
    assert np.array_equal(back.to_full(full.shape), full)
    assert mask.slices == tuple(np.flatnonzero(full.any(axis=(1, 2))))
    for k in range(full.shape[0]):
        assert np.array_equal(mask.plane(k, full.shape[1:]), full[k])


@given(FULL, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_union_intersection_and_overlap_agree_with_full_arrays(one: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).random(one.shape) > 0.7
    first, second = BoxMask.from_full(one), BoxMask.from_full(other)
    assert np.array_equal(first.union(second).to_full(one.shape), one | other)
    assert np.array_equal(first.intersection(second).to_full(one.shape), one & other)
    assert first.overlaps(second) == bool((one & other).any())


def test_the_box_is_tight_and_bounds_are_inclusive() -> None:
    full = np.zeros((4, 6, 8), dtype=bool)
    full[1:3, 2, 3:7] = True
    mask = BoxMask.from_full(full)
    assert mask.offset == (1, 2, 3)
    assert mask.array.shape == (2, 1, 4)
    assert mask.bounds == ((1, 2), (2, 2), (3, 6))
    assert BoxMask.empty().bounds is None
    assert BoxMask.empty().is_empty


def test_masks_are_equal_by_voxels_and_not_by_box() -> None:
    loose = BoxMask((0, 0, 0), np.pad(np.ones((1, 1, 1), dtype=bool), 1))
    assert loose == BoxMask((1, 1, 1), np.ones((1, 1, 1), dtype=bool))
    assert loose != BoxMask((1, 1, 2), np.ones((1, 1, 1), dtype=bool))
    assert loose.tight().offset == (1, 1, 1)


def test_planes_join_into_one_mask() -> None:
    plane = np.zeros((5, 6), dtype=bool)
    plane[2, 3] = True
    mask = BoxMask.from_planes({7: plane, 9: plane, 8: np.zeros((5, 6), dtype=bool)})
    assert mask.offset == (7, 2, 3)
    assert mask.slices == (7, 9)
    assert BoxMask.from_planes({}) == BoxMask.empty()


def test_volume_in_millilitres_counts_the_voxel_size_of_an_oblique_left_handed_grid() -> None:
    rotation = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([2.0, 3.0, 5.0])
    mask = BoxMask((0, 0, 0), np.ones((10, 10, 10), dtype=bool))
    assert mask.volume_ml(affine) == pytest.approx(1000 * 30 / 1000)


def test_a_mask_of_another_volume_is_refused() -> None:
    mask = BoxMask((2, 0, 0), np.ones((2, 2, 2), dtype=bool))
    with pytest.raises(InputError, match="does not fit"):
        mask.to_full((3, 4, 4))
    with pytest.raises(InputError, match="does not fit"):
        Segmentation((3, 4, 4), np.eye(4), (Segment("a", "liver", mask),))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"offset": [0, 0, 0], "shape": [1, 1], "bits": ""},
        {"offset": [0, 0, 0], "shape": [1, 1, 1], "bits": "not base64!"},
        {"offset": [0, 0, 0], "shape": [1, 1, 1], "bits": "AAAA"},
        {"offset": [-1, 0, 0], "shape": [1, 1, 1], "bits": "eJxrAAAAgQCB"},
        {"offset": [0, 0, 0], "shape": [10**6, 10**6, 10**6], "bits": "eJxrAAAAgQCB"},
        {"offset": [0, 0, 0], "shape": [4, 4, 4], "bits": "eJxrAAAAgQCB"},
    ],
)
def test_a_document_that_is_no_mask_is_refused_with_the_reason(document: dict) -> None:
    with pytest.raises(InputError):
        BoxMask.from_json(document)


def test_overlapping_segments_go_to_separate_layers_and_the_rest_share_one() -> None:
    def cube(start: int) -> BoxMask:
        return BoxMask((start, 0, 0), np.ones((2, 2, 2), dtype=bool))

    segments = tuple(Segment(f"s{n}", "liver", cube(start)) for n, start in enumerate([0, 1, 4, 1]))
    segmentation = Segmentation((8, 2, 2), np.eye(4), segments)
    assert segmentation.layers() == ((0, 2), (1,), (3,))
    one, other = segmentation.first_overlap()
    assert (one.name, other.name) == ("s0", "s1")
    assert segmentation.volume_ml(one) == pytest.approx(0.008)
