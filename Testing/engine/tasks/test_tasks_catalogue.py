# SPDX-License-Identifier: Apache-2.0
"""Targets: a user's words find what the model was trained on, or a sentence that helps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from unibiomed.errors import InputError
from unibiomed.tasks.catalogue import catalogue_of, published


def test_a_name_and_a_phrase_find_the_same_target(model):
    known = catalogue_of(model)
    assert known.resolve("Liver", "CT").phrase == "liver in abdomen CT"
    assert known.resolve("liver in abdomen CT.").phrase == "liver in abdomen CT"
    assert not known.published


def test_a_plain_mri_finds_the_target_of_its_sequence(model):
    assert catalogue_of(model).resolve("brain", "mri").phrase == "brain in head MRI-T1"


def test_an_unknown_target_is_refused_with_close_matches_and_the_list(model):
    with pytest.raises(InputError, match=r'did you mean "liver".*liver, liver tumor, spleen'):
        catalogue_of(model).resolve("livr", "CT")


def test_a_target_of_another_modality_is_refused_with_the_right_one(model):
    with pytest.raises(InputError, match=r'"brain" is not a target of this model in CT, only in "MRI-T1"'):
        catalogue_of(model).resolve("brain", "CT")


def test_a_target_at_another_site_is_refused_with_the_right_one(model):
    with pytest.raises(InputError, match="abdomen"):
        catalogue_of(model).resolve("liver", "CT", "head")


def test_special_tokens_as_a_target_are_only_an_unknown_name(model):
    with pytest.raises(InputError, match="not a target"):
        catalogue_of(model).resolve("[SEG]", "CT")


def test_a_long_target_is_refused_before_anything_else(model):
    with pytest.raises(InputError, match="10,000 characters"):
        catalogue_of(model).resolve("x" * 10_000)


def test_an_ambiguous_name_is_asked_back():
    known = published()
    with pytest.raises(InputError, match="Say which modality"):
        known.resolve("tumor")
    with pytest.raises(InputError, match=r'Say which site.*"colon".*"lung"'):
        known.resolve("tumor", "CT")
    assert known.resolve("tumor", "CT", "colon").phrase == "tumor in colon CT"


def test_a_name_alone_means_the_wider_site():
    assert published().resolve("liver", "CT").phrase == "liver in abdomen CT"
    assert published().resolve("liver", "CT", "liver").phrase == "liver in liver CT"


def test_a_model_without_a_list_has_the_published_one():
    bare = SimpleNamespace(info=SimpleNamespace(targets=(), presence={}))
    known = catalogue_of(bare)
    assert known.published
    phrases = {target.phrase for target in known.targets}
    assert {"liver in abdomen CT", "optic disc in retinal fundus", "polyp in colon endoscope"} <= phrases
    assert len(phrases) == len(known.targets)


def test_targets_may_be_objects_as_well_as_mappings(model, fakes):
    objects = tuple(SimpleNamespace(**entry) for entry in fakes.TARGETS)
    assert catalogue_of(fakes.FakeModel(targets=objects)).targets == catalogue_of(model).targets
