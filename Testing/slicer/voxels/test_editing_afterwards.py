# SPDX-License-Identifier: Apache-2.0
"""Segments from the engine are ordinary ones: Slicer's own editing, undo, copying and surfaces work on them."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import slicer
import vtk
from UniBiomedSlicerLib import SegmentTags
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from vtk.util.numpy_support import vtk_to_numpy

SHAPE = (5, 6, 7)


@pytest.fixture
def written(mrml, scan):
    first, second, third = np.zeros((3, *SHAPE), bool)
    first[0:3, 0:3, 0:4] = True
    second[3:5, 3:6, 3:7] = True
    third[1:4, 1:5, 1:5] = True
    writer = SegmentationWriter(scan, targets=[])
    items = [mrml.segmentItem(key, key, mask) for key, mask in (("a", first), ("b", second), ("c", third))]
    ids = writer.write(mrml.resultOf(SHAPE, items))
    node = writer.segmentationNode
    # The labelmaps must not depend on anything that Python holds.
    del writer, items
    gc.collect()
    return node, ids, {"a": first, "b": second, "c": third}


def _brush(scan, window):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, 6, 0, 5, 0, 4)
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[window] = 1
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = voxels.ravel()
    return image, voxels.astype(bool)


def test_painting_changes_one_segment_and_is_known_as_an_edit(mrml, scan, written):
    node, ids, truth = written
    brush, painted = _brush(scan, np.s_[0:5, 0:2, 5:7])
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(brush, node, ids["a"], logic.MODE_MERGE_MAX)
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["a"], scan), truth["a"] | painted)
    for key in ("b", "c"):
        np.testing.assert_array_equal(mrml.voxelsOf(node, ids[key], scan), truth[key])
    segmentation = node.GetSegmentation()
    assert not SegmentTags.isUnedited(segmentation, ids["a"])
    assert SegmentTags.isUnedited(segmentation, ids["b"])
    assert SegmentTags.isUnedited(segmentation, ids["c"])


def test_undo_and_redo_bring_every_voxel_back(mrml, scan, written):
    node, ids, truth = written
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    assert history.SaveState()
    brush, painted = _brush(scan, np.s_[2:4, :, :])
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(brush, node, ids["c"], logic.MODE_REPLACE)
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["c"], scan), painted)
    assert history.RestorePreviousState()
    for key, mask in truth.items():
        np.testing.assert_array_equal(mrml.voxelsOf(node, ids[key], scan), mask)
    assert history.RestoreNextState()
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["c"], scan), painted)


def test_undo_after_a_replacement_does_not_change_the_saved_state(mrml, scan, written):
    node, ids, truth = written
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    assert history.SaveState()
    other = np.zeros(SHAPE, bool)
    other[4, 5, 6] = True
    writer = SegmentationWriter(scan, targets=[])
    assert writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("x", "a", other)]), node, replace=True)["x"] == ids["a"]
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["a"], scan), other)
    assert history.RestorePreviousState()
    for key, mask in truth.items():
        np.testing.assert_array_equal(mrml.voxelsOf(node, ids[key], scan), mask)


def test_copying_and_removing_segments(mrml, scan, written):
    node, ids, truth = written
    other = SegmentationWriter(scan, targets=[]).createSegmentationNode("copy")
    assert other.GetSegmentation().CopySegmentFromSegmentation(node.GetSegmentation(), ids["b"], False)
    node.GetSegmentation().RemoveSegment(ids["b"])
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["a"], scan), truth["a"])
    np.testing.assert_array_equal(mrml.voxelsOf(other, ids["b"], scan), truth["b"])
    (info,) = SegmentationWriter.segmentsOf(other)
    assert info.resultId == "b"
    mrml.scene.RemoveNode(node)
    gc.collect()
    np.testing.assert_array_equal(mrml.voxelsOf(other, ids["b"], scan), truth["b"])


def test_a_surface_is_made_where_the_voxels_are(mrml, scan, written):
    node, ids, truth = written
    assert node.CreateClosedSurfaceRepresentation()
    surface = node.GetSegmentation().GetSegment(ids["b"]).GetRepresentation("Closed surface")
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    points = mrml.pointsOf(slicer.util.arrayFromVTKMatrix(matrix), np.argwhere(truth["b"])[:, ::-1])
    bounds = np.array(surface.GetBounds())
    # Slicer smooths surfaces: so small a one shrinks by up to a voxel.
    assert (bounds[0::2] <= points.min(axis=0) + 1.5).all()
    assert (bounds[1::2] >= points.max(axis=0) - 1.5).all()
    assert (np.abs((bounds[0::2] + bounds[1::2]) / 2 - points.mean(axis=0)) < 1.0).all()
