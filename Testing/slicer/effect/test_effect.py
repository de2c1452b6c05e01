# SPDX-License-Identifier: Apache-2.0
"""The Segment Editor effect over Slicer's real editor logic: preview, undo, masking, overwriting, stale results."""

import numpy as np
import pytest
import qt
import slicer
import vtk
from effect_results import IJK_TO_RAS, SHAPE, answer, block
from fake_engine import encodeMask
from vtk.util.numpy_support import vtk_to_numpy


def voxelCount(node, segmentId):
    labelmap = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segmentId, labelmap)
    scalars = labelmap.GetPointData().GetScalars()
    return 0 if scalars is None else int(np.count_nonzero(vtk_to_numpy(scalars)))


LIVER = block((1, 4), (5, 15), (6, 18))


def test_the_effect_is_offered_with_icon_and_help(bench):
    assert bench.editor.availableEffectNames() == ["UniBiomed"]
    effect = bench.editor.activeEffect()
    assert not effect.icon().isNull()
    assert "Apply" in effect.helpText()
    assert effect.perSegment
    assert effect.requireSegments


def test_a_result_is_shown_first_and_changes_nothing(bench):
    bench.search(LIVER)
    assert "Found liver" in bench.status()
    assert bench.ui.applyButton.isEnabled()
    assert not bench.mask(bench.liver).any()
    preview = bench.effect.run.previewNode()
    assert preview.GetHideFromEditors()
    assert not preview.GetSaveWithScene()
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(
        preview, preview.GetSegmentation().GetNthSegmentID(0), bench.volume
    )
    assert (shown.astype(bool) == LIVER).all()
    bench.host.click(bench.ui.discardButton)
    assert preview.GetScene() is None
    assert not bench.mask(bench.liver).any()


def test_apply_puts_the_voxels_into_the_selected_segment_and_one_undo_takes_them_back(bench):
    other = bench.mask(bench.other)
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == LIVER).all()
    assert bench.effect.run is None
    bench.editor.undo()
    assert not bench.mask(bench.liver).any()
    assert (bench.mask(bench.other) == other).all()
    bench.editor.redo()
    assert (bench.mask(bench.liver) == LIVER).all()
    bench.editor.undo()
    # One state for the apply: the next undo has nothing of it left.
    assert not bench.editor._logic.CanUndo()


def test_overwriting_is_told_before_and_done_as_the_setting_says(bench):
    other = bench.mask(bench.other)
    bench.search(LIVER)
    shared = int((LIVER & other).sum())
    assert f"{shared} voxels of Other" in bench.status()
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.other) == (other & ~LIVER)).all()
    assert f"{shared} voxels were taken from Other." in bench.status()


def test_allowed_overlap_leaves_the_other_segments_alone(bench):
    other = bench.mask(bench.other)
    bench.host.choose(bench.editor._overwrite, "Allow overlap")
    bench.search(LIVER)
    assert "voxels of Other" not in bench.status()
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.other) == other).all()
    assert (bench.mask(bench.liver) == LIVER).all()


def test_masking_outside_all_segments_holds_and_is_told(bench):
    other = bench.mask(bench.other)
    bench.host.choose(bench.editor._maskMode, "Outside all segments")
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == (LIVER & ~other)).all()
    held = int((LIVER & other).sum())
    assert f"{held} voxels lie outside the editable area" in bench.status()


def test_the_intensity_mask_holds_and_is_told(bench):
    node = bench.editor.mrmlSegmentEditorNode()
    array = slicer.util.arrayFromVolume(bench.volume)
    low, high = int(array[2].min()), int(array[2].max())
    node.SourceVolumeIntensityMaskOn()
    node.SetSourceVolumeIntensityMaskRange(low, high)
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    inRange = (array >= low) & (array <= high)
    assert (bench.mask(bench.liver) == (LIVER & inRange)).all()
    assert f"{int((LIVER & ~inRange).sum())} voxels lie outside" in bench.status()


def test_add_keeps_replace_renews_and_remove_takes_away(bench):
    first, second = block((3, 5), (2, 9), (2, 9)), block((4, 6), (5, 12), (5, 12))
    for operation, expected in (
        ("Add to the segment", first | second),
        ("Replace the segment where it was looked", second),
        ("Remove from the segment", second & ~first),
    ):
        bench.host.choose(bench.ui.operationBox, operation)
        bench.search(first if operation.startswith("Remove") else second)
        if operation.startswith("Add"):
            bench.host.click(bench.ui.applyButton)
            bench.search(first)
        bench.host.click(bench.ui.applyButton)
        assert (bench.mask(bench.liver) == expected).all(), operation


