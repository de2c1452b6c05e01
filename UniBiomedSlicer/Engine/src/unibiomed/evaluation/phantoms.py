# SPDX-License-Identifier: Apache-2.0
"""The evaluation on phantoms: every task, every modality, on seeds that no training has seen.

Seeds: training below 10,000,000; fitting of the presence gate from 500,000,000; evaluation from 1,000,000,000.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from unibiomed.errors import Cancelled, InputError
from unibiomed.evaluation.questions import TASKS, Amounts, Question, Task, make_questions
from unibiomed.evaluation.results import Evaluation, Record, summarise
from unibiomed.evaluation.scoring import report_pair, score
from unibiomed.phantoms import Phantom, TargetSpec, all_targets, generate
from unibiomed.tasks.progress import ProgressEvent
from unibiomed.tasks.protocol import Model, PredictionLike

TRAINING_SEEDS_END = 10_000_000
FITTING_SEED_BASE = 500_000_000
EVALUATION_SEED_BASE = 1_000_000_000
IMAGES_PER_CALL = 4

Generate = Callable[[str, int, int, bool], Phantom]


@dataclass(frozen=True)
class Plan:
    """Which images and questions: ``n_per_modality`` images each, half of them with an abnormality."""

    modalities: tuple[str, ...]
    n_per_modality: int = 50
    seed_base: int = EVALUATION_SEED_BASE
    size: int = 256
    tasks: tuple[Task, ...] = TASKS
    amounts: Amounts = field(default_factory=Amounts)

    def __post_init__(self) -> None:
        unknown = [task for task in self.tasks if task not in TASKS]
        if unknown:
            raise InputError(f"There is no task {unknown[0]!r} to evaluate; use one of: {', '.join(TASKS)}.")
        if self.n_per_modality < 1:
            raise InputError(f"At least one image a modality is needed, not {self.n_per_modality}.")
        if self.seed_base < TRAINING_SEEDS_END:
            raise InputError(
                f"Seed {self.seed_base} belongs to the training ({TRAINING_SEEDS_END:,} and below); take a larger one."
            )

    @property
    def n_images(self) -> int:
        """Images in all."""
        return len(self.modalities) * self.n_per_modality


def evaluate_phantoms(
    model: Model,
    modalities: Sequence[str],
    n_per_modality: int = 50,
    seed_base: int = EVALUATION_SEED_BASE,
    tasks: Sequence[Task] = TASKS,
    *,
    size: int = 256,
    amounts: Amounts | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    draw: Generate = generate,
) -> Evaluation:
    """Put every question of ``tasks`` to ``model`` on ``n_per_modality`` phantoms of each modality.

    Raises ``InputError`` for an unknown modality or task or a seed of the training, ``Cancelled`` between two batches.
    """
    plan = Plan(tuple(modalities), n_per_modality, seed_base, size, tuple(tasks), amounts or Amounts())
    begun = time.monotonic()
    records = []
    for modality, seed, answers in ask(model, plan, progress=progress, cancelled=cancelled, draw=draw):
        scores = tuple(one for question, answer in answers for one in score(question, answer, model))
        texts = tuple(report_pair(question, answer) for question, answer in answers if question.task == "report")
        records.append(Record(modality, seed, scores, texts))
    settings = {
        "images a modality": plan.n_per_modality,
        "image size": plan.size,
        "seeds": f"{plan.seed_base} to {plan.seed_base + plan.n_per_modality - 1}",
        "tasks": ", ".join(plan.tasks),
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{model.device}, {model.dtype}",
    }
    return summarise(records, settings, _about(model), time.monotonic() - begun)


def ask(
    model: Model,
    plan: Plan,
    *,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    draw: Generate = generate,
    catalogue: Iterable[TargetSpec] | None = None,
    stage: str = "Evaluating",
) -> Iterator[tuple[str, int, list[tuple[Question, PredictionLike]]]]:
    """The questions of ``plan`` with the model's answers, image by image: (modality, seed, pairs)."""
    known = tuple(all_targets() if catalogue is None else catalogue)
    wanted = [
        (modality, plan.seed_base + index, bool(index % 2))
        for modality in plan.modalities
        for index in range(plan.n_per_modality)
    ]
    for start in range(0, len(wanted), IMAGES_PER_CALL):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was stopped; nothing was written.")
        some = wanted[start : start + IMAGES_PER_CALL]
        asked = [
            make_questions(draw(modality, seed, plan.size, abnormal), known, plan.tasks, plan.amounts)
            for modality, seed, abnormal in some
        ]
        flat = [question for questions in asked for question in questions]
        answers = iter(model.predict_batch([one.image for one in flat], [one.prompt for one in flat]))
        for (modality, seed, _), questions in zip(some, asked, strict=True):
            yield modality, seed, [(question, next(answers)) for question in questions]
        if progress is not None:
            progress(ProgressEvent(stage, min(start + IMAGES_PER_CALL, len(wanted)), len(wanted)))


def _about(model: Model) -> dict[str, Any]:
    info = model.info
    return {
        "name": getattr(info, "name", "?"),
        "version": getattr(info, "version", ""),
        "weights SHA-256": getattr(info, "sha256", ""),
    }
