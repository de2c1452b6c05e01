# SPDX-License-Identifier: Apache-2.0
"""The questions in words about a reviewed picture, with the answers that follow from what stands on it.

A picture with its reviewed segments is put in the form of a phantom, an image with its truth, so that its questions and
their scoring are those of the evaluation on phantoms:

* recognise: the trained abnormality question; right answers are the abnormalities that stand on the picture.
* report: the trained report question; the phrases and masks of these abnormalities, and, where every one of them has a
  sentence that a person stands for, its text.
* vqa: "... any signs of abnormality in A?" for at most two A a picture, the site or a reviewed structure, one where an
  abnormality lies in it and one where none does (``anatomy_choices`` says when that is clear).
* region: the box of a reviewed segment is drawn, its phrase is the answer; two a picture, an abnormality first.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.errors import Cancelled
from unibiomed.evaluation.questions import Question, Task, make_questions
from unibiomed.evaluation.reviewed.cases import Opened, ReviewedCase, Shown
from unibiomed.evaluation.reviewed.files import meant_target
from unibiomed.evaluation.scoring import report_pair, score
from unibiomed.evaluation.text_answers import Told, yes_or_no
from unibiomed.evaluation.text_metrics import bleu_counts, missing_library
from unibiomed.phantoms import Phantom, TargetSpec
from unibiomed.phantoms.base import MIN_PIXELS
from unibiomed.tasks.answers import ParsedAnswer, parse_answer
from unibiomed.tasks.catalogue import Catalogue
from unibiomed.tasks.phrases import normalise, parse_phrase
from unibiomed.tasks.protocol import Model, PredictionLike

PICTURE_TASKS: tuple[Task, ...] = ("recognise", "report", "vqa", "region")
#: Tasks whose right answer is what is abnormal: that must have been looked for.
ABNORMAL_TASKS: tuple[Task, ...] = ("recognise", "report", "vqa")


@dataclass(frozen=True, eq=False)
class Targets:
    """What kind of thing a phrase names: as the case states it, else as a known target of that name."""

    known: Catalogue

    def kind(self, case: ReviewedCase, phrase: str) -> str:
        """ "anatomy" or "abnormality"; "unknown" where neither the case nor the name says it."""
        stated = {item.kind for item in case.facts.segments if item.phrase == phrase} - {"unknown"}
        if not stated:
            target = meant_target(phrase, case.facts.modality, self.known)
            name = parse_phrase(phrase).target
            alike = {one.kind for one in self.known.targets if one.name.lower() == name}
            stated = {target.kind} if target is not None else alike
        return stated.pop() if len(stated) == 1 else "unknown"

    def spec(self, case: ReviewedCase, phrase: str) -> TargetSpec | None:
        """The target with its site and modality; None where the site, the modality or the kind is unknown."""
        words, kind = parse_phrase(phrase), self.kind(case, phrase)
        target = meant_target(phrase, case.facts.modality, self.known)
        site = words.site or (target.site if target is not None else case.facts.site)
        modality = words.modality or case.facts.modality or (target.modality if target is not None else None)
        if not site or not modality or kind == "unknown":
            return None
        return TargetSpec(words.target, site, modality, kind)

    def abnormal(self, case: ReviewedCase) -> list[str]:
        """The phrases of the case, asked for or outlined, that name an abnormality."""
        return [phrase for phrase in case.phrases if self.kind(case, phrase) == "abnormality"]

    def looked_for_abnormality(self, case: ReviewedCase) -> bool:
        """Whether a picture of the case without an abnormality may be taken for healthy."""
        return case.facts.prompt_free or bool(self.abnormal(case))


def ask_words(
    model: Model,
    case: ReviewedCase,
    opened: Opened,
    targets: Targets,
    tasks: Iterable[str],
    most: int,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Told]:
    """What the model's answers about at most ``most`` pictures of the case add to the figures.

    The pictures are those where each abnormality is largest, then others evenly spread: the same for every model.
    """
    wanted: list[Task] = [task for task in PICTURE_TASKS if task in tasks]
    if not targets.looked_for_abnormality(case):
        wanted = [task for task in wanted if task not in ABNORMAL_TASKS]
    if not wanted:
        return
    for index in choose(opened, targets.abnormal(case), most):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was stopped; nothing was written.")
        shown = opened.picture(index)
        phantom, certain = as_phantom(case, shown, targets)
        own = [task for task in wanted if certain or task not in ABNORMAL_TASKS]
        if not phantom.site:
            own = [task for task in own if task != "vqa"]
        questions = make_questions(phantom, (), own)
        if not questions:
            continue
        answers = model.predict_batch([one.image for one in questions], [one.prompt for one in questions])
        for question, answer in zip(questions, answers, strict=True):
            for figure, values in _figures(question, answer, model, case.facts.text_stands):
                yield Told(case.facts.name, case.facts.patient, shown.place, _named(question), figure, values)


def choose(opened: Opened, abnormal: Sequence[str], most: int) -> list[int]:
    """The pictures that are asked about, in order."""
    areas = opened.areas(abnormal)
    chosen = list(dict.fromkeys(max(by, key=lambda at: (by[at], -at)) for by in areas.values()))[:most]
    rest = [index for index in range(len(opened)) if index not in chosen]
    more = min(most - len(chosen), len(rest))
    chosen += [rest[int((part + 0.5) * len(rest) / more)] for part in range(more)]
    return sorted(chosen)


def as_phantom(case: ReviewedCase, shown: Shown, targets: Targets) -> tuple[Phantom, bool]:
    """The picture as an image with its truth, and whether it is certain what is abnormal on it.

    Too small a segment to be called there or absent (``MIN_PIXELS``) is left out, as in a phantom; an abnormality
    left out, or one whose phrase is unknown, makes the picture uncertain. The site is "" where several are meant.
    """
    least = MIN_PIXELS * shown.image.shape[0] * shown.image.shape[1] / 256**2
    masks: dict[str, np.ndarray] = {}
    specs: dict[str, TargetSpec] = {}
    sentences: dict[str, str] = {}
    certain = True
    for phrase, mask in shown.masks.items():
        spec = targets.spec(case, phrase)
        if spec is None or np.count_nonzero(mask) < least:
            certain = certain and targets.kind(case, phrase) == "anatomy"
            continue
        masks[spec.name] = masks[spec.name] | mask if spec.name in masks else mask
        specs[spec.name] = spec
        sentences[spec.name] = shown.sentences.get(phrase, sentences.get(spec.name, ""))
    abnormal = [name for name, spec in specs.items() if spec.kind == "abnormality"]
    sites = {spec.site for spec in specs.values()} or {_one_site(case, targets)}
    return Phantom(
        image=shown.image,
        modality=case.facts.modality or next((spec.modality for spec in specs.values()), ""),
        site=sites.pop() if len(sites) == 1 else "",
        masks=masks,
        specs=specs,
        abnormalities=tuple(sorted(abnormal, key=lambda name: -int(np.count_nonzero(masks[name])))),
        sentences={name: sentences[name] for name in abnormal},
        healthy_sentence="",
        seed=zlib.crc32(f"{case.facts.name}/{shown.place}".encode()),
    ), certain


def recognised(found: bool, present: bool, score_of_it: float, prefix: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """What one verdict on abnormal or not adds to accuracy, F1 and AUROC."""
    for name, values in yes_or_no(found, present).items():
        yield f"{prefix}abnormal or not, {name}", values
    yield f"{prefix}abnormal or not, AUROC", (score_of_it, float(present))


def _one_site(case: ReviewedCase, targets: Targets) -> str:
    """The site of a picture on which nothing stands: that of all of the case's phrases, where they share one."""
    specs = [targets.spec(case, phrase) for phrase in case.phrases]
    sites = {spec.site for spec in specs if spec is not None}
    return sites.pop() if len(sites) == 1 else ""


