# SPDX-License-Identifier: Apache-2.0
"""A result whose volume or segmentation was deleted or changed meanwhile is offered, not forced."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def moved(volume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())


def painted(volume):
    slicer.util.arrayFromVolume(volume)[3, 4, 5] = 77
    slicer.util.arrayFromVolumeModified(volume)


CHANGES = {
    "deleted": lambda volume: slicer.mrmlScene.RemoveNode(volume),
    "moved": moved,
    "voxels": painted,
    "spacing": lambda volume: volume.SetSpacing(1, 1, 1),
}


def worldVoxels(segmentationNode, name):
    """World RAS of the first, the last and the number of voxels of a segment, through the node's own transform."""
    segmentation = segmentationNode.GetSegmentation()
    segmentId = segmentation.GetSegmentIdBySegmentName(name)
    image = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentId, image)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    if segmentationNode.GetParentTransformNode():
        toWorld = vtk.vtkMatrix4x4()
        segmentationNode.GetParentTransformNode().GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    start = np.array(image.GetExtent()[0::2])
    scalars = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    found = np.argwhere(scalars)[:, ::-1] + start
    points = [np.array(matrix.MultiplyPoint([*map(float, point), 1.0]))[:3] for point in (found[0], found[-1])]
    return np.round(np.array(points), 4).tolist(), len(found)


@pytest.mark.parametrize("change", CHANGES)
def test_when_the_volume_was_changed_the_result_is_offered_and_can_be_added(host, panel, volume, segmentations, change):
    first = panel.applied("liver, spleen")
    result = first.expectedResult()
    first.finishWith(result)
    panel.settle()
    truth = worldVoxels(segmentations()[0], "liver")
    slicer.mrmlScene.RemoveNode(segmentations()[0])
    host.spin(seconds=0.2)

    job = panel.applied("liver, spleen")
    CHANGES[change](volume)
    job.finishWith(result)
    panel.settle()
    assert segmentations() == []
    assert panel.isShown(panel.ui.offerFrame)
    assert ("deleted" if change == "deleted" else "changed") in panel.ui.offerLabel.text
    assert "liver, spleen" in panel.ui.offerLabel.text
    host.click(panel.ui.addAsNewButton)
    panel.settle()
    assert not panel.isShown(panel.ui.offerFrame)
    assert len(segmentations()) == 1
    assert worldVoxels(segmentations()[0], "liver") == truth
    assert panel.names() == ["liver", "spleen", "liver tumor"]
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert volumes == ([] if change == "deleted" else [volume])


def test_an_offer_can_be_discarded(host, panel, volume, segmentations):
    job = panel.applied("liver")
    painted(volume)
    job.finishWith()
    panel.settle()
    host.click(panel.ui.discardButton)
    panel.settle()
    assert not panel.isShown(panel.ui.offerFrame)
    assert segmentations() == []
    assert panel.logic.runs == []


@pytest.fixture
def existing(host, panel, segmentations):
    """A segmentation with results, chosen as output."""
    panel.applied("liver, spleen").finishWith()
    panel.settle()
    return segmentations()[0]


def test_when_the_segmentation_was_deleted_the_result_is_offered(host, panel, existing, segmentations):
    job = panel.applied("spleen")
    slicer.mrmlScene.RemoveNode(existing)
    job.finishWith()
    panel.settle()
    assert segmentations() == []
    assert "deleted" in panel.ui.offerLabel.text
    host.click(panel.ui.addAsNewButton)
    panel.settle()
    assert len(segmentations()) == 1


