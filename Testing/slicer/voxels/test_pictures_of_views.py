# SPDX-License-Identifier: Apache-2.0
"""The painter of documentation pictures shows what is where."""

from __future__ import annotations

import numpy as np
import render
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
