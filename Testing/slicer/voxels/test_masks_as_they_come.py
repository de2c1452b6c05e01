# SPDX-License-Identifier: Apache-2.0
"""Masks that arrive slice by slice: shown at once, cheap for a large volume, made final or taken away at the end."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest
import slicer
from unibiomed.volumes.masks import BoxMask
from UniBiomedSlicerLib.SegmentationWriter import SegmentationError, SegmentationWriter

SHAPE = (5, 6, 7)
LIVER, SPLEEN = "liver in abdomen CT", "spleen in abdomen CT"


def _plane(k, rows=(1, 4), columns=(2, 6)):
    mask = np.zeros(SHAPE, bool)
    mask[k, slice(*rows), slice(*columns)] = True
    return mask


@pytest.fixture
def writer(scan):
    return SegmentationWriter(scan, targets=[])


def test_slices_add_up(mrml, scan, writer):
    node = writer.createSegmentationNode()
    liver = writer.startSegment(node, LIVER)
    assert writer.startSegment(node, LIVER) == liver
    assert node.GetSegmentation().GetSegment(liver).GetName() == "liver"
    expected = np.zeros(SHAPE, bool)
    for k in (2, 1, 3):
        writer.addSlice(node, liver, BoxMask.from_full(_plane(k)).to_json())
        expected |= _plane(k)
        gc.collect()
        np.testing.assert_array_equal(mrml.voxelsOf(node, liver, scan), expected)
    assert [info.isPreview for info in writer.segmentsOf(node)] == [True]


def test_two_targets_keep_what_they_share(mrml, scan, writer):
    node = writer.createSegmentationNode()
    liver, spleen = writer.startSegment(node, LIVER), writer.startSegment(node, SPLEEN)
    for k in (1, 2):
        writer.addSlice(node, liver, ((k, 0, 0), np.ones((1, 4, 4), bool)))
        writer.addSlice(node, spleen, ((k, 3, 3), np.ones((1, 3, 4), bool)))
    first, second = mrml.voxelsOf(node, liver, scan), mrml.voxelsOf(node, spleen, scan)
    assert (first.sum(), second.sum(), (first & second).sum()) == (32, 24, 2)


def test_the_views_are_told_and_surfaces_of_others_are_not_thrown_away(mrml, scan, writer):
    node = writer.createSegmentationNode()
    writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "bone", _plane(0) | _plane(1))]), node)
    bone = writer.written["s1"]
    node.CreateClosedSurfaceRepresentation()
    liver = writer.startSegment(node, LIVER)
    told = []
    node.AddObserver(slicer.vtkSegmentation.RepresentationModified, lambda caller, event: told.append(event))
    writer.addSlice(node, liver, ((2, 1, 1), np.ones((1, 2, 2), bool)))
    assert told
    assert node.GetSegmentation().GetSegment(bone).GetRepresentation("Closed surface").GetNumberOfPoints() > 0
    count = len(told)
    modifying = node.StartModify()
    for k in (1, 3):
        writer.addSlice(node, liver, ((k, 1, 1), np.ones((1, 2, 2), bool)))
    assert len(told) == count
    node.EndModify(modifying)
    assert len(told) > count


def test_the_final_result_takes_the_place_of_the_preview(mrml, scan, writer):
    node = writer.createSegmentationNode()
    liver, spleen = writer.startSegment(node, LIVER), writer.startSegment(node, SPLEEN)
    for k in (1, 2):
        writer.addSlice(node, liver, BoxMask.from_full(_plane(k)).to_json())
        writer.addSlice(node, spleen, BoxMask.from_full(_plane(k, rows=(0, 2))).to_json())
    final = _plane(1) | _plane(2) | _plane(3)
    ids = writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", final)]), node)
    assert ids == {"s1": liver}
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    np.testing.assert_array_equal(mrml.voxelsOf(node, liver, scan), final)
    assert [(info.isPreview, info.resultId) for info in writer.segmentsOf(node)] == [(False, "s1")]


def test_replacing_keeps_the_old_segments_id_and_drops_the_preview(mrml, scan, writer):
    old = writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", _plane(4))]))["s1"]
    node = writer.segmentationNode
    live = writer.startSegment(node, LIVER)
    writer.addSlice(node, live, BoxMask.from_full(_plane(1)).to_json())
    ids = writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("n", "liver", _plane(1))]), node, replace=True)
    assert ids == {"n": old}
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    np.testing.assert_array_equal(mrml.voxelsOf(node, old, scan), _plane(1))


def test_a_cancelled_job_leaves_nothing(mrml, scan, writer):
    node = writer.createSegmentationNode()
    liver = writer.startSegment(node, LIVER)
    writer.startSegment(node, SPLEEN)
    writer.addSlice(node, liver, BoxMask.from_full(_plane(1)).to_json())
    writer.dropPreview(node)
    assert node.GetSegmentation().GetNumberOfSegments() == 0
    writer.dropPreview(node)


def test_a_segment_or_node_deleted_meanwhile_does_no_harm(mrml, scan, writer):
    node = writer.createSegmentationNode()
    liver = writer.startSegment(node, LIVER)
    node.GetSegmentation().RemoveSegment(liver)
    writer.addSlice(node, liver, ((1, 1, 1), np.ones((1, 1, 1), bool)))
    ids = writer.write(mrml.resultOf(SHAPE, [mrml.segmentItem("s1", "liver", _plane(1))]), node)
    np.testing.assert_array_equal(mrml.voxelsOf(node, ids["s1"], scan), _plane(1))
    other = writer.createSegmentationNode()
    writer.startSegment(other, SPLEEN)
    mrml.scene.RemoveNode(other)
    writer.dropPreview(other)


def test_a_mask_of_another_volume_is_refused(scan, writer):
    node = writer.createSegmentationNode()
    liver = writer.startSegment(node, LIVER)
    with pytest.raises(SegmentationError, match="another size"):
        writer.addSlice(node, liver, ((4, 5, 6), np.ones((2, 1, 1), bool)))


def test_a_slice_of_a_large_volume_costs_as_little_as_of_a_small_one(mrml):
    large = np.zeros((200, 512, 512), np.int16)
    large[0, 0, 0] = 1
    node = mrml.addVolume(large)
    del large
    writer = SegmentationWriter(node, targets=[])
    segmentation = writer.createSegmentationNode()
    liver = writer.startSegment(segmentation, LIVER)
    documents = [BoxMask((k, 100, 100), np.ones((1, 200, 200), bool)).to_json() for k in range(40)]
    took = []
    for document in documents:
        start = time.process_time()
        writer.addSlice(segmentation, liver, document)
        took.append(time.process_time() - start)
    # One pass over the volume's 52 million voxels takes longer than this.
    assert np.median(took) < 0.005, f"a slice took {1000 * np.median(took):.1f} ms"


def test_the_final_masks_of_a_large_volume_are_written_in_short_steps(mrml):
    shape = (60, 512, 512)
    large = np.zeros(shape, np.int16)
    large[0, 0, 0] = 1
    node = mrml.addVolume(large)
    del large
    box = np.ones((50, 400, 400), bool)
    items = [mrml.segmentItem(f"s{n}", f"organ {n}", BoxMask((n, 10 * n, 0), box)) for n in range(3)]
    writer = SegmentationWriter(node, targets=[])
    took, start = [], time.process_time()
    for _fraction in writer.writeSteps(mrml.resultOf(shape, items)):
        took.append(time.process_time() - start)
        start = time.process_time()
    assert max(took) < 0.05, f"the longest step took {1000 * max(took):.0f} ms"
    assert writer.segmentationNode.GetSegmentation().GetNumberOfLayers() == 3
