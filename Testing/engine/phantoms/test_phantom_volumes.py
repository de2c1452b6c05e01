# SPDX-License-Identifier: Apache-2.0
"""3-D phantoms, and the sides of patient and picture."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.phantoms import generate, generate_volume
from unibiomed.phantoms.shapes import centroid

SHAPE = (12, 96, 96)


def place_ras(phantom, name: str) -> np.ndarray:
    ijk = np.argwhere(phantom.masks[name]).mean(axis=0)[::-1]
    return phantom.volume.ijk_to_ras[:3, :3] @ ijk + phantom.volume.ijk_to_ras[:3, 3]


def test_an_abdominal_ct_is_in_hounsfield_units_with_organs_where_they_belong() -> None:
    phantom = generate_volume("CT", 1, SHAPE, abnormal=False)
    assert phantom.volume.modality == "CT"
    assert phantom.site == "abdomen"
    assert phantom.abnormalities == ()
    values = {name: np.median(phantom.volume.array[mask]) for name, mask in phantom.masks.items()}
    assert 35 < values["liver"] < 140
    assert 30 < values["aorta"] < 200
    assert phantom.volume.array.min() < -900
    assert place_ras(phantom, "liver")[0] > 20, "the liver lies on the right: +R"
    assert place_ras(phantom, "spleen")[0] < -20
    assert place_ras(phantom, "left kidney")[0] < 0 < place_ras(phantom, "right kidney")[0]
    assert place_ras(phantom, "right kidney")[1] < 0, "kidneys lie at the back: -A"
    assert place_ras(phantom, "spleen")[2] > place_ras(phantom, "left kidney")[2]


@pytest.mark.parametrize(("modality", "site"), [("CT", "abdomen"), ("CT", "chest"), ("MRI-FLAIR", "brain")])
def test_an_abnormal_volume_shows_its_findings_and_has_slices_without(modality: str, site: str) -> None:
    phantom = generate_volume(modality, 2, SHAPE, site=site, abnormal=True)
    assert phantom.abnormalities
    finding = phantom.masks[phantom.abnormalities[0]]
    levels = finding.any(axis=(1, 2))
    assert 0 < levels.sum() < SHAPE[0]
    assert np.all(np.diff(np.flatnonzero(levels)) == 1), "a finding is one piece along the slices"
    assert phantom.volume.modality == modality


def test_neighbouring_slices_show_the_same_body() -> None:
    phantom = generate_volume("CT", 4, (40, 96, 96), abnormal=False)
    liver = phantom.masks["liver"]
    inside = [k for k in range(39) if liver[k].sum() > 300 and liver[k + 1].sum() > 300]
    overlaps = [2 * (liver[k] & liver[k + 1]).sum() / (liver[k].sum() + liver[k + 1].sum()) for k in inside]
    assert len(overlaps) > 10
    assert min(overlaps) > 0.75


def test_a_volume_repeats_by_seed_and_follows_its_shape() -> None:
    first, again = (generate_volume("MRI-T1", 3, (4, 80, 96)) for _ in range(2))
    assert first.volume.array.shape == (4, 80, 96)
    assert first.volume.array.dtype == np.int16
    assert np.array_equal(first.volume.array, again.volume.array)
    spacing = first.volume.spacing
    assert spacing[0] == pytest.approx(spacing[1])
    assert spacing[2] == pytest.approx(112 / 4)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [(("X-Ray", 0), {}), (("MRI-ADC", 0), {}), (("CT", 0), {"site": "knee"}), (("CT", 0, (1, 96, 96)), {})],
)
def test_a_volume_that_cannot_be_made_is_refused(arguments: tuple, options: dict) -> None:
    with pytest.raises(InputError):
        generate_volume(*arguments, **options)


def test_the_patients_right_is_on_the_left_of_the_picture() -> None:
    film = generate("X-Ray", 3, 128)
    assert centroid(film.masks["right lung"])[1] < centroid(film.masks["left lung"])[1]
    ct = next(p for p in (generate("CT", seed, 128) for seed in range(40)) if {"liver", "spleen"} <= set(p.masks))
    assert centroid(ct.masks["liver"])[1] < centroid(ct.masks["spleen"])[1]


def test_sentences_name_the_side_of_the_finding() -> None:
    checked = 0
    for seed in range(12):
        phantom = generate("CT", seed, 128, abnormal=True)
        for name in ("lung nodule", "kidney tumor"):
            if name in phantom.masks:
                side = "right" if centroid(phantom.masks[name])[1] < 0 else "left"
                assert side in phantom.sentences[name]
                checked += 1
    assert checked >= 3
