# SPDX-License-Identifier: Apache-2.0
"""What must not grow with the square of the cohort, or cost a flush a row."""

from __future__ import annotations

import time

import numpy as np
from unibiomed.cohort import strategies
from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Outcome, Record


def _records(count: int) -> list[Record]:
    rng = np.random.default_rng(3)
    found = []
    for number in range(count):
        vector = rng.standard_normal(16)
        outcome = Outcome(1.0, "m", "0", (), 0.5, 1, None, vector / np.linalg.norm(vector))
        found.append(Record(Case(f"{number:04d}", "p", "x"), "done", 1, "", 1.0, outcome))
    return found


def test_the_first_cases_of_a_long_queue_are_those_of_the_whole_greedy_order(monkeypatch):
    records = _records(60)
    whole = [record.case.id for record in strategies.most_different(records)]
    monkeypatch.setattr(strategies, "GREEDY", 12)
    some = [record.case.id for record in strategies.most_different(records)]
    assert some[:12] == whole[:12]
    assert sorted(some) == sorted(whole)
    assert some[12:] != whole[12:]


def test_the_most_different_order_is_quick_for_ten_thousand_cases():
    records = _records(10_000)
    began = time.monotonic()
    order = strategies.most_different(records)
    assert time.monotonic() - began < 15
    assert len({record.case.id for record in order}) == 10_000


def test_a_catalogue_of_twenty_thousand_cases_is_made_without_a_flush_for_each(tmp_path):
    cases = [Case(f"{number:05d}", "p", "x.png") for number in range(20_000)]
    began = time.monotonic()
    with Catalogue.create(tmp_path / "many", tmp_path, Plan(), cases) as catalogue:
        assert time.monotonic() - began < 5
        assert catalogue.counts()["waiting"] == 20_000
        assert catalogue.claim() == cases[0]