@pytest.mark.parametrize("change", ["segment removed", "segment added", "voxels edited", "cleared"])
def test_when_the_segmentation_was_edited_the_result_is_offered(host, panel, existing, segmentations, change):
    job = panel.applied("spleen")
    segmentation = existing.GetSegmentation()
    segmentId = segmentation.GetNthSegmentID(0)
    if change == "segment removed":
        segmentation.RemoveSegment(segmentId)
    elif change == "segment added":
        segmentation.AddEmptySegment("mine")
    elif change == "cleared":
        segmentation.ClearSegment(segmentId)
    else:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(existing, segmentId)
        array[array.shape[0] // 2] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, existing, segmentId)
    before = segmentation.GetNumberOfSegments()
    job.finishWith()
    panel.settle()
    assert segmentation.GetNumberOfSegments() == before
    assert "changed" in panel.ui.offerLabel.text
    host.click(panel.ui.addAsNewButton)
    panel.settle()
    assert len(segmentations()) == 2
    assert segmentation.GetNumberOfSegments() == before


def test_hiding_renaming_and_colouring_segments_is_no_change(host, panel, existing):
    job = panel.applied("spleen")
    segment = existing.GetSegmentation().GetNthSegment(0)
    segment.SetName("renamed")
    segment.SetColor(1, 0, 0)
    existing.GetDisplayNode().SetSegmentVisibility(existing.GetSegmentation().GetNthSegmentID(0), False)
    job.finishWith()
    panel.settle()
    assert not panel.isShown(panel.ui.offerFrame)
    assert existing.GetSegmentation().GetNumberOfSegments() == 6


def test_two_offers_are_settled_one_after_the_other(host, panel, volume, segmentations):
    runs = [panel.logic.segment(volume, name) for name in ("liver", "spleen")]
    painted(volume)
    for run in runs:
        run.job.finishWith()
    panel.widget.panel.runs._refreshOffers()
    assert "1 more" in panel.ui.offerLabel.text
    host.click(panel.ui.discardButton)
    assert "1 more" not in panel.ui.offerLabel.text
    host.click(panel.ui.addAsNewButton)
    panel.settle()
    assert len(segmentations()) == 1
    assert not panel.isShown(panel.ui.offerFrame)


def test_the_result_of_a_run_beside_it_is_no_change_of_the_segmentation(host, panel, existing, volume):
    runs = [panel.logic.segment(volume, name, segmentationNode=existing) for name in ("liver", "spleen")]
    for run in runs:
        run.job.finishWith()
        host.spin(seconds=0.2)
    assert [run.state for run in runs] == ["done", "done"]
    assert existing.GetSegmentation().GetNumberOfSegments() == 9


def test_an_edit_is_still_seen_although_a_run_beside_it_wrote_its_result(host, panel, existing, volume):
    first, second = (panel.logic.segment(volume, name, segmentationNode=existing) for name in ("liver", "spleen"))
    existing.GetSegmentation().AddEmptySegment("mine")
    first.job.finishWith()
    second.job.finishWith()
    host.spin(seconds=0.2)
    assert [first.state, second.state] == ["offered", "offered"]


def asSurfaces(node):
    import slicer

    segmentation = node.GetSegmentation()
    closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    segmentation.CreateRepresentation(closed)
    segmentation.SetSourceRepresentationName(closed)


def test_a_segmentation_of_surfaces_is_refused_before_anything_is_started(host, panel, existing):
    asSurfaces(existing)
    panel.ui.promptLineEdit.setText("liver, spleen, aorta")
    assert not panel.ui.applyButton.enabled
    assert "not kept as voxels" in panel.ui.applyButton.toolTip


def test_a_result_that_its_segmentation_cannot_take_is_offered_and_not_lost(host, panel, existing, segmentations):
    job = panel.applied("spleen")
    asSurfaces(existing)
    panel.logic.runs[0].guard.accept()
    job.finishWith()
    panel.settle()
    assert "not as voxels" in panel.ui.offerLabel.text
    host.click(panel.ui.addAsNewButton)
    panel.settle()
    assert len(segmentations()) == 2
    assert panel.names() == ["liver", "spleen", "liver tumor"]


def test_closing_the_scene_takes_the_offers_with_it(host, panel, volume):
    job = panel.applied("liver")
    painted(volume)
    job.finishWith()
    panel.settle()
    assert panel.isShown(panel.ui.offerFrame)
    host.newScene()
    host.spin()
    assert not panel.isShown(panel.ui.offerFrame)
    assert panel.logic.runs == []


def test_the_volume_deleted_in_the_middle_does_not_disturb_the_preview(host, panel, volume, segmentations):
    job = panel.applied("liver, spleen")
    steps = job.steps()
    for step in steps[:10]:
        step()
    host.spin(seconds=0.3)
    slicer.mrmlScene.RemoveNode(volume)
    for step in steps[10:]:
        step()
    panel.settle()
    assert panel.isShown(panel.ui.offerFrame)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert "Choose the volume" in panel.ui.applyButton.toolTip
