# SPDX-License-Identifier: Apache-2.0
"""The painter of documentation pictures shows what is where."""

from __future__ import annotations

import numpy as np
import photograph
import pytest
import render
from UniBiomedSlicerLib import SliceGeometry
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter

SHAPE = (20, 40, 40)


def _bright(mrml, affine):
    voxels = np.zeros(SHAPE, np.int16)
    voxels[10, 5:10, 25:35] = 1000  # in front, on the patient's left
    return mrml.addVolume(voxels, affine), voxels > 0


def test_an_axial_picture_has_the_patients_left_on_the_right_and_anterior_on_top(mrml):
    node, _mask = _bright(mrml, np.diag([-1.0, -1.0, 2.0, 1.0]))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(1000, 500)
    picture = np.asarray(render.planeView(node, "axial", (10, 20, 20), (400, 400)))[:, :, 0]
    assert (picture[60:90, 260:340] > 200).all()
    assert (picture[110:180, 30:370] < 50).all()
    assert (picture[60:90, 30:190] < 50).all()


def test_segments_are_painted_where_they_are_in_every_view(mrml):
    node, mask = _bright(mrml, np.array([[0, 0, 2.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]]))
    writer = SegmentationWriter(node, targets=[])
    ids = writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", mask)]))
    segmentation = writer.segmentationNode
    segmentation.GetSegmentation().GetSegment(ids["s1"]).SetColor(1.0, 0.0, 0.0)
    focus = render.middleOf(segmentation, node)
    assert mask[focus]
    for axis in ("axial", "sagittal", "coronal"):
        picture = np.asarray(render.planeView(node, axis, focus, (300, 300), segmentation)).astype(int)
        red = (picture[:, :, 0] > picture[:, :, 1] + 40) & (np.arange(300) >= 20)[:, None]
        plain = np.asarray(render.planeView(node, axis, focus, (300, 300))).astype(int)
        assert red.sum() > 50
        assert (plain[red] > 100).mean() > 0.9
    assert render.threeViews(node, segmentation).size == (960, 640)


def test_a_view_of_the_scene_is_painted_through_its_own_matrix(mrml):
    node, mask = _bright(mrml, np.diag([-1.0, -1.0, 2.0, 1.0]))
    writer = SegmentationWriter(node, targets=[])
    writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", mask)]))
    view = mrml.host.sliceNode("Red")
    view.SetOrientation("Axial")
    view.JumpSliceByCentering(-30, -7, 20)
    view.SetFieldOfView(40, 40, 1)
    picture = np.asarray(render.sliceView(view, node, writer.segmentationNode)).astype(int)
    height, width = picture.shape[:2]
    assert tuple(view.GetDimensions()[:2]) == (width, height)
    centre = picture[height // 2, width // 2]
    assert centre.max() - centre.min() > 40
    node.SetAndObserveTransformNodeID(
        mrml.addTransform(np.array([[1.0, 0, 0, 90], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])).GetID()
    )
    writer.segmentationNode.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    assert np.asarray(render.sliceView(view, node, writer.segmentationNode)).max() == 0


@pytest.fixture
def camera(mrml):
    if not photograph.isPossible():
        pytest.skip("there is no EGL to draw with")
    logic = mrml.host.app.layoutManager().sliceWidget("Red").sliceLogic()
    logic.GetSliceNode().SetOrientation("Axial")
    logic.GetSliceNode().SetDimensions(200, 200, 1)
    made = photograph.SliceCamera(logic)
    yield made
    made.close()


def _coloured(picture):
    pixels = np.asarray(picture).astype(int)
    return (pixels.max(axis=2) - pixels.min(axis=2)) > 25


def test_slicers_own_views_show_masks_as_they_come_and_the_final_ones(mrml, camera):
    """Slices are added without telling the labelmap's image, so that surfaces stay: the views must show them still."""
    node, _mask = _bright(mrml, np.diag([-1.0, -1.0, 2.0, 1.0]))
    logic = mrml.host.app.layoutManager().sliceWidget("Red").sliceLogic()
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(node.GetID())
    logic.FitSliceToAll(200, 200)
    SliceGeometry.jumpToSlice(node, "axial", 10)
    writer = SegmentationWriter(node, targets=[])
    segmentation = writer.createSegmentationNode()
    liver = writer.startSegment(segmentation, "liver in abdomen CT")
    assert not _coloured(camera.picture()).any()
    seen = []
    for columns in (5, 10, 15):
        writer.addSlice(segmentation, liver, ((10, 10, 0), np.ones((1, 20, columns), bool)))
        seen.append(int(_coloured(camera.picture()).sum()))
    assert 0 < seen[0] < seen[1] < seen[2]
    writer.addSlice(segmentation, liver, ((4, 0, 0), np.ones((1, 40, 40), bool)))
    assert int(_coloured(camera.picture()).sum()) == seen[2]
    final = np.zeros(SHAPE, bool)
    final[10, 10:30, 25:40] = True
    writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", final)]), segmentation)
    shown = _coloured(camera.picture())
    assert abs(int(shown.sum()) - seen[2]) < 0.1 * seen[2]
    # Columns run to the patient's left, which is on the right of the screen.
    assert np.nonzero(shown)[1].mean() > 100
    painted = _coloured(render.sliceView(logic.GetSliceNode(), node, segmentation))
    assert (painted & shown).sum() > 0.9 * (painted | shown).sum()


def test_photographs_and_paintings_agree(mrml):
    if not photograph.isPossible():
        pytest.skip("there is no EGL to draw with")
    node, mask = _bright(mrml, np.array([[0, 0, 2.0, 0], [0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]]))
    writer = SegmentationWriter(node, targets=[])
    writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", mask)]))
    photo = _coloured(photograph.threeViews(node, writer.segmentationNode, size=(480, 320)))
    assert photo[20:300, 20:300].any()
    assert photo[20:140, 340:460].any()
    assert photo[180:300, 340:460].any()
