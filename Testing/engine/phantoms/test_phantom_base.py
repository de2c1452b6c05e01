# SPDX-License-Identifier: Apache-2.0
"""What every phantom must hold, whatever its modality."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.phantoms import MODALITY_GENERATORS, all_targets, generate
from unibiomed.phantoms.base import MIN_PIXELS, make_phantom, make_specs

SPECS = make_specs("abdomen", "CT", ("liver", "spleen", "aorta"), ("liver tumor",))


def square(side: int) -> np.ndarray:
    mask = np.zeros((256, 256), dtype=bool)
    mask[10 : 10 + side, 20 : 20 + side] = True
    return mask


def test_a_tiny_target_is_neither_present_nor_absent() -> None:
    masks = {"liver": square(60), "spleen": square(3)}
    phantom = make_phantom(np.zeros((256, 256)), masks, SPECS, {}, "nothing.")
    assert MIN_PIXELS > 3 * 3
    assert phantom.anatomy == ("liver",)
    assert phantom.absent == ("aorta", "liver tumor")


def test_caption_and_report_have_the_trained_form() -> None:
    masks = {"liver": square(60), "aorta": square(20), "liver tumor": square(12)}
    said = {"liver tumor": "a small tumor is seen in the liver."}
    sick = make_phantom(np.zeros((256, 256)), masks, SPECS, said, "all is well.")
    assert sick.caption() == (
        "CT image of the abdomen. it shows the liver and the aorta. a small tumor is seen in the liver."
    )
    assert sick.report() == "<p> liver tumor. a small tumor is seen in the liver. </p> [SEG]"
    del masks["liver tumor"]
    well = make_phantom(np.zeros((256, 256)), masks, SPECS, {}, "all is well.")
    assert well.caption().endswith("no abnormality is seen.")
    assert well.report() == "<p> no findings. all is well. </p> [SEG]"


def test_findings_are_listed_biggest_first() -> None:
    specs = make_specs("chest", "CT", (), ("nodule", "effusion"))
    masks = {"nodule": square(8), "effusion": square(30)}
    phantom = make_phantom(np.zeros((256, 256)), masks, specs, {"nodule": "n.", "effusion": "e."}, "")
    assert phantom.abnormalities == ("effusion", "nodule")


def test_an_unknown_modality_is_refused_with_the_list() -> None:
    with pytest.raises(InputError, match="CT, MRI"):
        generate("sonar", 0)


@pytest.mark.parametrize("modality", list(MODALITY_GENERATORS))
@pytest.mark.parametrize("abnormal", [False, True])
def test_phantoms_keep_their_promises(modality: str, abnormal: bool) -> None:
    for seed in range(4):
        phantom = generate(modality, seed, 256, abnormal)
        assert phantom.image.shape == (256, 256, 3)
        assert phantom.image.dtype == np.uint8
        assert phantom.image.std() > 5, "an empty picture"
        assert phantom.modality.split("-")[0] == modality.split("-")[0]
        assert bool(phantom.abnormalities) == abnormal
        assert set(phantom.sentences) == set(phantom.abnormalities)
        assert set(phantom.masks) <= set(phantom.specs)
        assert not set(phantom.masks) & set(phantom.absent)
        for name, mask in phantom.masks.items():
            assert mask.shape == (256, 256)
            assert mask.dtype == bool
            assert mask.sum() >= MIN_PIXELS
            assert phantom.specs[name].modality == phantom.modality
            assert phantom.specs[name].site == phantom.site
        for sentence in (*phantom.sentences.values(), phantom.healthy_sentence):
            assert sentence == sentence.lower()
            assert sentence.endswith(".")
        areas = [phantom.masks[name].sum() for name in phantom.abnormalities]
        assert areas == sorted(areas, reverse=True)
        assert all(area >= 60 for area in areas[:1])


@pytest.mark.parametrize("modality", list(MODALITY_GENERATORS))
def test_the_same_seed_gives_the_same_phantom_and_another_seed_another(modality: str) -> None:
    first, again, other = (generate(modality, seed, 128) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert first.sentences == again.sentences
    assert all(np.array_equal(first.masks[name], again.masks[name]) for name in first.masks)
    assert not np.array_equal(first.image, other.image)
    assert first.seed == 5


def test_every_target_has_a_unique_phrase() -> None:
    phrases = [spec.phrase for spec in all_targets()]
    assert len(phrases) == len(set(phrases))
    assert "liver in abdomen CT" in phrases
    assert "white matter in brain MRI-T1" in phrases
