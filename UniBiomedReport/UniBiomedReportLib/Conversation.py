# SPDX-License-Identifier: Apache-2.0
"""Questions and answers about one slice, one after the other, as one text with links.

The text of the report is the user's to edit; a new answer is put behind whatever stands there. What the model is sent
as history is its own record, which no edit changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from slicer.i18n import tr as _


@dataclass(frozen=True)
class Turn:
    """One question and its answer as they were given."""

    question: str
    text: str
    offTemplate: bool = False
    nothingFound: bool = False


@dataclass
class Conversation:
    """``axis`` and ``slice``: what it is about; ``history``: what the engine wants back with the next question;
    ``generated``: the text as it would be without any edit."""

    axis: str = "axial"
    slice: int = 0
    history: str = ""
    generated: str = ""
    turns: list[Turn] = field(default_factory=list)

    @property
    def hasUnreliable(self) -> bool:
        """Whether any answer is to a question off the model's training."""
        return any(turn.offTemplate for turn in self.turns)

    def add(
        self,
        question: str,
        result: Mapping[str, Any],
        segmentIds: Mapping[str, str],
        text: str = "",
        spans: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[str, list[dict[str, Any]]]:
        """Take up an answer (a result of type "answer") and return the new text and spans.

        ``text`` and ``spans`` are the conversation so far as it stands, edits included; ``segmentIds`` is {result
        segment id: MRML segment id}.
        """
        turn = Turn(question, str(result["text"]), bool(result.get("off_template")), bool(result.get("nothing_found")))
        self.turns.append(turn)
        self.history = str(result.get("history", ""))
        self.slice = int(result.get("slice", self.slice))
        self.axis = str(result.get("provenance", {}).get("axis", self.axis))
        block, start = turnText(turn)
        gap = "\n\n" if text.strip() else ""
        before = text.rstrip() if gap else ""
        offset = len(before) + len(gap) + start
        # Blanks cut from the end of the text may have been part of a phrase.
        kept = [{**dict(span), "end": min(int(span["end"]), len(before))} for span in spans]
        kept = [span for span in kept if span["start"] < span["end"]]
        for span in result.get("spans", ()):
            ids = [segmentIds[one] for one in span.get("segments", ()) if one in segmentIds]
            if ids:
                first, last = offset + int(span["start"]), offset + int(span["end"])
                kept.append(
                    {"start": first, "end": last, "text": turn.text[span["start"] : span["end"]], "segments": ids}
                )
        self.generated = self.generated.rstrip() + ("\n\n" if self.generated.strip() else "") + block
        return before + gap + block, kept

    def toJson(self) -> dict[str, Any]:
        """As it is kept with the report."""
        return asdict(self)

    @classmethod
    def fromJson(cls, values: Mapping[str, Any]) -> Conversation:
        """Read back what :meth:`toJson` gave; fields that are missing or of another kind get their defaults."""
        turns = [
            Turn(str(item.get("question", "")), str(item.get("text", "")), bool(item.get("offTemplate")),
                 bool(item.get("nothingFound")))
            for item in values.get("turns", ())
            if isinstance(item, Mapping)
        ]  # fmt: skip
        return cls(
            axis=str(values.get("axis", "axial")),
            slice=int(values.get("slice", 0)),
            history=str(values.get("history", "")),
            generated=str(values.get("generated", "")),
            turns=turns,
        )


def turnText(turn: Turn) -> tuple[str, int]:
    """Return one question and its answer as text, and where the answer's own words begin in it."""
    head = _("Q: {question}").format(question=turn.question) + "\n" + _("A: ")
    mark = _(" [unreliable: not a question that the model was trained on]") if turn.offTemplate else ""
    return f"{head}{turn.text}{mark}", len(head)
