# SPDX-License-Identifier: Apache-2.0
"""Text whose phrases are linked to segments, and stay linked while a person edits it. Plain Python, no Qt.

What happens to a linked phrase ("span") when ``removed`` characters at ``start`` are replaced by others:

- a change before it moves it, a change after it leaves it alone;
- a change inside it, or of exactly the whole of it, keeps the link, and the phrase takes the new words;
- letters typed right behind its last letter belong to it ("tumor" -> "tumors"), anything else there does not;
- a change that takes only a part of it away leaves the link on what remains;
- a phrase that is taken away whole loses its link. Its words get the link back where they are put in again (undo, or
  cut and paste), and any text that was there before gets exactly the links that it had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MEMORY = 400
"""Earlier texts that are remembered with their links, for undo and redo."""


@dataclass(frozen=True)
class Span:
    """Characters ``start``..``end`` (end excluded) speak of ``segments``. ``key`` stays the same through edits."""

    key: int
    start: int
    end: int
    segments: tuple[str, ...] = ()


class SpanModel:
    """``text`` and its ``spans``, in text order. Spans are never empty and never reach beyond the text."""

    def __init__(self, text: str = "", spans: Iterable[dict] = ()) -> None:
        self.text = text
        self.spans: tuple[Span, ...] = self._taken(spans)
        self._earlier: dict[str, tuple[Span, ...]] = {}
        self._lost: dict[str, Span] = {}
        self._rewritten: int | None = None
        self._remember()

    def _taken(self, spans: Iterable[dict]) -> tuple[Span, ...]:
        """Links of a report's document; those that do not fit the text or name no segment are left out."""
        made = [
            Span(key, int(item["start"]), int(item["end"]), tuple(item.get("segments", ())))
            for key, item in enumerate(spans)
        ]
        fitting = [span for span in made if 0 <= span.start < span.end <= len(self.text) and span.segments]
        return tuple(sorted(fitting, key=lambda span: (span.start, -span.end)))

    def toList(self) -> list[dict]:
        """The spans as a report's document keeps them."""
        return [
            {
                "start": span.start,
                "end": span.end,
                "text": self.text[span.start : span.end],
                "segments": list(span.segments),
            }
            for span in self.spans
        ]

    def replaceText(self, start: int, removed: int, inserted: str) -> None:
        """Replace ``removed`` characters at ``start`` by ``inserted``; a range that leaves the text is cut to it."""
        start = min(max(start, 0), len(self.text))
        end = min(start + max(removed, 0), len(self.text))
        if start == end and not inserted:
            return
        before, beforeSpans = self.text, self.spans
        self.text = before[:start] + inserted + before[end:]
        if self.text in self._earlier:
            self.spans = self._earlier[self.text]
            self._rewritten = None
            return
        kept = []
        rewritten = None
        for span in beforeSpans:
            moved = self._moved(span, before, start, end, inserted)
            if moved is None:
                self._lost[before[span.start : span.end]] = span
                continue
            kept.append(moved)
            isTypedAnew = bool(inserted) and (span.start, span.end) == (start, end)
            if isTypedAnew or (span.key == self._rewritten and start == end == span.end):
                rewritten = span.key
        self._rewritten = rewritten
        self.spans = tuple(sorted([*kept, *self._found(start, inserted, kept)], key=lambda s: (s.start, -s.end)))
        self._remember()

    def setText(self, text: str, near: int = 0) -> None:
        """Become ``text`` by the smallest change of one stretch; where it is ambiguous, the one nearest ``near``."""
        old, longest = self.text, min(len(self.text), len(text))
        head = 0
        while head < longest and old[head] == text[head]:
            head += 1
        tail = 0
        while tail < longest - head and old[-1 - tail] == text[-1 - tail]:
            tail += 1
        # The change may slide to the left as long as the text is the same: "aa" -> "aaa".
        change = len(text) - len(old)
        while (
            head > near
            and min(len(old), len(text)) - head - tail == 0
            and (old if change < 0 else text)[head - 1] == (old if change < 0 else text)[head - 1 + abs(change)]
        ):
            head, tail = head - 1, tail + 1
        self.replaceText(head, len(old) - tail - head, text[head : len(text) - tail])

    def link(self, start: int, end: int, segments: Iterable[str]) -> None:
        """Let ``start``..``end`` speak of ``segments``; where exactly they do so already, the link is taken away.

        Links to other segments stay, also inside of it; those to the same ones inside of it become this one.
        """
        named = tuple(segments)
        if not 0 <= start < end <= len(self.text) or not named:
            return
        there = [span for span in self.spans if (span.start, span.end, span.segments) == (start, end, named)]
        kept = [s for s in self.spans if not (start <= s.start and s.end <= end and s.segments == named)]
        if not there:
            key = max((span.key for span in (*self.spans, *self._lost.values())), default=-1) + 1
            kept.append(Span(key, start, end, named))
        self.spans = tuple(sorted(kept, key=lambda span: (span.start, -span.end)))
        self._remember()

    def at(self, position: int) -> Span | None:
        """The innermost span that holds the character at ``position``."""
        holding = [span for span in self.spans if span.start <= position < span.end]
        return min(holding, key=lambda span: span.end - span.start, default=None)

    def byKey(self, key: int) -> Span | None:
        """The span with that key."""
        return next((span for span in self.spans if span.key == key), None)

    def of(self, segments: Iterable[str]) -> list[Span]:
        """The spans that speak of any of ``segments``."""
        wanted = set(segments)
        return [span for span in self.spans if wanted.intersection(span.segments)]

    def segments(self) -> list[str]:
        """Every segment that the text speaks of, in text order."""
        return list(dict.fromkeys(one for span in self.spans for one in span.segments))

    def isBoundary(self, position: int) -> bool:
        """Whether a span begins or ends at ``position``."""
        return any(position in (span.start, span.end) for span in self.spans)

    def _moved(self, span: Span, before: str, start: int, end: int, inserted: str) -> Span | None:
        """``span`` after the change; None where nothing of it is left."""
        grown = len(inserted) - (end - start)
        if end < span.start or (end == span.start and start < end):
            return replace(span, start=span.start + grown, end=span.end + grown)
        if start == end == span.start:
            return replace(span, start=span.start + grown, end=span.end + grown)
        if start == end == span.end:
            more = len(inserted) if span.key == self._rewritten else _lettersBehind(before[start - 1], inserted)
            return replace(span, end=span.end + more)
        if start >= span.end:
            return span
        if span.start <= start and end <= span.end:
            moved = replace(span, end=span.end + grown)
            return moved if moved.end > moved.start else None
        if start <= span.start and end >= span.end:
            return None
        if start < span.start:
            first = start + len(inserted)
            return replace(span, start=first, end=first + span.end - end)
        return replace(span, end=start)

    def _found(self, start: int, inserted: str, kept: Sequence[Span]) -> list[Span]:
        """Links that were lost and whose words are in ``inserted``."""
        there = {span.key for span in kept}
        found: list[Span] = []
        for words, span in list(self._lost.items()):
            at = inserted.find(words)
            if at < 0 or span.key in there:
                continue
            first = start + at
            if all(first + len(words) <= other.start or first >= other.end for other in [*kept, *found]):
                found.append(replace(span, start=first, end=first + len(words)))
                del self._lost[words]
        return found

    def _remember(self) -> None:
        self._earlier[self.text] = self.spans
        while len(self._earlier) > MEMORY:
            del self._earlier[next(iter(self._earlier))]


def sentenceAround(text: str, position: int) -> tuple[int, int]:
    """Where the sentence at ``position`` begins and ends (excluded), without the blanks around it.

    Right behind a full stop it is the sentence before.
    """
    if position > 0 and not text[position - 1].isspace():
        position -= 1
    stops = [match.end() for match in re.finditer(r"[.!?](?=\s|$)|\n+", text)]
    first = max((stop for stop in stops if stop <= position), default=0)
    last = min((stop for stop in stops if stop > position), default=len(text))
    inside = text[first:last]
    return first + len(inside) - len(inside.lstrip()), first + len(inside.rstrip())


def _lettersBehind(last: str, inserted: str) -> int:
    """How many letters of ``inserted`` continue the word that ends in ``last``."""
    if not last.isalnum():
        return 0
    count = 0
    while count < len(inserted) and inserted[count].isalnum():
        count += 1
    return count
