# SPDX-License-Identifier: Apache-2.0
"""What is said of a name while it is being typed: the same that the engine would say."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from unibiomed.errors import InputError
from unibiomed.tasks.catalogue import Catalogue, Target, published
from UniBiomedSegmentLib.TargetList import TargetList

MODALITIES = (None, "CT", "MRI", "MRI-T1", "MRI-FLAIR", "X-Ray", "ultrasound", "fundus", "mammography")
SMALL = [("liver", "abdomen", "CT"), ("left kidney", "abdomen", "CT"), ("right kidney", "abdomen", "CT"),
         ("kidney tumor", "abdomen", "CT"), ("tumor", "brain", "MRI-T1"), ("tumor", "brain", "MRI-T2"),
         ("tumor", "breast", "mammography"), ("brain", "brain", "MRI-T1")]  # fmt: skip


def listOf(targets) -> TargetList:
    return TargetList({**asdict(target), "phrase": target.phrase} for target in targets)


@pytest.fixture(scope="module")
def small() -> TargetList:
    return listOf(Target(name, site, modality, "anatomy") for name, site, modality in SMALL)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("which", ["mini", "published"])
def test_a_name_is_understood_here_exactly_when_the_engine_understands_it(which, modality):
    catalogue = published() if which == "published" else miniCatalogue()
    known = listOf(catalogue.targets)
    texts = {target.name for target in catalogue.targets} | {target.phrase for target in catalogue.targets}
    texts |= {f"{target.name} in {target.modality}" for target in catalogue.targets}
    texts |= {f"{target.name} in {target.site}" for target in catalogue.targets}
    texts |= {"nothing of the kind", "LIVER", "liver in the sea"}
    for text in sorted(texts):
        try:
            expected = catalogue.resolve(text, modality).phrase
        except InputError:
            expected = None
        found = known.check(text, modality).target
        assert (found.phrase if found else None) == expected, (text, modality)


def miniCatalogue() -> Catalogue:
    import json
    from importlib.resources import files

    document = json.loads(files("unibiomed").joinpath("models/mini/unibiomed.json").read_text(encoding="utf-8"))
    return Catalogue(tuple(Target(**entry) for entry in document["targets"]))


def test_an_unknown_name_is_told_with_near_matches(small):
    check = small.check("livr")
    assert "livr" in check.problem
    assert check.suggestions == ("liver",)
    assert small.check("kidney", "CT").suggestions == ("kidney tumor", "left kidney", "right kidney")


def test_a_name_of_several_modalities_asks_which_and_offers_the_phrases(small):
    check = small.check("tumor")
    assert "modality" in check.problem
    assert "tumor in breast mammography" in check.suggestions
    assert small.check("tumor", "mammography").target.site == "breast"


def test_a_target_of_another_modality_is_told_with_where_it_is_known(small):
    problem = small.check("liver", "MRI").problem
    assert "MRI" in problem
    assert "CT" in problem


def test_completion_puts_what_begins_so_before_what_holds_it(small):
    assert small.completions("kid", "CT") == ["kidney tumor", "left kidney", "right kidney"]
    assert small.completions("LEFT K") == ["left kidney"]
    assert small.completions("xyz") == []


def test_completion_offers_phrases_where_a_name_would_not_be_understood(small):
    offers = small.completions("tum")
    assert "tumor" not in offers
    assert {"tumor in brain MRI-T1", "tumor in breast mammography"} <= set(offers)
    assert "tumor" in small.completions("tum", "MRI")


def test_every_completion_and_every_suggestion_is_itself_understood(small):
    for modality in MODALITIES:
        for fragment in ("", "t", "kid", "tumor", "livr", "brian"):
            offers = [*small.completions(fragment, modality), *small.check(fragment or "x", modality).suggestions]
            for offer in offers:
                assert small.check(offer, modality).target or small.check(offer).target, (offer, modality)


def test_without_a_list_nothing_is_said_against_any_name():
    check = TargetList().check("anything")
    assert (check.target, check.problem) == (None, "")
