# SPDX-License-Identifier: Apache-2.0
"""The questions put to the model about one phantom, with their true answers.

Always the prompts that the tasks send. Deterministic by the phantom's seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unibiomed.phantoms import Phantom, TargetSpec
from unibiomed.tasks import templates
from unibiomed.tasks.regions import draw_region_box
from unibiomed.training.conversations import anatomy_choices

Task = Literal["segment", "recognise", "report", "vqa", "region", "describe"]
TASKS: tuple[Task, ...] = ("segment", "recognise", "report", "vqa", "region", "describe")


@dataclass(frozen=True)
class Amounts:
    """How many questions an image gets beside one for each of its targets.

    ``absent``: targets of its own modality that are not in it; ``foreign``: targets of another modality or site;
    ``regions``: boxes to be named.
    """

    absent: int = 3
    foreign: int = 2
    regions: int = 2


@dataclass(frozen=True, eq=False)
class Question:
    """One prompt about one picture, and what its answer is held against.

    ``spec`` is the target of a segmentation or region question, ``foreign`` marks one of another modality or site;
    ``names`` are the true findings of a grounded question ("vqa").
    """

    task: Task
    phantom: Phantom
    image: np.ndarray
    prompt: str
    spec: TargetSpec | None = None
    foreign: bool = False
    names: tuple[str, ...] = ()


def make_questions(
    phantom: Phantom, catalogue: Iterable[TargetSpec], tasks: Iterable[Task] = TASKS, amounts: Amounts | None = None
) -> list[Question]:
    """All questions about ``phantom``; ``catalogue`` is where the targets of other modalities and sites come from."""
    amounts = amounts or Amounts()
    wanted = set(tasks)
    rng = np.random.default_rng([7, phantom.seed])
    questions: list[Question] = []
    if "segment" in wanted:
        questions += _segmentation(phantom, tuple(catalogue), rng, amounts)
    if "recognise" in wanted:
        questions.append(Question("recognise", phantom, phantom.image, templates.recognise_prompt()))
    if "report" in wanted:
        questions.append(Question("report", phantom, phantom.image, templates.report_prompt()))
    if "vqa" in wanted:
        questions += _grounded(phantom, rng)
    if "region" in wanted:
        questions += _regions(phantom, rng, amounts.regions)
    if "describe" in wanted:
        questions.append(Question("describe", phantom, phantom.image, templates.describe_prompt()))
    return questions


def _segmentation(
    phantom: Phantom, catalogue: tuple[TargetSpec, ...], rng: np.random.Generator, amounts: Amounts
) -> list[Question]:
    asked = [(phantom.specs[name], False) for name in phantom.masks]
    asked += [(phantom.specs[name], False) for name in _draw(list(phantom.absent), amounts.absent, rng)]
    # Not another word for what is in the picture: another site, and a name that this picture's truth does not know.
    foreign = [spec for spec in catalogue if spec.site != phantom.site and spec.name not in phantom.specs]
    asked += [(spec, True) for spec in _draw(foreign, amounts.foreign, rng)]
    return [
        Question("segment", phantom, phantom.image, templates.segment_prompt(spec.phrase), spec=spec, foreign=far)
        for spec, far in asked
    ]


def _grounded(phantom: Phantom, rng: np.random.Generator) -> list[Question]:
    """One question with something to be found, and one with nothing, as far as the image has them."""
    choices = anatomy_choices(phantom)
    picked = _draw([choice for choice in choices if choice[1]], 1, rng)
    picked += _draw([choice for choice in choices if not choice[1]], 1, rng)
    return [
        Question("vqa", phantom, phantom.image, templates.IMAGE + templates.vqa_question(anatomy), names=names)
        for anatomy, names in picked
    ]


def _regions(phantom: Phantom, rng: np.random.Generator, amount: int) -> list[Question]:
    """Abnormalities first: they are what a user points at."""
    names = list(phantom.abnormalities[:1]) if amount else []
    names += _draw([name for name in phantom.anatomy if name not in names], amount - len(names), rng)
    return [
        Question(
            "region",
            phantom,
            draw_region_box(phantom.image, phantom.masks[name]),
            templates.region_prompt(),
            spec=phantom.specs[name],
        )
        for name in names
    ]


def _draw(items: list, amount: int, rng: np.random.Generator) -> list:
    return [items[int(index)] for index in rng.permutation(len(items))[: max(0, amount)]]
