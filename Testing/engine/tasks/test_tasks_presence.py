# SPDX-License-Identifier: Apache-2.0
"""The presence gate: each score can say no, the slices beside count, and the reason is kept."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.tasks.presence import Gate, Observation, Thresholds, decide, dice, seg_logprobs, thresholds_used


def seen(index=0, box=(2, 6), object_score=3.0, iou=0.9, token_logprob=-0.01):
    mask = np.zeros((8, 8), dtype=bool)
    mask[box[0] : box[1], box[0] : box[1]] = True
    return Observation(index, mask, object_score, iou, token_logprob)


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (seen(), ""),
        (seen(box=(0, 0)), "empty mask"),
        (seen(object_score=-0.5), "object score -0.50 below 0.00"),
        (seen(iou=0.3), "predicted IoU 0.30 below 0.50"),
        (seen(token_logprob=-2.0), "[SEG] log-probability -2.00 below -0.69"),
        (seen(token_logprob=None), ""),
    ],
)
def test_each_score_can_refuse_and_says_so(observation, reason):
    evidence = decide(observation, Thresholds()).evidence
    assert evidence.reason == reason
    assert evidence.present == (reason == "")
    assert evidence.pixels == observation.mask.sum()


def test_agreement_with_a_neighbour_is_measured_against_sound_neighbours_only():
    limits = Thresholds(neighbour=0.5)
    alone = decide(seen(1), limits, seen(0, object_score=-3.0), None).evidence
    assert (alone.neighbour, alone.present) == (0.0, False)
    assert "neighbouring slices 0.00 below 0.50" in alone.reason
    backed = decide(seen(1), limits, seen(0), None).evidence
    assert (backed.neighbour, backed.present) == (1.0, True)


def test_a_single_slice_has_no_neighbour_to_agree_with():
    evidence = decide(seen(), Thresholds(neighbour=0.9)).evidence
    assert (evidence.neighbour, evidence.present) == (None, True)


def test_the_gate_streams_in_order_and_looks_at_both_neighbours():
    gate = Gate(Thresholds(neighbour=0.5))
    pushed = [seen(0, (0, 3)), seen(1, (4, 8)), seen(2, (4, 8)), seen(4, (4, 8))]
    decisions = [item for one in pushed for item in gate.push(one)] + list(gate.finish())
    assert [item.evidence.slice for item in decisions] == [0, 1, 2, 4]
    assert [item.evidence.neighbour for item in decisions] == [0.0, 1.0, 1.0, None]
    assert [item.evidence.present for item in decisions] == [False, True, True, True]


def test_thresholds_come_from_the_model_and_from_the_target(fakes):
    model = fakes.FakeModel(presence={"iou": 0.7, "per_target": {"liver in abdomen CT": {"object_score": 2.5}}})
    own = Thresholds.of(model, "liver in abdomen CT")
    assert (own.object_score, own.iou) == (2.5, 0.7)
    assert Thresholds.of(model, "spleen in abdomen CT").object_score == 0.0
    used = thresholds_used(model, ["liver in abdomen CT", "spleen in abdomen CT"])
    assert list(used) == ["default", "liver in abdomen CT"]


def test_confidence_falls_with_every_score():
    best = seen().confidence
    assert 0 < best < 1
    assert all(other.confidence < best for other in (seen(iou=0.5), seen(object_score=0.0), seen(token_logprob=-1.0)))


def test_scores_without_a_limit_do_not_break_the_confidence():
    assert seen(object_score=1e9).confidence == pytest.approx(0.9 * np.exp(-0.01))
    assert seen(object_score=-1e9).confidence == pytest.approx(0.0, abs=1e-9)


def test_the_seg_tokens_are_found_among_the_answer_tokens(model, fakes):
    prediction = fakes.make_prediction("[SEG] [SEG]", [seen().mask, seen().mask])
    assert seg_logprobs(model, prediction) == [pytest.approx(-0.02)] * 2


def test_nothing_agrees_with_nothing():
    empty = np.zeros((4, 4), dtype=bool)
    assert dice(empty, empty) == 0.0
