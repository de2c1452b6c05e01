# SPDX-License-Identifier: Apache-2.0
"""Text measures: BLEU by ``sacrebleu``, ROUGE-L by ``rouge-score``, and exact match.

Both libraries come with the extra ``unibiomed[evaluation]`` and are looked for when they are used: an engine without
them measures everything else.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass

TEXT_LIBRARY = "sacrebleu (BLEU), rouge-score (ROUGE-L F)"


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU in 0..1 with its 95 % bootstrap interval (over sentences)."""

    value: float
    low: float
    high: float


def missing_library() -> str | None:
    """The package of the text measures that is not installed, None where both are."""
    packages = {"sacrebleu": "sacrebleu", "rouge_score": "rouge-score"}
    return next((package for name, package in packages.items() if importlib.util.find_spec(name) is None), None)


def plain_text(answer: str) -> str:
    """An answer as a person reads it: no tags, no ``[SEG]``, single blanks, lower case."""
    text = re.sub(r"<[^<>]*>|\[SEG\]", " ", answer)
    return re.sub(r"\s+", " ", text).strip().lower()


def exact_match(prediction: str, truth: str) -> bool:
    """Equal after ``plain_text`` and without a final full stop."""
    return plain_text(prediction).rstrip(". ") == plain_text(truth).rstrip(". ")


def bleu(predictions: Sequence[str], truths: Sequence[str], resamples: int = 1000) -> Bleu:
    """Corpus BLEU-4 of plain texts, with a bootstrap interval where there are at least two."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(lowercase=True, effective_order=False)
    draws = resamples if len(predictions) > 1 else 1
    score = metric.corpus_score(list(predictions), [list(truths)], n_bootstrap=draws)
    spread = float(getattr(score, "_ci", 0.0) or 0.0)
    centre = float(getattr(score, "_mean", score.score) or score.score)
    # A perfect score comes out of sacrebleu a rounding error above 100.
    value = min(100.0, score.score)
    low, high = min(value, max(0.0, centre - spread)), max(value, min(100.0, centre + spread))
    return Bleu(value / 100, low / 100, high / 100)


def bleu_counts(prediction: str, truth: str) -> tuple[int, ...]:
    """What one text adds to corpus BLEU: n-grams that match and all n-grams (1 to 4 each), both lengths in words."""
    from sacrebleu.metrics.bleu import BLEU

    # The effective order changes the score of a sentence, not its counts; without it sacrebleu warns.
    score = BLEU(lowercase=True, effective_order=True).sentence_score(prediction, [truth])
    return (*score.counts, *score.totals, score.sys_len, score.ref_len)


def bleu_of_counts(counts: Sequence[float]) -> float:
    """Corpus BLEU in 0..1 of the sum of ``bleu_counts`` of its texts; the same as ``bleu``, without drawing texts."""
    from sacrebleu.metrics.bleu import BLEU

    numbers = [int(value) for value in counts]
    score = BLEU.compute_bleu(numbers[:4], numbers[4:8], numbers[8], numbers[9], effective_order=False)
    return min(100.0, score.score) / 100


def rouge_l(prediction: str, truth: str) -> float:
    """ROUGE-L F measure of two plain texts, 0..1."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(truth, prediction)["rougeL"].fmeasure)
