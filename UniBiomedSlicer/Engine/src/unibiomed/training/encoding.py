# SPDX-License-Identifier: Apache-2.0
"""Conversations to token ids, in exactly the form that inference sends (model specification, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unibiomed.training.turns import Conversation

IGNORED = -100  # torch's cross entropy leaves these labels out


@dataclass(frozen=True, eq=False)
class EncodedConversation:
    """One conversation as ids.

    Attributes:
        input_ids: int64 ``(L,)``.
        labels: int64 ``(L,)``; the ids of answers, ``IGNORED`` elsewhere.
        seg_positions: int64 ``(n_seg,)``; where the answers' [SEG] tokens are fed in.
        opening: how many ids come before the first question: the same for every conversation about a picture.
        masks: the mask of each of them, in order; phrases: the target phrase of each, or empty.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    seg_positions: np.ndarray
    masks: tuple[np.ndarray, ...]
    phrases: tuple[str, ...]
    opening: int


def encode_conversation(
    conversation: Conversation, tokenizer, image_tokens: int, n_frames: int = 1
) -> EncodedConversation:
    """Spell a conversation about one picture of ``image_tokens`` tokens, or about ``n_frames`` of them.

    The first turn carries the picture; later turns follow after ``<|end|>`` and one newline, as a follow-up does.

    Raises:
        ValueError: if an answer has another number of [SEG] than its turn has masks.
    """
    seg_id = tokenizer.convert_tokens_to_ids("[SEG]")
    image = "\n".join(["<img>" + "<IMG_CONTEXT>" * image_tokens + "</img>"] * n_frames)
    ids: list[int] = []
    labels: list[int] = []
    masks: list[np.ndarray] = []
    phrases: list[str] = []
    for number, turn in enumerate(conversation.turns):
        lead = (image + ("\n" if turn.image_newline else "")) if number == 0 else ""
        opening = "" if number == 0 else "\n"
        prompt = tokenizer.encode(f"{opening}<|user|>\n{lead}{turn.question}<|end|>\n<|assistant|>\n")
        answer = tokenizer.encode(f"{turn.answer}<|end|>")
        if answer.count(seg_id) != len(turn.masks):
            raise ValueError(f"The answer {turn.answer!r} needs {answer.count(seg_id)} masks, not {len(turn.masks)}.")
        ids += prompt + answer
        labels += [IGNORED] * len(prompt) + answer
        masks += turn.masks
        phrases += turn.phrases or ("",) * len(turn.masks)
    input_ids = np.asarray(ids, dtype=np.int64)
    label_ids = np.asarray(labels, dtype=np.int64)
    seg_positions = np.flatnonzero((input_ids == seg_id) & (label_ids == seg_id))
    opening = int(np.flatnonzero(input_ids == tokenizer.convert_tokens_to_ids("</img>"))[-1]) + 1
    return EncodedConversation(input_ids, label_ids, seg_positions, tuple(masks), tuple(phrases), opening)
