# SPDX-License-Identifier: Apache-2.0
"""Slices to pictures and masks back to voxels, for any geometry."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from unibiomed.errors import InputError
from unibiomed.volumes import SliceMapping, Volume, default_axis, slice_mapping

AXES = ("axial", "coronal", "sagittal")
# Unit vectors in RAS that point down and to the right of the picture.
DOWN = {"axial": (0, -1, 0), "coronal": (0, 0, -1), "sagittal": (0, 0, -1)}
RIGHTWARDS = {"axial": (-1, 0, 0), "coronal": (-1, 0, 0), "sagittal": (0, -1, 0)}


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Any size, rotation, flip (also left-handed), anisotropy; sometimes one slice or colour."""
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3).filter(lambda sizes: sum(size > 1 for size in sizes) >= 2))
    angles = draw(st.tuples(*[st.one_of(st.sampled_from([0, 90, 180, 270]), st.floats(-180, 180))] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 7)] * 3))
    flips = draw(st.tuples(*[st.sampled_from([1, -1])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.multiply(spacing, flips)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        array = rng.integers(0, 256, (*shape, 3), np.uint8)
    else:
        array = rng.integers(-1000, 1000, shape, np.int16)
    array.flat[:2] = 1, 2
    return Volume(array, affine)


def _random_planes(mapping: SliceMapping, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(mapping.plane(index).shape[:2]) > 0.5 for index in range(mapping.n_slices)]


@settings(max_examples=150, deadline=None)
@given(volumes(), st.sampled_from(AXES), st.integers(0, 99))
def test_every_voxel_of_a_mask_comes_back_to_where_it_was_cut_from(volume: Volume, axis: str, seed: int) -> None:
    mapping = slice_mapping(volume, axis)
    assert mapping.is_exact
    truth, out = np.zeros(volume.shape, bool), np.zeros(volume.shape, bool)
    for index, plane in enumerate(_random_planes(mapping, seed)):
        mapping.slice_of(truth, index)[...] = plane
        mapping.put(mapping.from_volume_slice(plane), index, out)
    np.testing.assert_array_equal(out, truth)


@settings(max_examples=150, deadline=None)
@given(volumes(), st.sampled_from(AXES), st.integers(1, 12), st.integers(0, 99))
def test_a_capped_picture_loses_detail_once_and_never_again(
    volume: Volume, axis: str, max_side: int, seed: int
) -> None:
    mapping = slice_mapping(volume, axis, max_side=max_side)
    assert mapping.side <= max_side
    for plane in _random_planes(mapping, seed)[:2]:
        mask = mapping.from_volume_slice(plane)
        back = mapping.to_volume_slice(mask)
        np.testing.assert_array_equal(mapping.from_volume_slice(back), mask)
        if mapping.is_exact:
            np.testing.assert_array_equal(back, plane)


@settings(max_examples=100, deadline=None)
@given(volumes(), st.sampled_from(AXES))
def test_pictures_are_square_8_bit_rgb_with_the_physical_aspect(volume: Volume, axis: str) -> None:
    mapping = slice_mapping(volume, axis)
    picture = mapping.to_image(mapping.n_slices - 1)
    assert picture.dtype == np.uint8
    assert picture.shape == (mapping.side, mapping.side, 3)
    corners = [_world(mapping, row, column) for row, column in ((0, 0), (-1, 0), (0, -1))]
    lengths = [np.linalg.norm(corner - corners[0]) for corner in corners[1:]]
    spacing = min(_plane_spacing(mapping))
    for length, pixels, voxels in zip(lengths, mapping.content_shape, mapping.plane_shape, strict=True):
        # Centre to centre of the outer voxels, and half a voxel at each end.
        extent = length * voxels / (voxels - 1) if voxels > 1 else None
        assert extent is None or pixels * spacing == pytest.approx(extent, abs=spacing)


@settings(max_examples=150, deadline=None)
@given(volumes(), st.sampled_from(AXES))
def test_pictures_are_turned_as_radiologists_see_them(volume: Volume, axis: str) -> None:
    mapping = slice_mapping(volume, axis)
    origin = _world(mapping, 0, 0)
    if mapping.plane_shape[0] > 1:
        assert np.dot(_world(mapping, -1, 0) - origin, DOWN[axis]) > -1e-6
    if mapping.plane_shape[1] > 1:
        assert np.dot(_world(mapping, 0, -1) - origin, RIGHTWARDS[axis]) > -1e-6


def _world(mapping: SliceMapping, row: int, column: int) -> np.ndarray:
    """RAS position of the voxel at a corner of the picture's content (0 or -1)."""
    top, left = mapping.offset
    height, width = mapping.content_shape
    k, j, i = mapping.voxel_at(top + (height - 1 if row else 0), left + (width - 1 if column else 0), 0)
    return mapping.volume.ijk_to_ras[:3] @ (i, j, k, 1)


def _plane_spacing(mapping: SliceMapping) -> list[float]:
    return [spacing for axis, spacing in enumerate(mapping.volume.spacing[::-1]) if axis != mapping.array_axis]


@settings(max_examples=60, deadline=None)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([1, -1])] * 3), st.sampled_from(AXES))
def test_slices_are_those_of_nibabels_canonical_image(order: list[int], signs: tuple[int, ...], axis: str) -> None:
    affine = np.zeros((4, 4))
    for voxel_axis, (world_axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world_axis, voxel_axis] = sign
    affine[3, 3] = 1
    array = np.random.default_rng(3).integers(0, 255, (5, 6, 7), np.uint8)
    volume = Volume(array, affine, "MRI")
    canonical = np.asarray(nibabel.as_closest_canonical(nibabel.Nifti1Image(array.T, affine)).dataobj)
    cut = {"axial": 2, "coronal": 1, "sagittal": 0}[axis]
    mapping = slice_mapping(volume, axis)
    for index in range(mapping.n_slices):
        k, j, i = mapping.voxel_at(0, 0, index)
        place = round((affine[:3] @ (i, j, k, 1))[cut] - min(0, affine[cut, :3].sum() * (mapping.n_slices - 1)))
        expected = np.take(canonical, place, axis=cut).T[::-1]
        expected = expected[:, ::-1]
        (top, left), (height, width) = mapping.offset, mapping.content_shape
        np.testing.assert_array_equal(
            mapping.to_image(index, "none")[top : top + height, left : left + width, 0], expected
        )


