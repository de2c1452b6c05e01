# SPDX-License-Identifier: Apache-2.0
"""Masks, specs and sentences of the seven 2-D modalities agree with each other and with the image."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.phantoms import dermoscopy, endoscopy, fundus, generate_from, mammography, oct, pathology, ultrasound
from unibiomed.phantoms.base import MIN_PIXELS
from unibiomed.phantoms.shapes import centroid, extent

MODULES = (ultrasound, pathology, fundus, oct, endoscopy, dermoscopy, mammography)
GENERATORS = {generator.name: generator for module in MODULES for generator in module.GENERATORS}
WORDS = (
    "a is seen on in the of small large left right upper lower central center part area quadrant side image "
    "smooth oval irregular mass with posterior enhancement shadow dark rim fluid heart crowded nuclei "
    "red bright yellow hemorrhage exudate cysts under retina lobulated pale polyp asymmetric spot several colors "
    "dense spiculated cluster calcifications breast"
)
by_generator = pytest.mark.parametrize("name", GENERATORS)


@by_generator
@given(seed=st.integers(0, 2**31), abnormal=st.booleans())
@settings(max_examples=6, deadline=None)
def test_every_mask_fits_the_image_and_every_word_has_its_mask(name: str, seed: int, abnormal: bool) -> None:
    generator = GENERATORS[name]
    phantom = generate_from(generator, seed, abnormal=abnormal)
    assert phantom.image.shape == (256, 256, 3)
    assert phantom.image.dtype == np.uint8
    assert int(phantom.image.max()) - int(phantom.image.min()) > 60
    assert (phantom.modality, phantom.site) == (generator.specs[0].modality, generator.specs[0].site)
    assert set(phantom.masks) <= set(phantom.specs) <= {spec.name for spec in generator.specs}
    for mask in phantom.masks.values():
        assert mask.shape == (256, 256)
        assert mask.dtype == bool
        assert np.count_nonzero(mask) >= 8 * MIN_PIXELS
    assert bool(phantom.abnormalities) is abnormal
    assert {n for n, spec in phantom.specs.items() if spec.kind == "abnormality" and n in phantom.masks} == set(
        phantom.sentences
    )
    for sentence in (*phantom.sentences.values(), phantom.healthy_sentence):
        assert re.fullmatch(r"[a-z][a-z ]*\.", sentence)


@by_generator
def test_the_sentences_use_a_small_closed_vocabulary(name: str) -> None:
    sentences = {
        sentence
        for seed in range(20)
        for sentence in generate_from(GENERATORS[name], seed, size=64, abnormal=True).sentences.values()
    }
    assert {word for sentence in sentences for word in sentence.rstrip(".").split()} <= set(WORDS.split())
    assert 3 <= len(sentences) <= 24


@by_generator
def test_where_a_finding_lies_is_where_its_sentence_says(name: str) -> None:
    for seed in range(16):
        phantom = generate_from(GENERATORS[name], seed, abnormal=True)
        for finding, sentence in phantom.sentences.items():
            y, x = centroid(phantom.masks[finding])
            words = sentence.rstrip(".").split()
            if {"quadrant", "image", "retina"} & set(words):  # elsewhere it is the side of the heart or of the patient
                assert ("left" in words) <= (x < -0.02), (seed, sentence, x)
                assert ("right" in words) <= (x > 0.02), (seed, sentence, x)
                assert bool({"central", "center"} & set(words)) <= (abs(x) < 0.2), (seed, sentence, x)
            if "quadrant" in words:
                assert ("upper" in words) == (y < 0), (seed, sentence, y)


@by_generator
def test_small_and_large_findings_are_apart_in_size(name: str) -> None:
    sizes: dict[tuple[str, str], list[float]] = {}
    for seed in range(30):
        phantom = generate_from(GENERATORS[name], seed, abnormal=True)
        for finding, sentence in phantom.sentences.items():
            sizes.setdefault((finding, sentence.split()[1]), []).append(extent(phantom.masks[finding]))
    findings = {finding for finding, _ in sizes}
    for finding in findings:
        assert max(sizes[finding, "small"]) * 1.04 < min(sizes[finding, "large"])


@by_generator
def test_the_same_seed_gives_the_same_image_and_another_seed_another(name: str) -> None:
    first, again, other = (generate_from(GENERATORS[name], seed, abnormal=True) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.sentences == again.sentences
    for target, mask in first.masks.items():
        np.testing.assert_array_equal(mask, again.masks[target])
    assert np.mean(first.image != other.image) > 0.3


@by_generator
@pytest.mark.parametrize("size", [128, 512])
def test_other_sizes_scale_the_picture(name: str, size: int) -> None:
    shares: dict[int, list[float]] = {size: [], 256: []}
    for side in shares:
        for seed in range(4):
            phantom = generate_from(GENERATORS[name], seed, size=side, abnormal=True)
            assert phantom.image.shape == (side, side, 3)
            assert phantom.abnormalities
            shares[side] += [mask.mean() for mask in phantom.masks.values()]
    assert 0.4 < np.mean(shares[size]) / np.mean(shares[256]) < 2.5


def test_a_mirrored_breast_is_named_by_its_side() -> None:
    generator = GENERATORS["breast mammography"]
    for seed in range(12):
        phantom = generate_from(generator, seed, abnormal=True)
        x = centroid(phantom.masks["breast"])[1]
        assert all(("left breast" in sentence) == (x < 0) for sentence in phantom.sentences.values())


def test_a_melanoma_leaves_open_whether_it_is_called_a_lesion() -> None:
    generator = GENERATORS["skin dermoscopy"]
    assert "lesion" not in generate_from(generator, 1, abnormal=True).specs
    healthy = [generate_from(generator, seed, abnormal=False) for seed in range(12)]
    assert {"lesion" in phantom.masks for phantom in healthy} == {True, False}
    assert all("melanoma" in phantom.absent for phantom in healthy)


def test_heart_chambers_and_muscle_do_not_overlap() -> None:
    for seed in range(8):
        masks = generate_from(GENERATORS["heart ultrasound"], seed, abnormal=True).masks
        assert np.max(sum(mask.astype(int) for mask in masks.values())) == 1


def test_the_cup_lies_within_the_disc() -> None:
    for seed in range(8):
        masks = generate_from(GENERATORS["retinal fundus"], seed).masks
        assert not np.any(masks["optic cup"] & ~masks["optic disc"])
        assert masks["optic cup"].sum() < 0.6 * masks["optic disc"].sum()
