# SPDX-License-Identifier: Apache-2.0
"""Mask and text measures against values that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.evaluation.mask_metrics import dice, iou, mask_scores
from unibiomed.evaluation.matching import GroundedPhrase, match_phrases
from unibiomed.evaluation.statistics import ratio
from unibiomed.evaluation.text_metrics import bleu, exact_match, plain_text, rouge_l
from unibiomed.evaluation.volumes import evaluate_volume
from unibiomed.volumes.masks import BoxMask


def block(shape: tuple[int, ...], *slices: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*one) for one in slices)] = True
    return mask


def test_dice_and_iou_of_two_half_overlapping_blocks():
    one, other = block((8, 8), (0, 4), (0, 4)), block((8, 8), (0, 4), (2, 6))
    assert dice(one, other) == pytest.approx(0.5)
    assert iou(one, other) == pytest.approx(1 / 3)


def test_two_empty_masks_agree_and_one_empty_mask_scores_nothing():
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    assert mask_scores(empty, empty, (1, 1, 1)).dice == 1.0
    lost = mask_scores(empty, full, (1, 1, 1))
    assert (lost.dice, lost.hd95_mm, lost.nsd) == (0.0, None, 0.0)


def test_a_slab_moved_along_k_is_off_by_its_spacing_in_mm():
    truth = block((20, 16, 16), (4, 10), (0, 16), (0, 16))
    moved = np.roll(truth, 1, axis=0)
    scores = mask_scores(moved, truth, (5.0, 1.0, 1.0))
    assert scores.hd95_mm == pytest.approx(5.0)
    assert 0.7 < scores.nsd < 0.85  # the sides still match, top and bottom do not
    assert mask_scores(moved, truth, (1.0, 1.0, 1.0)).nsd == pytest.approx(1.0)


def test_evaluate_volume_takes_spacing_in_the_order_i_j_k():
    truth = block((20, 16, 16), (4, 10), (0, 16), (0, 16))
    moved = np.roll(truth, 1, axis=0)
    scores = evaluate_volume({"slab": BoxMask.from_full(moved)}, {"slab": truth, "lost": truth}, (1.0, 1.0, 5.0))
    assert scores["slab"].hd95_mm == pytest.approx(5.0)
    assert scores["slab"].dice == pytest.approx(5 / 6)
    assert scores["lost"].dice == 0.0


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="different shapes"):
        dice(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
    with pytest.raises(InputError, match="must be bool"):
        dice(np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool))


def test_answers_are_compared_without_tags_case_and_final_stop():
    assert plain_text("<p> Lung nodule. A small one. </p> [SEG]<|end|>") == "lung nodule. a small one."
    assert exact_match("Liver in abdomen CT.<|end|>", "liver in abdomen ct")
    assert not exact_match("liver in abdomen MRI", "liver in abdomen CT")


def test_equal_texts_score_one_and_unlike_texts_less():
    reports = ["a large nodule is seen in the right lung.", "the lungs are clear in every part."]
    assert bleu(reports, reports).value == pytest.approx(1.0)
    worse = bleu([reports[0], reports[0]], reports, resamples=50)
    assert worse.low <= worse.value <= worse.high <= 1.0
    assert rouge_l(reports[0], reports[0]) == pytest.approx(1.0)
    assert 0.0 < rouge_l(reports[0], reports[1]) < 0.5


def test_phrases_are_paired_so_that_as_many_as_possible_count():
    a, b = block((8, 8), (0, 4), (0, 8)), block((8, 8), (4, 8), (0, 8))
    truth = [GroundedPhrase("nodule", a), GroundedPhrase("nodule", b)]
    assert match_phrases([GroundedPhrase("nodule", b), GroundedPhrase("nodule", a)], truth).true_positives == 2
    counts = match_phrases([GroundedPhrase("nodule", a), GroundedPhrase("effusion", b)], truth)
    assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (1, 1, 1)
    assert counts.f1_parts == (2.0, 4.0)


def test_a_phrase_with_the_right_words_but_half_a_mask_does_not_count():
    truth = [GroundedPhrase("nodule", block((8, 8), (0, 4), (0, 8)))]
    just = [GroundedPhrase("nodule", block((8, 8), (0, 4), (0, 4)))]
    less = [GroundedPhrase("nodule", block((8, 8), (0, 4), (0, 3)))]
    assert match_phrases(just, truth).true_positives == 1
    assert match_phrases(less, truth).true_positives == 0
    assert match_phrases([GroundedPhrase("nodule", None)], truth).true_positives == 0


def test_nothing_found_counts_by_its_words():
    nothing = [GroundedPhrase("no findings", None)]
    assert match_phrases(nothing, nothing).true_positives == 1
    assert match_phrases([], nothing).false_negatives == 1


def test_an_interval_holds_its_value_and_shrinks_with_more_images():
    rng = np.random.default_rng(0)
    few, many = rng.random(20), rng.random(500)
    wide, narrow = ratio(few, np.ones(20)), ratio(many, np.ones(500))
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2
    assert (narrow.n, narrow.images) == (500, 500)


def test_a_perfect_count_still_has_an_interval():
    perfect = ratio([1.0] * 10, [1.0] * 10)
    assert perfect.value == 1.0
    assert 0.65 < perfect.low < 0.80
    assert ratio([], []) is None
    assert ratio([0.0], [0.0]) is None


def test_questions_about_one_image_are_drawn_together():
    """Ten questions with the same answer about each of ten images tell no more than one about each."""
    right = [10.0, 0.0] * 5
    together = ratio(right, [10.0] * 10)
    single = ratio([1.0, 0.0] * 5, [1.0] * 10)
    assert together.n == 100
    assert (together.low, together.high) == (single.low, single.high)
