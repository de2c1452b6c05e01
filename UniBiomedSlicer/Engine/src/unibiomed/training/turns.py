# SPDX-License-Identifier: Apache-2.0
"""What one training example is: a picture, questions about it, the answers, and a mask for every [SEG] of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Turn:
    """One question and its answer.

    Attributes:
        question: the prompt text, without the image placeholder and the chat marks.
        answer: the wanted text; its n-th ``[SEG]`` is taught by ``masks[n]``.
        masks: bool arrays ``(H, W)``, one for each ``[SEG]``; all false where the target is absent.
        phrases: the target phrase of each mask; empty where there is none ("no findings").
        image_newline: whether a newline stands between the image and the question (region and description prompts).
    """

    question: str
    answer: str
    masks: tuple[np.ndarray, ...] = ()
    phrases: tuple[str, ...] = ()
    image_newline: bool = False


@dataclass(frozen=True, eq=False)
class Conversation:
    """Turns that are asked one after the other about one picture (RGB uint8 ``(H, W, 3)``)."""

    image: np.ndarray
    turns: tuple[Turn, ...]


@dataclass(frozen=True, eq=False)
class Example:
    """Conversations about one picture, which is encoded for masks once.

    Attributes:
        image: RGB uint8 ``(H, W, 3)`` that the masks belong to.
        conversations: those whose masks are taught on ``image``.
        drawn: conversations about another rendering of it (a drawn region box); they have no masks.
        boxed: the phrase of what is inside the box that ``image`` itself shows; empty without a box.
        dense: for the auxiliary per-pixel head: target phrase -> bool mask of everything that is present.
        direct: phrases whose masks are taught without a question, see ``aids.PhraseTable``.
        with_rows, with_masks: whether the vision tower and the mask encoder have to run.
        known: phrases that ``dense`` can speak of here; one that is known and not in ``dense`` is absent.
    """

    image: np.ndarray
    conversations: tuple[Conversation, ...]
    drawn: tuple[Conversation, ...] = ()
    dense: dict[str, np.ndarray] = field(default_factory=dict)
    direct: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    boxed: str = ""
    with_rows: bool = True
    with_masks: bool = True
