# SPDX-License-Identifier: Apache-2.0
"""From slices to objects: joined where they overlap, apart where they do not, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from unibiomed.tasks.cleanup import clean_mask
from unibiomed.tasks.joining import join
from unibiomed.tasks.stack import PlaneStack, plane_of, slices_along
from unibiomed.volumes.masks import BoxMask


def stack_of(full: np.ndarray, axis: int = 0) -> PlaneStack:
    stack = PlaneStack(axis)
    for index, plane in enumerate(np.moveaxis(full, axis, 0)):
        stack.add(index, plane)
    return stack


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (3, 4, 5)), st.sampled_from([0, 1, 2]))
def test_a_stack_gives_back_every_voxel_along_every_axis(full, axis):
    mask = stack_of(full, axis).to_mask()
    assert np.array_equal(mask.to_full(full.shape), full)
    assert slices_along(mask, axis) == tuple(np.flatnonzero(np.moveaxis(full, axis, 0).any(axis=(1, 2))))
    for index in range(full.shape[axis]):
        assert np.array_equal(plane_of(mask, axis, index, full.shape), np.take(full, index, axis))


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (4, 5, 6)), st.sampled_from([0, 1, 2]))
def test_joined_objects_hold_every_voxel_once(full, axis):
    parts = [part.to_mask().to_full(full.shape) for part in join(stack_of(full, axis))]
    assert np.array_equal(np.sum(parts, axis=0) if parts else np.zeros(full.shape), full)


def test_overlapping_slices_are_one_object_and_distant_ones_two():
    full = np.zeros((8, 20, 20), dtype=bool)
    full[0:3, 2:8, 2:8] = True
    full[2:5, 6:12, 6:12] = True
    full[0:5, 15:19, 15:19] = True
    parts = join(stack_of(full))
    assert [len(part.indices) for part in parts] == [5, 5]
    assert parts[0].to_mask().voxel_count > parts[1].to_mask().voxel_count


def test_one_missed_slice_does_not_split_an_object_two_do():
    full = np.zeros((9, 10, 10), dtype=bool)
    full[[0, 1, 3], 2:6, 2:6] = True
    full[[6, 7], 2:6, 2:6] = True
    assert [part.indices for part in join(stack_of(full))] == [(0, 1, 3), (6, 7)]


def test_specks_are_no_findings_of_their_own_but_stay_in_the_mask():
    full = np.zeros((3, 40, 40), dtype=bool)
    full[:, 5:20, 5:20] = True
    full[1, 30, 30] = True
    parts = join(stack_of(full))
    assert len(parts) == 1
    assert parts[0].to_mask().voxel_count == full.sum()


def test_nothing_joins_to_nothing():
    assert join(PlaneStack(0)) == ()
    assert PlaneStack(2).to_mask().is_empty


def test_a_slice_put_again_replaces_the_first():
    stack = PlaneStack(0)
    stack.add(3, np.ones((2, 2), dtype=bool))
    stack.add(3, np.zeros((2, 2), dtype=bool))
    assert stack.indices == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_clean_up_removes_islands_fills_holes_and_says_how_much(axis):
    box = np.zeros((14, 14, 14), dtype=bool)
    box[2:10, 2:10, 2:10] = True
    box[5, 5, 5] = False
    box[12, 12, 12] = True
    cleaned, said = clean_mask(BoxMask((1, 2, 3), box), axis)
    assert cleaned.voxel_count == 8**3
    assert cleaned.offset == (3, 4, 5)
    assert "removed: 1 voxels" in said
    assert "filled: 1 voxels" in said


def test_many_scattered_pieces_are_one_finding():
    full = np.zeros((1, 40, 40), dtype=bool)
    full[0, ::8, ::8] = True
    parts = join(stack_of(full))
    assert len(parts) == 1
    assert parts[0].to_mask().voxel_count == 25