def test_replace_on_one_slice_keeps_the_other_slices(bench):
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    bench.host.showVolume(bench.volume)
    bench.host.sliceNode("Red").JumpSlice(0, 10, -30 + 2 * 2.5)
    bench.host.choose(bench.ui.scopeBox, "Slice in the Red view")
    bench.host.choose(bench.ui.operationBox, "Replace the segment where it was looked")
    onSlice = block((2, 3), (0, 4), (0, 4))
    job = bench.search(onSlice)
    assert job.parameters["axis"] == "axial"
    assert job.parameters["slices"] == [2]
    bench.host.click(bench.ui.applyButton)
    expected = LIVER.copy()
    expected[2] = onSlice[2]
    assert (bench.mask(bench.liver) == expected).all()


def test_a_reference_geometry_of_its_own_gets_the_voxels_at_the_same_place(bench):
    # Half the spacing, another origin, and a rotation about S.
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    angle = np.deg2rad(30)
    rows = np.array([[np.cos(angle), -np.sin(angle), 0, -20], [np.sin(angle), np.cos(angle), 0, -5], [0, 0, 1, -35]])
    for row in range(3):
        for column in range(4):
            matrix.SetElement(row, column, rows[row, column] * (0.5 if column < 3 else 1))
    image.SetExtent(0, 99, 0, 99, 0, 59)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    bench.node.GetSegmentation().SetConversionParameter("Reference image geometry", geometry)
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    labelmap = slicer.vtkOrientedImageData()
    assert bench.node.GetBinaryLabelmapRepresentation(bench.liver, labelmap)
    array = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    ijk = np.argwhere(array)[:, ::-1] + labelmap.GetExtent()[0::2]
    toWorld = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(toWorld)
    world = np.array([toWorld.MultiplyPoint((*point, 1.0))[:3] for point in ijk])
    # The block's walls in RAS: half a voxel around i 6..17, j 5..14, k 1..3.
    low, high = np.array([10 - 0.8 * 17.5, 20 - 0.8 * 14.5, -28.75]), np.array([10 - 0.8 * 5.5, 20 - 0.8 * 4.5, -21.25])
    assert (world >= low - 0.01).all()
    assert (world <= high + 0.01).all()
    volume = len(ijk) * 0.125
    assert volume == pytest.approx(LIVER.sum() * 1.6, rel=0.03)


def test_a_transformed_volume_under_an_untransformed_segmentation_lands_right(bench):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 0.8 * 2)
    transform.SetMatrixTransformToParent(matrix)
    bench.volume.SetAndObserveTransformNodeID(transform.GetID())
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    # Moved by two voxels to the right, which is two less along i on the lattice of the segmentation.
    labelmap = slicer.vtkOrientedImageData()
    bench.node.GetBinaryLabelmapRepresentation(bench.liver, labelmap)
    array = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    ijk = np.argwhere(array)[:, ::-1] + labelmap.GetExtent()[0::2]
    assert ijk.min(axis=0).tolist() == [4, 5, 1]
    assert ijk.max(axis=0).tolist() == [15, 14, 3]
    assert len(ijk) == LIVER.sum()


def test_voxels_beyond_the_segmentations_geometry_are_told(bench):
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    bench.volume.GetIJKToRASMatrix(matrix)
    image.SetExtent(0, 23, 0, 9, 0, 7)  # the half with j < 10
    image.SetGeometryFromImageToWorldMatrix(matrix)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    bench.node.GetSegmentation().SetConversionParameter("Reference image geometry", geometry)
    bench.node.GetSegmentation().RemoveSegment(bench.other)
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    assert f"{int(LIVER[:, 10:].sum())} voxels lie outside the geometry" in bench.status()


def test_nothing_found_is_said_and_nothing_can_be_applied(bench):
    bench.search(np.zeros(SHAPE, bool))
    assert "Found nothing for liver." in bench.status()
    assert not bench.ui.applyButton.isVisibleTo(bench.editor)


def test_cancel_and_failure_change_nothing(bench):
    job = bench.search()
    job.progress("slices", 0.5, 12)
    assert bench.ui.runButton.text == "Cancel"
    bench.host.click(bench.ui.runButton)
    bench.host.spin(until=lambda: job.state == "cancelled")
    assert "Cancelled" in bench.status()
    job = bench.search()
    job.failWith("The engine ended unexpectedly.")
    assert bench.status() == "The engine ended unexpectedly."
    assert bench.ui.runButton.text == "Find"
    assert not bench.mask(bench.liver).any()
    assert not bench.editor._logic.CanUndo()


