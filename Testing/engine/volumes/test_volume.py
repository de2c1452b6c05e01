# SPDX-License-Identifier: Apache-2.0
"""Volume and its geometry: what is accepted, what is refused and why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from unibiomed.errors import InputError
from unibiomed.volumes import Volume
from unibiomed.volumes.geometry import anatomical_axes, checked_affine
from unibiomed.volumes.lazy import LazySlices

ANGLES = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
SPACINGS = st.tuples(*[st.floats(0.1, 12)] * 3)


def _affine(angles, spacing, flips=(1, 1, 1)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.multiply(spacing, flips)
    affine[:3, 3] = (3.5, -70, 12)
    return affine


def _array() -> np.ndarray:
    return np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


@settings(deadline=None)
@given(ANGLES, SPACINGS, st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_every_rotation_flip_and_spacing_is_accepted_and_read_back(angles, spacing, flips) -> None:
    volume = Volume(_array(), _affine(angles, spacing, flips))
    assert volume.spacing == pytest.approx(spacing)
    assert sorted(axis for axis, _ in anatomical_axes(volume.ijk_to_ras)) == [0, 1, 2]


@settings(deadline=None)
@given(ANGLES, SPACINGS, st.floats(0.3, 80))
def test_every_sheared_affine_is_refused_with_the_reason(angles, spacing, degrees) -> None:
    shear = np.eye(4)
    shear[0, 1] = np.tan(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = _affine(angles, (1, 1, 1))[:3, :3] @ shear[:3, :3] * spacing
    with pytest.raises(InputError, match=r"sheared.*right angle"):
        Volume(_array(), affine)


def test_axes_are_found_as_nibabel_finds_them() -> None:
    orientations = pytest.importorskip("nibabel").orientations
    for angles in ((10, -5, 20), (95, 3, -8), (0, 90, 180), (-80, 10, 100)):
        affine = _affine(angles, (1, 2, 3), (1, -1, 1))
        theirs = {
            int(axis): (voxel, int(sign)) for voxel, (axis, sign) in enumerate(orientations.io_orientation(affine))
        }
        assert anatomical_axes(affine) == tuple(theirs[axis] for axis in range(3))


@pytest.mark.parametrize(
    ("affine", "why"),
    [
        (np.diag([1, 0, 1, 1]), "singular"),
        (np.diag([1, np.nan, 1, 1]), "not finite"),
        (np.diag([1, np.inf, 1, 1]), "not finite"),
        (np.eye(3), "4x4"),
        (np.eye(4) + np.eye(4)[::-1] * 0.5, "last row"),
        ([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "sheared"),
    ],
)
def test_an_impossible_geometry_is_refused(affine, why: str) -> None:
    with pytest.raises(InputError, match=why):
        checked_affine(affine)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_not_a_number_is_refused_with_the_count(bad: float) -> None:
    array = _array().astype(np.float32)
    array[1, 2, 3] = bad
    with pytest.raises(InputError, match="1 of 60 voxels that are not a number"):
        Volume.from_array(array)
    with pytest.raises(InputError, match="60 of 60 voxels"):
        Volume.from_array(np.full((3, 4, 5), bad))


@pytest.mark.parametrize("value", [0, 7, -3.5])
def test_a_constant_image_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=f"constant.*{value:g}"):
        Volume.from_array(np.full((3, 4, 5), value))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 1, 9), (1, 9), (7, 1, 1), (0, 4, 4)])
def test_an_image_without_two_rows_of_two_pixels_is_refused(shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape)), dtype=np.int16).reshape(shape)
    with pytest.raises(InputError):
        Volume.from_array(array)


def test_other_types_and_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="complex64"):
        Volume.from_array(_array().astype(np.complex64))
    with pytest.raises(InputError, match="shape"):
        Volume.from_array(np.zeros((2, 3, 4, 5, 6)))
    with pytest.raises(InputError, match="shape"):
        Volume(np.zeros((2, 3, 4, 3), np.float32), np.eye(4))


def test_an_array_becomes_a_volume_in_each_of_its_shapes(rng: np.random.Generator) -> None:
    assert Volume.from_array(rng.random((6, 7))).shape == (1, 6, 7)
    colour = Volume.from_array(rng.integers(0, 255, (6, 7, 3), np.uint8))
    assert colour.is_color
    assert colour.shape == (1, 6, 7)
    assert not colour.spatial
    assert Volume.from_array(rng.integers(0, 255, (2, 6, 7, 3), np.uint8), np.eye(4), "us").modality == "ultrasound"
    assert Volume.from_array(rng.random((6, 7)) > 0.5).array.dtype == np.uint8
    assert Volume.from_array(rng.random((4, 6, 3)).astype(np.float32)).shape == (4, 6, 3)


def test_the_hash_tells_voxels_and_geometry_apart_but_not_lazy_from_read() -> None:
    array = _array()
    volume = Volume.from_array(array, np.eye(4))
    lazy = Volume(LazySlices(lambda k: array[k], array.shape, array.dtype), np.eye(4))
    swapped = Volume.from_array(array.astype(">i2"), np.eye(4))
    changed = array.copy()
    changed[0, 0, 0] = 99
    assert volume.sha256 == lazy.sha256 == swapped.sha256
    assert len({volume.sha256, Volume.from_array(changed, np.eye(4)).sha256, Volume.from_array(array).sha256}) == 3


def test_lazy_slices_answer_as_an_array_does() -> None:
    array = _array()
    lazy = LazySlices(lambda k: array[k], array.shape, array.dtype)
    for key in (0, -1, np.int64(2), slice(None), slice(1, 3), (1, 2), (slice(None), 2), (slice(None), slice(None), 4)):
        np.testing.assert_array_equal(lazy[key], array[key])
    np.testing.assert_array_equal(np.asarray(lazy), array)
    assert (len(lazy), lazy.ndim) == (3, 3)
    with pytest.raises(IndexError):
        lazy[3]
    with pytest.raises(IndexError):
        lazy[[0, 1]]


def test_the_geometry_of_a_volume_cannot_be_changed_by_accident() -> None:
    volume = Volume.from_array(_array(), np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        volume.ijk_to_ras[0, 0] = 2
