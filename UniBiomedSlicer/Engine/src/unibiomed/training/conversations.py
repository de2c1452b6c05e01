# SPDX-License-Identifier: Apache-2.0
"""From a phantom to questions and answers: the paper's tasks in the published templates and answer forms.

Sources: the published data sets' templates (tasks.md of the project's references, sections 1 and 2). Targets that are
absent are asked for too, with an empty mask: the published model never saw them; a small model can learn from them
when to say no (SAM 2's object score is the answer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from unibiomed.phantoms import Phantom, TargetSpec
from unibiomed.tasks import templates
from unibiomed.tasks.phrases import make_phrase
from unibiomed.tasks.regions import draw_region_box
from unibiomed.training.turns import Conversation, Example, Turn

NO_FINDINGS = "no findings"

# The first of the five published answers; which of them comes is chance, and chance is not worth a small model's time.
SEGMENT_ANSWER = "It is [SEG]."


@dataclass(frozen=True)
class Mix:
    """How many questions of which kind a picture gets.

    Attributes:
        segmentation_turns: segmentation prompts packed into one conversation.
        absent_share: probability that such a prompt asks for something that is not there.
        foreign_share: of the absent ones, the share that comes from another modality or site.
        default_template_share: how often the template that inference uses is taken instead of any of the trained ones.
        text_questions: grounded text questions, each in a conversation of its own.
        region_share: probability of a region question (a second look by the vision tower, at a drawn box).
        direct_prompts: masks that are taught without a question.
        box_share: probability that the picture itself shows a drawn box; only where it is asked nothing.
        with_rows, with_masks: see ``Example``.
    """

    segmentation_turns: int = 2
    absent_share: float = 0.3
    foreign_share: float = 0.35
    default_template_share: float = 0.75
    text_questions: int = 2
    region_share: float = 0.3
    direct_prompts: int = 8
    box_share: float = 0.0
    with_rows: bool = True
    with_masks: bool = True


def make_example(phantom: Phantom, catalogue: tuple[TargetSpec, ...], rng: np.random.Generator, mix: Mix) -> Example:
    """All conversations about one phantom; ``catalogue`` is where absent targets of other pictures come from."""
    blank = np.zeros(phantom.image.shape[:2], dtype=bool)
    asked = _segmentation_turns(phantom, catalogue, blank, rng, mix)
    segmentation = (Conversation(phantom.image, asked),) if asked else ()
    # One conversation a question: an answer that follows a true answer is read off from that, not from the picture.
    texts = [Conversation(phantom.image, (turn,)) for turn in _text_turns(phantom, blank, rng, mix)]
    drawn = ()
    if phantom.masks and rng.random() < mix.region_share:
        drawn = (_region_conversation(phantom, rng, mix),)
    image, boxed = phantom.image, ""
    if phantom.masks and rng.random() < mix.box_share:
        name = _pointed_at(phantom, rng)
        image, boxed = draw_region_box(phantom.image, phantom.masks[name]), phantom.specs[name].phrase
    return Example(
        image=image,
        conversations=(*segmentation, *texts),
        drawn=drawn,
        dense={phantom.specs[name].phrase: mask for name, mask in phantom.masks.items()},
        direct=_direct(phantom, catalogue, rng, mix),
        known=frozenset(spec.phrase for spec in phantom.specs.values()),
        boxed=boxed,
        with_rows=mix.with_rows,
        with_masks=mix.with_masks,
    )


def _direct(phantom: Phantom, catalogue: tuple[TargetSpec, ...], rng: np.random.Generator, mix: Mix) -> tuple[str, ...]:
    """Abnormalities first, whether they are there or not: to tell them from what they resemble is the hard part.

    Then one structure that is absent and one target of another site; what is left of the number are structures that
    are there.
    """
    if mix.direct_prompts == 0:
        return ()
    names = [str(name) for name in rng.permutation(list(phantom.specs))]
    findings = [name for name in names if phantom.specs[name].kind == "abnormality"]
    structures = [name for name in names if phantom.specs[name].kind == "anatomy"]
    findings.sort(key=lambda name: name not in phantom.masks)
    absent = [name for name in structures if name not in phantom.masks][:1]
    present = [name for name in structures if name in phantom.masks]
    foreign = _foreign(phantom, catalogue, rng).phrase
    picked = [*findings[: mix.direct_prompts // 2], *absent]
    picked += present[: mix.direct_prompts - 1 - len(picked)]
    return (*_phrases(phantom, tuple(picked)), foreign)


def segment_question(phrase: str) -> str:
    """The segmentation prompt that inference sends, without the image placeholder."""
    return templates.SEGMENT[1].format(phrase=phrase)


def _segmentation_turns(
    phantom: Phantom, catalogue: tuple[TargetSpec, ...], blank: np.ndarray, rng: np.random.Generator, mix: Mix
) -> tuple[Turn, ...]:
    present = list(phantom.masks)
    # Abnormalities are fewer and harder than anatomy: they are asked for first, in any place of the conversation.
    rng.shuffle(present)
    present.sort(key=lambda name: phantom.specs[name].kind != "abnormality")
    absent = list(phantom.absent)
    rng.shuffle(absent)
    turns: list[Turn] = []
    for _ in range(mix.segmentation_turns):
        if present and rng.random() >= mix.absent_share:
            name = present.pop(0)
            spec, mask = phantom.specs[name], phantom.masks[name]
        elif absent and rng.random() >= mix.foreign_share:
            spec, mask = phantom.specs[absent.pop()], blank
        else:
            spec, mask = _foreign(phantom, catalogue, rng), blank
        asked = spec
        if spec.site != phantom.site and rng.random() < 0.3:  # also under this modality's word
            asked = replace(spec, modality=phantom.modality)
        question = _choose(templates.SEGMENT, templates.SEGMENT[1], rng, mix).format(phrase=asked.phrase)
        turns.append(Turn(question, SEGMENT_ANSWER, (mask,), (spec.phrase,)))
    order = rng.permutation(len(turns))
    return tuple(turns[i] for i in order)


def _foreign(phantom: Phantom, catalogue: tuple[TargetSpec, ...], rng: np.random.Generator) -> TargetSpec:
    """A target that cannot be in this picture: another site's."""
    foreign = [spec for spec in catalogue if spec.site != phantom.site and spec.name not in phantom.specs]
    return foreign[int(rng.integers(len(foreign)))]


