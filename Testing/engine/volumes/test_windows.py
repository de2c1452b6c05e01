# SPDX-License-Identifier: Apache-2.0
"""Windows: from voxel values to 8 bits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.errors import InputError
from unibiomed.volumes import WINDOWS, Volume, Window, apply_window, default_window, parse_window
from unibiomed.volumes.lazy import LazySlices
from unibiomed.volumes.statistics import intensity_stats


def _ct() -> Volume:
    return Volume.from_array(np.linspace(-1000, 1000, 4 * 8 * 8).reshape(4, 8, 8).astype(np.int16), np.eye(4), "CT")


def test_the_abdomen_window_maps_its_ends_to_black_and_white() -> None:
    row = np.array([[-2000, -160, 40, 240, 3000]], np.int16)
    assert apply_window(row, WINDOWS["ct-abdomen"]).tolist() == [[0, 0, 128, 255, 255]]


def test_a_window_is_found_by_name_or_made_of_numbers() -> None:
    assert parse_window("CT-Lung") is WINDOWS["ct-lung"]
    assert parse_window("400/40").bounds(None) == (-160.0, 240.0)
    assert parse_window("1500/-600").bounds(None) == (-1350.0, 150.0)
    assert (parse_window("1%-99%").lower, parse_window("1%-99%").upper) == (1.0, 99.0)


@pytest.mark.parametrize("text", ["ct-foot", "", "0/40", "-5/40", "400", "99%-1%", "5%-5%", "1%-120%", "a/b"])
def test_a_window_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_window(text)


@pytest.mark.parametrize("window", [*WINDOWS.values(), parse_window("350/50"), parse_window("2%-98%")])
def test_a_window_survives_json(window: Window) -> None:
    assert Window.from_json(json.loads(json.dumps(window.to_json()))) == window


@pytest.mark.parametrize(
    "data", [{}, {"name": "x"}, {"name": "x", "kind": "odd"}, {"name": "x", "kind": "full", "y": 1}, []]
)
def test_json_that_is_no_window_is_refused(data) -> None:
    with pytest.raises(InputError):
        Window.from_json(data)


def test_the_default_window_follows_the_modality() -> None:
    ct = _ct()
    assert default_window(None, ct).name == "ct-abdomen"
    assert default_window("MRI-T1", ct).name == "percentile"
    labels = Volume.from_array(np.arange(64, dtype=np.int16).reshape(1, 8, 8), np.eye(4), "CT")
    assert default_window("CT", labels).name == "percentile"
    eight_bit = Volume.from_array(np.arange(64, dtype=np.uint8).reshape(8, 8), modality="US")
    assert default_window(None, eight_bit).name == "none"


def test_percentiles_are_taken_over_the_whole_volume_without_the_zero_background() -> None:
    array = np.zeros((3, 50, 50), np.float32)
    array[1:, 10:30] = np.linspace(100, 200, 2 * 20 * 50).reshape(2, 20, 50)
    volume = Volume.from_array(array, np.eye(4), "MRI")
    low, high = WINDOWS["percentile"].bounds(volume.stats)
    assert low == pytest.approx(100.5, abs=0.1)
    assert high == pytest.approx(199.5, abs=0.1)
    assert apply_window(array[0], WINDOWS["percentile"], volume.stats).max() == 0
    assert volume.stats is volume.stats


def test_a_percentile_window_of_a_nearly_constant_image_falls_back_to_the_full_range() -> None:
    array = np.full((1, 100, 100), 5, np.int16)
    array[0, 0, 0] = 9
    volume = Volume.from_array(array, np.eye(4), "MRI")
    assert WINDOWS["percentile"].bounds(volume.stats) == (5.0, 9.0)


def test_a_huge_volume_is_sampled_for_its_figures() -> None:
    asked: list[int] = []

    def read(k: int) -> np.ndarray:
        asked.append(k)
        return np.full((512, 512), k, np.int16)

    stats = intensity_stats(LazySlices(read, (10_000, 512, 512), np.dtype(np.int16)))
    assert len(asked) == 64
    assert (stats.minimum, stats.maximum) == (0.0, 9999.0)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(1e-2, 1e4), st.lists(st.floats(-1e5, 1e5, width=32), min_size=4, max_size=4))
def test_windowing_is_monotone_and_stays_in_range(level: float, width: float, values: list[float]) -> None:
    window = Window("w", "width/level", width=width, level=level)
    shown = apply_window(np.sort(np.array(values, np.float32)).reshape(2, 2), window).ravel()
    assert shown.dtype == np.uint8
    assert (np.diff(shown.astype(int)) >= 0).all()


def test_colour_is_not_windowed(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 255, (5, 6, 3), np.uint8)
    assert apply_window(picture, WINDOWS["ct-bone"]) is picture


def test_a_huge_volume_whose_sampled_slices_hold_one_value_still_has_a_picture() -> None:
    stats = intensity_stats(np.zeros((4, 8, 8), np.int16))
    plane = np.array([[0, 1, 100]], np.int16)
    assert apply_window(plane, WINDOWS["percentile"], stats).tolist() == [[0, 255, 255]]
