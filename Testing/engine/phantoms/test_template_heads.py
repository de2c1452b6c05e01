# SPDX-License-Identifier: Apache-2.0
"""Heads around the MNI152 brain template."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.phantoms import EXTRA_GENERATORS, generate_from

pytest.importorskip("nilearn")
(HEADS,) = EXTRA_GENERATORS["MRI"]


def test_template_heads_show_white_matter_brighter_than_grey_inside_the_brain() -> None:
    seen = 0
    for seed in range(6):
        phantom = generate_from(HEADS, seed, 256, abnormal=False)
        assert phantom.modality == "MRI-T1"
        assert phantom.site == "brain"
        assert not phantom.abnormalities
        masks = phantom.masks
        if not {"brain", "grey matter", "white matter"} <= set(masks):
            continue
        seen += 1
        grey, white = (phantom.image[masks[name]].mean() for name in ("grey matter", "white matter"))
        assert white > grey
        assert not (masks["grey matter"] & masks["white matter"]).any()
        assert not ((masks["grey matter"] | masks["white matter"]) & ~masks["brain"]).any()
    assert seen >= 3


def test_template_heads_repeat_by_seed_and_can_carry_a_tumor() -> None:
    first, again = (generate_from(HEADS, 11, 128, abnormal=True) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    assert first.abnormalities == ("tumor",)
    assert "tumor is seen" in first.sentences["tumor"]