def test_masks_are_shown_as_they_come(bench):
    job = bench.search()
    job.sendMask(
        {
            "target": "liver",
            "phrase": "liver in abdomen CT",
            "slice": 2,
            "mask": encodeMask(block((2, 3), (5, 9), (5, 9))),
        }
    )
    bench.host.spin(until=lambda: bench.effect.run.previewNode() is not None)
    bench.host.click(bench.ui.runButton)
    assert bench.effect.run.previewNode() is None
    bench.host.spin(until=lambda: job.state == "cancelled")


@pytest.mark.parametrize(
    "change", ["segment edited", "segment deleted", "segmentation moved", "voxels changed", "volume deleted"]
)
def test_a_stale_result_is_offered_as_a_new_segment_only(bench, change):
    job = bench.search()
    if change == "segment edited":
        painted = block((6, 7), (1, 3), (1, 3)).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(painted, bench.node, bench.liver, bench.volume)
    elif change == "segment deleted":
        bench.node.GetSegmentation().RemoveSegment(bench.liver)
        bench.editor.setCurrentSegmentID(bench.other)
    elif change == "segmentation moved":
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        bench.node.SetAndObserveTransformNodeID(transform.GetID())
    elif change == "voxels changed":
        slicer.util.arrayFromVolume(bench.volume)[0, 0, 0] += 1
        slicer.util.arrayFromVolumeModified(bench.volume)
    else:
        # Without a source volume the editor disables all options: the user has to choose another one.
        another = bench.host.addVolume(np.zeros(SHAPE, np.int16), IJK_TO_RAS, name="Another")
        slicer.mrmlScene.RemoveNode(bench.volume)
        bench.editor.setSourceVolumeNode(another)
    before = {one: voxelCount(bench.node, one)
              for one in bench.node.GetSegmentation().GetSegmentIDs()}  # fmt: skip
    job.finishWith(answer(LIVER))
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    bench.effect._refresh()
    assert not bench.ui.applyButton.isEnabled()
    assert "can still be added as a new segment" in bench.status()
    bench.effect.onApply()
    bench.host.click(bench.ui.addButton)
    segmentation = bench.node.GetSegmentation()
    new = [one for one in segmentation.GetSegmentIDs() if one not in before]
    assert len(new) == 1
    assert voxelCount(bench.node, new[0]) == LIVER.sum()
    for one, count in before.items():
        assert voxelCount(bench.node, one) == count


def test_the_result_of_a_deleted_segmentation_becomes_a_new_one(bench):
    job = bench.search()
    slicer.mrmlScene.RemoveNode(bench.node)
    job.finishWith(answer(LIVER))
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    bench.effect._refresh()
    assert "was deleted meanwhile" in bench.status()
    bench.effect.onAddAsNew()
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetSegmentation().GetNumberOfSegments() for node in nodes] == [1]


def test_another_selection_only_pauses_the_result(bench):
    bench.search(LIVER)
    bench.editor.setCurrentSegmentID(bench.other)
    assert not bench.ui.applyButton.isEnabled()
    assert 'belongs to the segment "Liver"' in bench.status()
    other = bench.mask(bench.other)
    bench.effect.onApply()
    assert (bench.mask(bench.other) == other).all()
    bench.editor.setCurrentSegmentID(bench.liver)
    assert bench.ui.applyButton.isEnabled()
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == LIVER).all()


def test_painting_another_segment_meanwhile_does_not_make_the_result_stale(bench):
    bench.search(LIVER)
    painted = block((0, 1), (0, 2), (0, 2)).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, bench.node, bench.other, bench.volume)
    bench.effect._refresh()
    assert bench.ui.applyButton.isEnabled()


def test_a_result_waits_while_another_effect_is_used(bench):
    job = bench.search()
    bench.editor.setActiveEffectByName("")
    job.finishWith(answer(LIVER))
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    assert not bench.effect.run.previewNode().GetDisplayNode().GetVisibility()
    bench.editor.setActiveEffectByName("UniBiomed")
    assert bench.effect.run.previewNode().GetDisplayNode().GetVisibility()
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == LIVER).all()


def test_a_hidden_segment_is_asked_about(bench):
    bench.node.GetDisplayNode().SetSegmentVisibility(bench.liver, False)
    bench.search(LIVER)
    bench.host.answer("Cancel")
    bench.host.click(bench.ui.applyButton)
    assert not bench.mask(bench.liver).any()
    bench.host.answer("Yes")
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == LIVER).all()
    assert bench.node.GetDisplayNode().GetSegmentVisibility(bench.liver)


def test_closing_the_scene_drops_the_search(bench):
    job = bench.search()
    bench.host.newScene()
    assert bench.effect.run is None
    bench.host.spin(until=lambda: job.hasEnded)


