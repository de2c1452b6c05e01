# SPDX-License-Identifier: Apache-2.0
"""Outlines, lines and speckle that the 2-D phantoms are drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.phantoms.drawing import bezier, coloured, ellipse_outlines, polygons, strokes, tint, window
from unibiomed.phantoms.shapes import grid
from unibiomed.phantoms.speckle import banded_noise, log_speckle


@given(
    size=st.sampled_from([64, 128, 256]),
    centre=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    radii=st.tuples(st.floats(0.15, 0.5), st.floats(0.15, 0.5)),
    angle=st.floats(0, 3.2),
)
@settings(max_examples=25, deadline=None)
def test_a_drawn_ellipse_has_its_area_and_place(size, centre, radii, angle) -> None:
    outline = ellipse_outlines([centre], [radii], [angle], np.ones((1, 60)))
    opacity = polygons(size, outline)
    area = np.pi * radii[0] * radii[1] * size * size / 4
    assert opacity.sum() == pytest.approx(area, abs=np.pi * sum(radii) * size / 2 * 0.4)  # 0.4 pixels along the edge
    y, x = grid(size)
    assert (opacity * y).sum() / opacity.sum() == pytest.approx(centre[0], abs=2.5 / size)
    assert (opacity * x).sum() / opacity.sum() == pytest.approx(centre[1], abs=2.5 / size)


def test_an_ellipse_is_long_along_its_axis() -> None:
    opacity = polygons(128, ellipse_outlines([(0.0, 0.0)], [(0.6, 0.1)], [np.pi / 2]))  # axis turned from x to y
    assert np.any(opacity > 0.5, axis=1).sum() > 4 * np.any(opacity > 0.5, axis=0).sum()


def test_values_set_the_opacity_of_each_outline() -> None:
    outlines = ellipse_outlines([(0.0, -0.5), (0.0, 0.5)], [(0.2, 0.2)] * 2, [0.0, 0.0])
    opacity = polygons(128, outlines, [1.0, 0.4])
    assert opacity[64, 32] == pytest.approx(1.0, abs=0.01)
    assert opacity[64, 96] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("size", [128, 256, 512])
def test_a_stroke_is_as_wide_as_asked_at_any_size(size: int) -> None:
    opacity = strokes(size, [(np.array([[-0.5, 0.0], [0.5, 0.0]]), 0.1)])
    assert opacity[size // 2].sum() * 2 / size == pytest.approx(0.1, abs=2.0 / size)


def test_a_curve_begins_and_ends_at_its_outer_control_points() -> None:
    control = np.array([[0.0, 0.0], [0.3, 0.9], [1.0, 0.2], [0.5, -0.5]])
    curve = bezier(control, 21)
    assert curve.shape == (21, 2)
    np.testing.assert_allclose(curve[[0, -1]], control[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(curve[10], control[[0, 3]].sum(0) / 8 + control[[1, 2]].sum(0) * 3 / 8, atol=1e-12)


@given(
    size=st.sampled_from([64, 255]),
    centre=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    reach=st.floats(0.01, 1.0),
)
@settings(max_examples=40, deadline=None)
def test_a_window_is_never_empty_and_holds_all_pixels_in_reach(size, centre, reach) -> None:
    rows, columns = window(size, centre, reach)
    y, x = grid(size)
    inside = (np.abs(y - centre[0]) <= reach) & (np.abs(x - centre[1]) <= reach)
    covered = np.zeros((size, size), bool)
    covered[rows, columns] = True
    assert covered.any()
    assert not np.any(inside & ~covered)


def test_tint_lays_a_colour_over_by_its_opacity() -> None:
    image = coloured(np.full((4, 4), 0.5, np.float32), (1.0, 0.5, 0.0))
    np.testing.assert_allclose(image[0, 0], (0.5, 0.25, 0.0))
    half = tint(image, (1.0, 1.0, 1.0), np.full((4, 4), 0.5, np.float32))
    np.testing.assert_allclose(half[3, 3], (0.75, 0.625, 0.5))


def test_speckle_is_skewed_to_the_dark_like_the_log_of_a_rayleigh_amplitude() -> None:
    speckle = log_speckle(np.random.default_rng(0), (256, 256), (1.5, 3.0))
    assert speckle.mean() == pytest.approx(0.0, abs=1e-3)
    assert speckle.std() == pytest.approx(1.0, abs=1e-3)
    assert -1.6 < float((speckle**3).mean()) < -0.4  # the log of a Rayleigh variable has a skewness of about -1.14


def test_banded_noise_is_correlated_along_its_grain() -> None:
    noise = banded_noise(np.random.default_rng(1), (256, 256), (3.0, 40.0))
    along, across = (noise[:, 5:] * noise[:, :-5]).mean(), (noise[5:] * noise[:-5]).mean()
    assert along > 0.85
    assert across < 0.3
