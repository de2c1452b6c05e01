# SPDX-License-Identifier: Apache-2.0
"""The reading of a whole case without a prompt (``unibiomed.tasks.interpret``) against what its reviewer left.

The text is held against the reviewed report word by word; its phrases against the reviewed segments, in 3-D: a phrase
counts when a reviewed segment has its name and overlaps it with IoU >= 0.5. Segments of one name count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from unibiomed.evaluation.export_facts import CaseFacts
from unibiomed.evaluation.matching import GroundedPhrase, match_phrases
from unibiomed.evaluation.reviewed.cases import OpenedVolume, ReviewedCase
from unibiomed.evaluation.text_answers import Told
from unibiomed.evaluation.text_metrics import bleu_counts, missing_library, plain_text, rouge_l
from unibiomed.evaluation.text_questions import Targets, recognised
from unibiomed.tasks.interpret import interpret
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.results import Interpretation
from unibiomed.volumes.masks import BoxMask


def has_truth(facts: CaseFacts) -> bool:
    """Whether there is anything to hold a reading of the case against."""
    return facts.prompt_free or bool(facts.text and facts.text_stands)


def ask_report(
    model: Model,
    case: ReviewedCase,
    opened: OpenedVolume,
    targets: Targets,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Told]:
    """What the model's reading of the case adds to the figures; nothing where there is no truth for it.

    Text: where the case has a report that a person stands for. Phrases and abnormal or not: where the case was read
    without a prompt, since only then everything was looked for.
    """
    facts = opened.facts
    if not has_truth(facts):
        return
    how = facts.how
    read = interpret(
        model,
        opened.volume,
        modality=how.modality or facts.modality,
        site=how.site,
        window=how.window,
        axis=how.axis,
        anatomy=how.anatomy,
        cancelled=cancelled,
    )
    for figure, values in _figures(read, case, opened, targets):
        yield Told(facts.name, facts.patient, "", "case report", figure, values)


def _figures(
    read: Interpretation, case: ReviewedCase, opened: OpenedVolume, targets: Targets
) -> Iterator[tuple[str, tuple[float, ...]]]:
    if case.facts.text and case.facts.text_stands and missing_library() is None:
        said, true = plain_text(read.text), plain_text(case.facts.text)
        yield "case report ROUGE-L", (rouge_l(said, true), 1.0)
        yield "case report BLEU", tuple(float(count) for count in bleu_counts(said, true))
    if not case.facts.prompt_free:
        return
    shape = opened.volume.shape
    ours = _grounded({item.id: (item.phrase, item.mask) for item in read.segments}, shape)
    theirs = _grounded({phrase: (phrase, mask) for phrase, mask in opened.truth.items()}, shape)
    if ours or theirs:
        yield "case report phrase F1", match_phrases(ours, theirs).f1_parts
    abnormal = set(targets.abnormal(case))
    present = any(phrase in abnormal for phrase in opened.truth)
    surest = max((finding.confidence for finding in read.findings), default=0.0)
    yield from recognised(bool(read.findings), present, surest, "case ")


def _grounded(segments: Mapping[str, tuple[str, BoxMask]], shape: tuple[int, int, int]) -> list[GroundedPhrase]:
    by_name: dict[str, np.ndarray] = {}
    for phrase, mask in segments.values():
        name, full = parse_phrase(phrase).target, mask.to_full(shape)
        by_name[name] = by_name[name] | full if name in by_name else full
    return [GroundedPhrase(name, mask) for name, mask in by_name.items()]
