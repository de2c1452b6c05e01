# SPDX-License-Identifier: Apache-2.0
"""Axis names and slice numbers in slice views are the engine's."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import slicer
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.volumes import Volume, default_axis, slice_mapping
from unibiomed.volumes.geometry import anatomical_axes
from UniBiomedSlicerLib import SliceGeometry
from UniBiomedSlicerLib.VolumeGeometry import anatomicalAxes

AXES = ("axial", "coronal", "sagittal")
ORIENTATIONS = {"Red": "axial", "Green": "coronal", "Yellow": "sagittal"}
TURNS = [
    np.eye(3)[list(order)] * np.array(signs)
    for order in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
]


def _views(scene):
    presets = {"Red": "SetOrientationToAxial", "Green": "SetOrientationToCoronal", "Yellow": "SetOrientationToSagittal"}
    views = {}
    for name, preset in presets.items():
        node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is None:
            node = slicer.vtkMRMLSliceNode()
            node.SetLayoutName(name)
            node.SetSingletonTag(name)
            node = scene.AddNode(node)
        node.AddSliceOrientationPreset("Axial", slicer.util.vtkMatrixFromArray(np.diag([-1.0, 1, 1])))
        getattr(node, preset)()
        views[name] = node
    return views


def _turn(axis, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    a, b = [index for index in range(3) if index != axis]
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


@pytest.mark.parametrize("turn", TURNS[::5], ids=str)
def test_every_slice_of_every_axis_can_be_shown_and_is_told_back(mrml, turn):
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 1.5, 4.0])
    affine[:3, 3] = [12, -30, 7]
    node = mrml.addVolume(np.random.default_rng(0).integers(0, 9, (4, 5, 6)).astype(np.int16), affine)
    views = _views(mrml.scene)
    volume = Volume.from_array(slicer.util.arrayFromVolume(node), affine)
    for view, axis in ORIENTATIONS.items():
        mapping = slice_mapping(volume, axis)
        assert SliceGeometry.sliceCount(node, axis) == mapping.n_slices
        assert SliceGeometry.arrayAxis(node, axis) == mapping.array_axis
        for index in range(mapping.n_slices):
            assert SliceGeometry.jumpToSlice(node, axis, index) == 1
            assert SliceGeometry.axisOfSliceNode(views[view], node) == (axis, index)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.lists(st.floats(0.2, 9), min_size=3, max_size=3))
def test_oblique_axes_are_named_as_the_engine_names_them(numbers, spacing):
    basis, _ = np.linalg.qr(np.array(numbers).reshape(3, 3) + 1e-3 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3] = basis * spacing
    assert anatomicalAxes(affine) == anatomical_axes(affine)


@pytest.mark.parametrize("degrees", [45, -45, 135])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turn", TURNS[::7], ids=str)
def test_an_exact_diagonal_is_named_as_the_engine_names_it(axis, degrees, turn):
    affine = _turn(axis, degrees)
    affine[:3, :3] = affine[:3, :3] @ turn
    assert anatomicalAxes(affine) == anatomical_axes(affine)


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 5, 6), (4, 1, 6), (4, 5, 1)])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 1, 5), (5, 1, 1), (1, 3, 1.1)])
def test_the_plane_of_acquisition_is_the_engines(mrml, shape, spacing):
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    node = mrml.addVolume(np.random.default_rng(0).integers(0, 9, shape).astype(np.int16), affine)
    volume = Volume.from_array(slicer.util.arrayFromVolume(node), affine)
    assert SliceGeometry.defaultAxis(node) == default_axis(volume)


def test_a_view_at_an_angle_goes_to_the_nearest_axis_and_the_slice_under_its_middle(mrml, scan):
    view = _views(mrml.scene)["Red"]
    middle = SliceGeometry.sliceCentre(scan, "axial", 3)
    matrix = np.eye(4)
    matrix[:3, :3] = _turn(0, 20)[:3, :3]
    matrix[:3, 3] = middle
    view.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    assert SliceGeometry.axisOfSliceNode(view, scan) == ("axial", 3)
    # A view that was moved off the volume to the side still shows the slice at its height.
    matrix[:3, :3] = np.eye(3)
    matrix[0, 3] += 500
    view.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    assert SliceGeometry.axisOfSliceNode(view, scan) == ("axial", 3)
    matrix[2, 3] = 1e4
    view.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    assert SliceGeometry.axisOfSliceNode(view, scan) == ("axial", 4)


def test_a_focus_takes_all_views_through_one_voxel(mrml, scan):
    views = _views(mrml.scene)
    assert SliceGeometry.jumpToSlice(scan, "axial", 2, focus=(2, 4, 1)) == 1
    found = {axis: SliceGeometry.axisOfSliceNode(views[view], scan)[1] for view, axis in ORIENTATIONS.items()}
    assert found == {"axial": 2, "coronal": 4, "sagittal": 1}


def test_a_transformed_volume_is_cut_where_it_lies_now(mrml, scan):
    views = _views(mrml.scene)
    quarter = _turn(0, 90)
    scan.SetAndObserveTransformNodeID(mrml.addTransform(quarter).GetID())
    volume = Volume.from_array(
        slicer.util.arrayFromVolume(scan), quarter @ slicer.util.arrayFromVTKMatrix(_ijkToRas(scan))
    )
    mapping = slice_mapping(volume, "coronal")
    assert mapping.array_axis == 0
    SliceGeometry.jumpToSlice(scan, "coronal", 1)
    assert SliceGeometry.axisOfSliceNode(views["Green"], scan) == ("coronal", 1)


def _ijkToRas(node):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    return matrix
