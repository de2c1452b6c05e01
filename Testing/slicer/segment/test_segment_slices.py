# SPDX-License-Identifier: Apache-2.0
"""Which slices are asked for: the current one, a range, all, in any plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from UniBiomedSegmentLib.Choices import Scope, isTypedWindow
from UniBiomedSegmentLib.ResultTable import shortSlices
from UniBiomedSegmentLib.SliceRange import slicesOf
from UniBiomedSegmentLib.Wording import slicesInWords, timeLeft


@given(st.sampled_from(Scope), st.integers(-5, 50), st.integers(-5, 50), st.integers(-5, 50), st.integers(1, 40))
def test_slices_are_always_on_the_volume_and_in_order(scope, current, first, last, count):
    slices = slicesOf(scope, current, first, last, count)
    if slices is None:
        return
    assert slices == sorted(set(slices))
    assert 0 <= slices[0] <= slices[-1] < count
    assert scope is not Scope.CURRENT or len(slices) == 1


def test_the_range_of_all_slices_is_the_whole_volume():
    assert slicesOf(Scope.RANGE, 0, 0, 9, 10) is None
    assert slicesOf(Scope.RANGE, 0, 0, 8, 10) == list(range(9))


def test_slices_in_words():
    assert slicesInWords([5, 3, 6, 7, 9]) == "3, 5-7, 9"
    assert slicesInWords([]) == ""


def test_scattered_slices_are_shortened_for_the_table():
    assert shortSlices("3, 5-9") == "3, 5-9"
    assert shortSlices("0, 2-3, 5-15") == "0-15, 3 parts"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (-1, ""), (2, "a few seconds left"), (42, "about 40 s left"), (100, "about 2 min left"),
     (8000, "about 2.2 h left")],
)  # fmt: skip
def test_time_left_is_rounded_as_an_estimate_deserves(seconds, words):
    assert timeLeft(seconds) == words


@pytest.mark.parametrize(
    ("text", "expected"), [("400/40", True), ("1500 / -600", True), ("1%-99%", True), ("lung", False)]
)
def test_a_typed_window_is_width_and_level_or_percentiles(text, expected):
    assert isTypedWindow(text) is expected


def chosen(host, panel, start):
    box = panel.ui.viewComboBox
    host.choose(box, next(box.itemText(i) for i in range(box.count) if box.itemText(i).startswith(start)))


@pytest.mark.parametrize(
    ("view", "axis", "arrayAxis"), [("Red", "axial", 0), ("Green", "coronal", 1), ("Yellow", "sagittal", 2)]
)
def test_the_current_slice_is_the_one_that_the_view_shows(host, panel, volume, view, axis, arrayAxis):
    host.choose(panel.ui.scopeComboBox, "Current slice")
    chosen(host, panel, f"As in {view}")
    index = [7, 20, 31][arrayAxis]
    ijk = np.array([20.0, 24.0, 12.0, 1.0])
    ijk[2 - arrayAxis] = index
    matrix = np.array([[-2.0, 0, 0, 40], [0, -2.0, 0, 48], [0, 0, 5.0, -60], [0, 0, 0, 1]])
    host.sliceNode(view).JumpSlice(*(matrix @ ijk)[:3])
    host.spin(seconds=0.25)
    assert f"Slice {index} " in panel.ui.sliceLabel.text
    assert axis in panel.ui.sliceLabel.text
    job = panel.applied("liver")
    assert job.parameters["axis"] == axis
    assert job.parameters["slices"] == [index]


def test_as_acquired_the_current_slice_is_that_of_the_view_with_this_plane(host, panel):
    host.choose(panel.ui.scopeComboBox, "Current slice")
    host.sliceNode("Red").JumpSlice(0, 0, -60 + 5 * 9)
    assert panel.applied("liver").parameters["slices"] == [9]


def test_the_whole_volume_as_acquired_leaves_the_plane_to_the_engine(panel):
    parameters = panel.applied("liver").parameters
    assert "axis" not in parameters
    assert "slices" not in parameters


def test_a_range_is_dragged_and_the_view_follows(host, panel):
    host.choose(panel.ui.scopeComboBox, "Range of slices")
    assert panel.isShown(panel.ui.rangeWidget)
    assert (panel.ui.rangeWidget.minimum, panel.ui.rangeWidget.maximum) == (0, 23)
    panel.ui.rangeWidget.setValues(5, 9)
    assert "5-9" in panel.ui.sliceLabel.text
    assert host.sliceNode("Red").GetSliceToRAS().GetElement(2, 3) == pytest.approx(-60 + 5 * 5)
    panel.ui.rangeWidget.setValues(5, 11)
    assert host.sliceNode("Red").GetSliceToRAS().GetElement(2, 3) == pytest.approx(-60 + 5 * 11)
    parameters = panel.applied("liver").parameters
    assert parameters["slices"] == [5, 6, 7, 8, 9, 10, 11]
    assert parameters["axis"] == "axial"


def test_a_range_is_kept_within_the_next_volume(host, panel):
    host.choose(panel.ui.scopeComboBox, "Range of slices")
    panel.ui.rangeWidget.setValues(5, 20)
    small = np.random.default_rng(1).integers(-1000, 1000, (8, 40, 40)).astype(np.int16)
    panel.parameters.inputVolume = host.addVolume(small, np.diag([-2.0, -2, 5, 1]), "Small")
    host.spin()
    assert panel.applied("liver").parameters["slices"] == [5, 6, 7]


def test_on_one_slice_there_is_nothing_to_propagate(host, panel):
    host.choose(panel.ui.methodComboBox, "Propagate from the surest slice")
    assert panel.applied("liver").parameters["method"] == "propagate"
    host.click(panel.ui.applyButton)
    host.spin(seconds=0.1)
    host.choose(panel.ui.scopeComboBox, "Current slice")
    assert not panel.ui.methodComboBox.enabled
    assert panel.applied("liver").parameters["method"] == "slices"


def test_a_volume_without_a_rectangular_grid_is_told_before_anything_is_started(host, panel, volume):
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Sheared")
    matrix = transform.GetMatrixTransformToParent()
    matrix.SetElement(0, 2, 0.5)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    panel.ui.promptLineEdit.setText("liver")
    host.sliceNode("Red").Modified()
    host.spin(seconds=0.25)
    assert not panel.ui.applyButton.enabled
    assert "right angles" in panel.ui.applyButton.toolTip


def test_a_colour_picture_is_one_slice(host, openPanel):
    picture = np.random.default_rng(2).integers(0, 255, (1, 30, 40, 3)).astype(np.uint8)
    host.addVolume(picture, np.diag([-1.0, -1, 1, 1]), "Picture")
    view = openPanel()
    assert view.ui.sliceLabel.text.startswith("The only slice")
    assert view.applied("liver").volumeName == "Picture"