def test_choices_are_kept_in_the_editor_node(bench):
    bench.host.type(bench.ui.promptEdit, "spleen")
    bench.host.choose(bench.ui.operationBox, "Remove from the segment")
    node = bench.editor.mrmlSegmentEditorNode()
    assert node.GetAttribute("UniBiomed.Prompt") == "spleen"
    assert node.GetAttribute("UniBiomed.Operation") == "remove"
    node.SetAttribute("UniBiomed.Prompt", "aorta")
    bench.effect.updateGUIFromMRML()
    assert bench.ui.promptEdit.text == "aorta"


def test_unknown_names_are_told_and_not_sent(bench):
    jobs = len(bench.engine.jobs)
    bench.ui.promptEdit.setText("livr")
    bench.host.click(bench.ui.runButton)
    assert "does not know" in bench.status()
    assert len(bench.engine.jobs) == jobs


def test_names_are_completed_while_one_types(bench):
    bench.editor.show()
    bench.ui.promptEdit.setFocus()
    bench.host.type(bench.ui.promptEdit, "sple")
    completer = bench.effect.panel.prompt._completer
    assert completer.popup().isVisible()
    bench.host.type(completer.popup(), "\n")
    assert bench.ui.promptEdit.text == "spleen"


def test_no_shortcut_is_taken(bench):
    assert bench.editor.findChildren(qt.QShortcut) == []


def test_cleanup_lets_go_of_everything(bench):
    bench.search(LIVER)
    preview = bench.effect.run.previewNode()
    bench.effect.cleanup()
    assert preview.GetScene() is None
    bench.editor.setCurrentSegmentID(bench.other)
    bench.engine.capabilitiesChanged.emit()


def test_return_starts_a_search_and_never_drops_one(bench):
    bench.host.type(bench.ui.promptEdit, "spleen\n")
    assert len(bench.engine.jobs) == 1
    bench.host.type(bench.ui.promptEdit, "\n")
    assert bench.effect.run.state == "running"
    bench.engine.jobs[0].finishWith(answer(LIVER, target="spleen"))
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    bench.host.type(bench.ui.promptEdit, "\n")
    assert bench.effect.run.state == "ready"
    assert len(bench.engine.jobs) == 1


def test_several_targets_go_into_the_segment_together(bench):
    job = bench.search(prompt="liver, spleen")
    assert job.parameters["targets"] == ["liver", "spleen"]
    spleen = block((5, 7), (1, 4), (1, 4))
    result = answer(LIVER)
    result["segments"] += answer(spleen, target="spleen")["segments"]
    job.finishWith(result)
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    bench.host.click(bench.ui.applyButton)
    assert (bench.mask(bench.liver) == (LIVER | spleen)).all()


def test_a_mask_outside_the_volume_is_refused_with_a_reason(bench):
    job = bench.search()
    result = answer(LIVER)
    result["segments"][0]["mask"]["offset"] = [7, 5, 6]
    job.finishWith(result)
    bench.host.spin(until=lambda: not bench.effect.run.isActive)
    assert "cannot be used" in bench.status()
    assert not bench.mask(bench.liver).any()


def test_a_new_segment_leaves_all_others_and_is_one_undo(bench):
    other = bench.mask(bench.other)
    bench.search(LIVER)
    bench.host.click(bench.ui.addButton)
    segmentation = bench.node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 3
    new = segmentation.GetNthSegmentID(2)
    assert (bench.mask(new) == LIVER).all()
    assert (bench.mask(bench.other) == other).all()
    bench.editor.undo()
    assert segmentation.GetNumberOfSegments() == 2
    assert not bench.editor._logic.CanUndo()


@pytest.mark.parametrize("operation", ["Add to the segment", "Replace the segment where it was looked"])
def test_each_apply_saves_exactly_one_state_before_it_changes_anything(bench, monkeypatch, operation):
    bench.search(LIVER)
    bench.host.click(bench.ui.applyButton)
    saved = []
    abstract = slicer.qSlicerSegmentEditorAbstractEffect
    save = abstract.saveStateForUndo
    monkeypatch.setattr(
        abstract, "saveStateForUndo", lambda self: (saved.append(bench.mask(bench.liver).sum()), save(self))[1]
    )
    bench.host.choose(bench.ui.operationBox, operation)
    bench.search(np.roll(LIVER, 3, axis=0))
    bench.host.click(bench.ui.applyButton)
    assert saved == [LIVER.sum()]
    bench.search(LIVER)
    bench.host.click(bench.ui.discardButton)
    assert len(saved) == 1