def _named(question: Question) -> str:
    """What tells questions of one picture apart."""
    return f"region: {question.spec.name}" if question.task == "region" else f"{question.task}: {question.prompt}"


def _figures(
    question: Question, answer: PredictionLike, model: Model, text_stands: bool
) -> Iterator[tuple[str, tuple[float, ...]]]:
    phantom = question.phantom
    spoken = text_stands and bool(phantom.abnormalities) and all(phantom.sentences.values())
    for one in score(question, answer, model):
        if one.figure == "report ROUGE-L" and not spoken:
            continue
        yield one.figure, (one.numerator, one.denominator)
        if one.figure.startswith("recognition accuracy"):
            yield "recognition accuracy", (one.numerator, one.denominator)
    if question.task == "report" and spoken and missing_library() is None:
        pair = report_pair(question, answer)
        yield "report BLEU", tuple(float(count) for count in bleu_counts(pair.answer, pair.truth))
    if question.task == "recognise":
        yield from _recognition(phantom, parse_answer(answer.text, len(answer.masks)), answer)


def _recognition(
    phantom: Phantom, said: ParsedAnswer, answer: PredictionLike
) -> Iterator[tuple[str, tuple[float, ...]]]:
    found, present = bool(said.findings), bool(phantom.abnormalities)
    certain = _probability(answer)
    yield from recognised(found, present, (1.0 + certain) / 2 if found else (1.0 - certain) / 2, "")
    true = {normalise(phantom.specs[name].phrase) for name in phantom.abnormalities}
    named = {link.name for link in said.findings}
    yield "recognition F1 of the names", (2.0 * len(true & named), float(len(true) + len(named)))


def _probability(answer: PredictionLike) -> float:
    """How probable the model held its whole answer, 0..1."""
    return math.exp(min(0.0, float(np.sum(answer.token_logprobs))))
