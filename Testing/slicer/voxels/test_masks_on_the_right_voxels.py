# SPDX-License-Identifier: Apache-2.0
"""Whatever the geometry of a volume: what the engine marks lands on exactly those voxels, and there in the world."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unibiomed.volumes import Volume, slice_mapping
from unibiomed.volumes.masks import BoxMask
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.SegmentRegion import segmentRegion
from UniBiomedSlicerLib.VolumeReader import readVolume

QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
AXES = ("axial", "coronal", "sagittal")


@st.composite
def rotations(draw):
    """Rotations, many of them exact quarter turns and none, some oblique; mirrored every other time."""
    if draw(st.booleans()):
        matrix = np.eye(3)[list(draw(st.permutations(range(3))))]
        matrix = matrix * np.array(draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3)))
        return matrix
    quaternion = np.array(draw(st.lists(st.floats(-1, 1), min_size=4, max_size=4)))
    if np.linalg.norm(quaternion) < 0.1:
        quaternion = np.array([1.0, 0, 0, 0])
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return matrix @ np.diag([draw(st.sampled_from([-1.0, 1.0])), 1.0, 1.0])


@st.composite
def affines(draw):
    spacing = draw(st.lists(st.floats(0.3, 6.0), min_size=3, max_size=3))
    affine = np.eye(4)
    affine[:3, :3] = draw(rotations()) @ np.diag(spacing)
    affine[:3, 3] = draw(st.lists(st.floats(-200, 200), min_size=3, max_size=3))
    return affine


@st.composite
def similarities(draw):
    """Linear transforms that keep right angles: turned, mirrored, moved, scaled alike."""
    affine = np.eye(4)
    affine[:3, :3] = draw(rotations()) * draw(st.floats(0.5, 2.0))
    affine[:3, 3] = draw(st.lists(st.floats(-100, 100), min_size=3, max_size=3))
    return affine


@st.composite
def shapes(draw):
    shape = [draw(st.integers(2, 7)) for _ in range(3)]
    if draw(st.booleans()):
        shape[draw(st.integers(0, 2))] = 1
    return tuple(shape)


def _marked(volume, axis, seed):
    """A mask drawn in the pictures of some slices, as the engine gives it back."""
    random = np.random.default_rng(seed)
    mapping = slice_mapping(volume, axis)
    out = np.zeros(volume.shape, bool)
    for index in random.choice(mapping.n_slices, size=min(2, mapping.n_slices), replace=False):
        picture = np.zeros(mapping.image_shape, bool)
        (top, left), (height, width) = mapping.offset, mapping.content_shape
        picture[top : top + max(1, height // 2), left + width // 3 : left + width] = True
        mapping.put(picture, int(index), out)
    return out


@pytest.mark.parametrize("colour", [False, True])
@QUICK
@given(
    shape=shapes(),
    affine=affines(),
    move=st.none() | similarities(),
    axis=st.sampled_from(AXES),
    seed=st.integers(0, 99),
)
def test_a_mask_drawn_in_the_engines_pictures_lands_on_the_same_voxels(mrml, colour, shape, affine, move, axis, seed):
    mrml.scene.Clear(False)
    random = np.random.default_rng(seed)
    voxels = random.integers(0, 255, (*shape, 3) if colour else shape).astype(np.uint8 if colour else np.int16)
    node = mrml.addVolume(voxels, affine, kind="vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode")
    world = affine
    if move is not None:
        node.SetAndObserveTransformNodeID(mrml.addTransform(move).GetID())
        world = move @ affine
    payload = readVolume(node)
    np.testing.assert_array_equal(payload.array, voxels)
    np.testing.assert_allclose(payload.ijkToRas, world, atol=1e-6)
    volume = Volume.from_array(payload.array, np.array(payload.ijkToRas))
    truth = _marked(volume, axis, seed)

    writer = SegmentationWriter(node, targets=[])
    ids = writer.write(mrml.resultOf(shape, [mrml.segmentItem("s1", "liver", truth)]))
    segmentation = writer.segmentationNode
    np.testing.assert_array_equal(mrml.voxelsOf(segmentation, ids["s1"], node), truth)
    expected = mrml.pointsOf(world, np.argwhere(truth)[:, ::-1])
    np.testing.assert_allclose(mrml.worldPoints(segmentation, ids["s1"]), expected, atol=2e-3)
    region = segmentRegion(segmentation, ids["s1"], node)
    assert (BoxMask.empty() if region is None else BoxMask.from_json(region)) == BoxMask.from_full(truth)


@QUICK
@given(shape=shapes(), affine=affines(), move=similarities(), seed=st.integers(0, 99))
def test_a_segmentation_under_another_transform_gets_the_mask_at_the_same_place(mrml, shape, affine, move, seed):
    mrml.scene.Clear(False)
    random = np.random.default_rng(seed)
    node = mrml.addVolume(random.integers(0, 255, shape).astype(np.int16), affine)
    truth = random.random(shape) < 0.4
    truth.flat[0] = True
    existing = SegmentationWriter(node, targets=[]).createSegmentationNode("mine")
    existing.GetSegmentation().AddEmptySegment("own", "own")
    existing.SetAndObserveTransformNodeID(mrml.addTransform(move).GetID())
    writer = SegmentationWriter(node, targets=[])
    ids = writer.write(mrml.resultOf(shape, [mrml.segmentItem("s1", "liver", truth)]), existing)
    expected = mrml.pointsOf(affine, np.argwhere(truth)[:, ::-1])
    np.testing.assert_allclose(mrml.worldPoints(existing, ids["s1"]), expected, atol=2e-3)
    assert existing.GetParentTransformNode() is not None
    assert BoxMask.from_json(segmentRegion(existing, ids["s1"], node)) == BoxMask.from_full(truth)


def test_a_volume_whose_extent_does_not_start_at_zero_keeps_its_place(mrml):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(2, 6, -1, 3, 4, 7)
    image.AllocateScalars(4, 1)
    values = np.arange(100).astype(np.int16)
    scalars = slicer.util.arrayFromVolume  # the node's own array is read below
    node = mrml.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "cropped")
    from vtk.util.numpy_support import numpy_to_vtk

    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([-2.0, -3.0, 4.0, 1.0])))
    payload = readVolume(node)
    assert payload.shape == (4, 5, 5)
    np.testing.assert_array_equal(scalars(node), payload.array)
    np.testing.assert_allclose(np.array(payload.ijkToRas)[:3, 3], [-4.0, 3.0, 16.0])
    truth = np.zeros((4, 5, 5), bool)
    truth[1:3, 2, 0:2] = True
    writer = SegmentationWriter(node, targets=[])
    ids = writer.write(mrml.resultOf(truth.shape, [mrml.segmentItem("s1", "liver", truth)]))
    expected = mrml.pointsOf(np.array(payload.ijkToRas), np.argwhere(truth)[:, ::-1])
    np.testing.assert_allclose(mrml.worldPoints(writer.segmentationNode, ids["s1"]), expected)
    assert BoxMask.from_json(segmentRegion(writer.segmentationNode, ids["s1"], node)) == BoxMask.from_full(truth)


def test_a_result_whose_volume_is_gone_is_written_where_it_was_made(mrml):
    shape, affine = (3, 4, 5), np.array([[0, 0, 2.0, 1], [-1.0, 0, 0, 2], [0, 1.5, 0, 3], [0, 0, 0, 1]])
    truth = np.zeros(shape, bool)
    truth[1, 1:3, 2:4] = True
    result = mrml.resultOf(shape, [mrml.segmentItem("s1", "liver", truth)], provenance={"ijk_to_ras": affine.tolist()})
    writer = SegmentationWriter(None, targets=[])
    ids = writer.write(result)
    points = mrml.worldPoints(writer.segmentationNode, ids["s1"])
    np.testing.assert_allclose(points, mrml.pointsOf(affine, np.argwhere(truth)[:, ::-1]))
    node = mrml.addVolume(np.arange(60).reshape(shape).astype(np.int16), affine)
    np.testing.assert_array_equal(mrml.voxelsOf(writer.segmentationNode, ids["s1"], node), truth)
