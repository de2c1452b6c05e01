# SPDX-License-Identifier: Apache-2.0
"""Guesses answers before they are decoded: answers to one kind of prompt are nearly the same text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from unibiomed.model.generation import Drafter

_REMEMBERED = 32
_LONGEST_MATCH, _SHORTEST_MATCH = 4, 2
_LOOKED_UP = 12


class AnswerMemory:
    """The latest answers, most recent last, as token ids by the question they answered."""

    def __init__(self) -> None:
        """Start without answers."""
        self._answers: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def remember(self, question: str, token_ids: Sequence[int]) -> None:
        """Keep an answer; the oldest is forgotten beyond a few dozen."""
        self._answers[question] = tuple(token_ids)
        self._answers.move_to_end(question)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    def drafter(self, question: str, guess: Sequence[int] | None = None) -> Drafter:
        """Guess first ``guess`` (if given), then what this question was answered last, then the latest answer."""
        recent = list(reversed(self._answers.values()))
        same = self._answers.get(question)
        first = [tuple(answer) for answer in (guess, same) if answer]
        return Lookup(tuple(dict.fromkeys([*first, *recent])))


class Lookup:
    """Continues an answer as known texts do: the whole text while it agrees, else what followed the last few tokens."""

    def __init__(self, texts: Sequence[tuple[int, ...]]) -> None:
        """``texts`` in order of preference."""
        self._texts = texts

    def __call__(self, generated: Sequence[int]) -> Sequence[int]:
        """The tokens to try after ``generated``; empty where no text helps."""
        so_far = tuple(generated)
        for text in self._texts:
            if len(text) > len(so_far) and text[: len(so_far)] == so_far:
                return text[len(so_far) :]
        for length in range(min(_LONGEST_MATCH, len(so_far)), _SHORTEST_MATCH - 1, -1):
            tail = so_far[-length:]
            for text in self._texts:
                for start in range(len(text) - length):
                    if text[start : start + length] == tail:
                        return text[start + length : start + length + _LOOKED_UP]
        return ()