@settings(max_examples=100, deadline=None)
@given(volumes(), st.sampled_from(AXES), st.integers(0, 99))
def test_the_voxel_under_a_pixel_is_the_one_its_mask_goes_to(volume: Volume, axis: str, seed: int) -> None:
    mapping = slice_mapping(volume, axis)
    rng = np.random.default_rng(seed)
    plane = _random_planes(mapping, seed)[0]
    mask = mapping.from_volume_slice(plane)
    for row, column in rng.integers(0, mapping.side, (8, 2)):
        (top, left), (height, width) = mapping.offset, mapping.content_shape
        if top <= row < top + height and left <= column < left + width:
            voxel = list(mapping.voxel_at(row, column, 0))
            del voxel[mapping.array_axis]
            assert mask[row, column] == plane[tuple(voxel)]
        else:
            assert not mask[row, column]


def test_the_picture_and_its_mask_lie_on_each_other_where_one_axis_is_coarse() -> None:
    array = np.zeros((6, 40, 30), np.int16)
    array[2:4, 10:20, 5:25] = 100
    volume = Volume(array, np.diag([-0.8, -0.8, 6.5, 1]), "MRI")
    mapping = slice_mapping(volume, "coronal")
    shown = mapping.to_image(15, "full")[:, :, 0] > 127
    mask = mapping.from_volume_slice(array[:, 15] > 0)
    assert (shown & mask).sum() / (shown | mask).sum() > 0.95


def test_a_large_picture_is_reduced_by_area_and_centred() -> None:
    array = np.zeros((1, 400, 1000), np.uint8)
    array[:, :, 500:] = 200
    array[:, :, ::2] = 0
    mapping = slice_mapping(Volume.from_array(array))
    assert mapping.content_shape == (253, 633)
    assert mapping.offset == (190, 0)
    picture = mapping.to_image(0)
    assert not picture[:190].any()
    assert picture[300, 400:600].mean() == pytest.approx(100, abs=6)


def test_a_plain_image_is_shown_as_stored(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 255, (20, 20, 3), np.uint8)
    volume = Volume.from_array(picture)
    assert default_axis(volume) == "axial"
    np.testing.assert_array_equal(slice_mapping(volume).to_image(0), picture)


@pytest.mark.parametrize(
    ("shape", "affine", "axis"),
    [
        ((20, 64, 64), np.diag([-0.5, -0.5, 5, 1]), "axial"),
        ((64, 64, 20), np.diag([5, 0.5, 0.5, 1]), "sagittal"),
        ((20, 64, 64), [[0, 0, 4, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], "sagittal"),
        ((64, 20, 64), np.diag([0.5, 3, 0.5, 1]), "coronal"),
        ((1, 64, 64), [[-1, 0, 0, 0], [0, 0, -1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], "coronal"),
        ((64, 64, 64), [[0, 0, 1.1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], "axial"),
        ((64, 64, 64), np.diag([1, 1, 0.4, 1]), "axial"),
    ],
)
def test_the_default_axis_is_the_plane_of_acquisition(shape, affine, axis: str, rng: np.random.Generator) -> None:
    assert default_axis(Volume(rng.random(shape, np.float32), np.asarray(affine, float))) == axis


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    mapping = slice_mapping(Volume.from_array(rng.random((3, 8, 9)), np.diag([1, 1, 2, 1])))
    for index in (-1, 3):
        with pytest.raises(InputError, match="axial slices are 0 to 2"):
            mapping.to_image(index)
    with pytest.raises(InputError, match="does not fit"):
        mapping.to_volume_slice(np.zeros((8, 8), bool))
    with pytest.raises(InputError, match="does not fit"):
        mapping.from_volume_slice(np.zeros((9, 8), bool))
    with pytest.raises(InputError, match="axial, coronal or sagittal"):
        slice_mapping(mapping.volume, "oblique")
    with pytest.raises(InputError, match="at least 1 pixel"):
        slice_mapping(mapping.volume, max_side=0)