def _text_turns(phantom: Phantom, blank: np.ndarray, rng: np.random.Generator, mix: Mix) -> tuple[Turn, ...]:
    makers = [_recognition_turn, _report_turn, _question_turn, _description_turn]
    picked = rng.permutation(len(makers))[: mix.text_questions]
    return tuple(makers[i](phantom, blank, rng, mix) for i in picked)


def _recognition_turn(phantom: Phantom, blank: np.ndarray, rng: np.random.Generator, mix: Mix) -> Turn:
    question = _choose(templates.RECOGNISE, templates.RECOGNISE[0], rng, mix)
    name = phantom.abnormalities[0] if phantom.abnormalities else NO_FINDINGS
    phrase = make_phrase(name, phantom.site, phantom.modality)
    masks = (phantom.masks.get(name, blank),)
    return Turn(question, f"It is [SEG]. {phrase}.", masks, _phrases(phantom, phantom.abnormalities[:1]))


def _report_turn(phantom: Phantom, blank: np.ndarray, rng: np.random.Generator, mix: Mix) -> Turn:
    question = _choose(templates.REPORT, templates.REPORT[2], rng, mix)
    masks = tuple(phantom.masks[name] for name in phantom.abnormalities) or (blank,)
    return Turn(question, phantom.report(), masks, _phrases(phantom, phantom.abnormalities))


def _question_turn(phantom: Phantom, blank: np.ndarray, rng: np.random.Generator, mix: Mix) -> Turn:
    anatomy, found = _ask_about(phantom, rng)
    question = _choose(templates.GROUNDED_VQA, templates.GROUNDED_VQA[0], rng, mix).format(anatomy=anatomy)
    if not found:
        return Turn(question, f"<p> {NO_FINDINGS}. </p> [SEG]", (blank,))
    answer = " ".join(f"<p> {name}. </p> [SEG]" for name in found)
    return Turn(question, answer, tuple(phantom.masks[name] for name in found), _phrases(phantom, found))


def _phrases(phantom: Phantom, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(phantom.specs[name].phrase for name in names)


def anatomy_choices(phantom: Phantom) -> list[tuple[str, tuple[str, ...]]]:
    """What can be asked about, with the abnormalities that lie in it: the whole site, and each clear-cut structure.

    An abnormality lies in a structure when over 60 % of it is inside the structure or its close surroundings; a
    structure that one merely touches is left out, since the truth would be a matter of opinion.
    """
    choices: list[tuple[str, tuple[str, ...]]] = [(phantom.site, phantom.abnormalities)]
    margin = max(2, phantom.image.shape[0] // 64)
    for structure in phantom.anatomy:
        near = ndimage.binary_dilation(phantom.masks[structure], iterations=margin)
        inside = {name: float(near[phantom.masks[name]].mean()) for name in phantom.abnormalities}
        if all(share == 0.0 or share > 0.6 for share in inside.values()):
            choices.append((structure, tuple(name for name in phantom.abnormalities if inside[name] > 0.6)))
    return choices


def _ask_about(phantom: Phantom, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """The site in half of the questions, else any of the choices."""
    choices = anatomy_choices(phantom)
    return choices[0] if rng.random() < 0.5 else choices[int(rng.integers(len(choices)))]


def _description_turn(phantom: Phantom, blank: np.ndarray, rng: np.random.Generator, mix: Mix) -> Turn:
    return Turn(templates.DESCRIBE, phantom.caption(), image_newline=True)


def _region_conversation(phantom: Phantom, rng: np.random.Generator, mix: Mix) -> Conversation:
    name = _pointed_at(phantom, rng)
    picture = draw_region_box(phantom.image, phantom.masks[name])
    question = _choose(templates.REGION, templates.REGION[0], rng, mix)
    return Conversation(picture, (Turn(question, phantom.specs[name].phrase, image_newline=True),))


def _pointed_at(phantom: Phantom, rng: np.random.Generator) -> str:
    """What a box is drawn around: an abnormality twice as often as a structure."""
    names = list(phantom.abnormalities) * 2 + list(phantom.anatomy)
    return names[int(rng.integers(len(names)))]


def _choose(questions: tuple[str, ...], default: str, rng: np.random.Generator, mix: Mix) -> str:
    """The template that inference uses, or any of the trained ones."""
    return default if rng.random() < mix.default_template_share else str(rng.choice(questions))
