# SPDX-License-Identifier: Apache-2.0
"""The shapes and noises under the phantoms."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.phantoms import shapes
from unibiomed.phantoms.solids import Ellipsoid, SolidNoise, Tubes


def test_an_ellipse_has_its_area_and_place() -> None:
    y, x = shapes.grid(256)
    mask = shapes.superellipse(y, x, (0.2, -0.3), (0.25, 0.4)) < 1
    assert mask.sum() == pytest.approx(np.pi * 0.25 * 0.4 * 128**2, rel=0.01)
    assert shapes.centroid(mask) == pytest.approx((0.2, -0.3), abs=0.01)


@pytest.mark.parametrize("scale", [4, 16, 64])
def test_smooth_noise_has_about_unit_deviation_at_any_scale(scale: int) -> None:
    rng = np.random.default_rng(0)
    noise = np.stack([shapes.smooth_noise(rng, 128, scale) for _ in range(40)])
    assert noise.std() == pytest.approx(1.0, abs=0.12)
    step = np.abs(np.diff(noise, axis=2)).mean()
    assert step < 2.5 / scale


def test_spreading_a_smooth_field_gives_it_back() -> None:
    y, x = shapes.grid(64)
    spread = shapes.spread(x * y, 256)
    fine_y, fine_x = shapes.grid(256)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(spread - fine_x * fine_y)[inner].max() < 1e-3


def test_pick_inside_keeps_its_distance_from_the_edge() -> None:
    rng = np.random.default_rng(1)
    y, x = shapes.grid(256)
    mask = np.hypot(y, x) < 0.5
    for _ in range(10):
        place = shapes.pick_inside(rng, mask, 30)
        assert place is not None
        assert np.hypot(*place) * 128 < 64 - 30 + 6
    assert shapes.pick_inside(rng, mask, 80) is None


def test_solid_noise_is_continuous_across_planes_and_repeats() -> None:
    noise = SolidNoise(np.random.default_rng(2), 64, 8, 10.0)
    assert np.array_equal(noise.at(3.0), noise.at(3.0))
    assert np.abs(noise.at(3.0) - noise.at(3.1)).max() < 0.2
    assert np.abs(noise.at(9.999) - noise.at(10.001)).max() < 0.01
    assert np.corrcoef(noise.at(0.0).ravel(), noise.at(200.0).ravel())[0, 1] < 0.6


def test_an_ellipsoid_is_missed_by_planes_beyond_it() -> None:
    y, x = shapes.grid(64)
    solid = Ellipsoid((0, 0, 10), (0.5, 0.5, 4))
    assert solid.section(x, y, 14.1) is None
    assert solid.inside(x, y, 10).sum() > solid.inside(x, y, 13).sum() > 0


def test_a_tube_shows_where_the_plane_cuts_it() -> None:
    tube = Tubes(np.array([[0.0, 0, -20]]), np.array([[20.0, 0, 20]]), np.array([2.0]))
    layer = tube.opacity(0.0, 1.0, 1.0, (-32.0, -32.0), 64)
    row, column = np.unravel_index(layer.argmax(), layer.shape)
    assert abs(row - 32) <= 2
    assert abs(column - 42) <= 2
    assert tube.opacity(30.0, 1.0, 1.0, (-32.0, -32.0), 64).max() == 0
