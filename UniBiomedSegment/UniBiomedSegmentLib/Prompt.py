# SPDX-License-Identifier: Apache-2.0
"""The prompt line as text: which targets it names, and the piece that the cursor is in."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A pasted list keeps its line breaks inside a line edit, in one of several spellings.
_SEPARATORS = ",;\n\r\u2028\u2029"
_PIECE = re.compile(f"[^{_SEPARATORS}]*")


@dataclass(frozen=True)
class Piece:
    """What stands between two separators: ``text`` without the blanks around it, at ``start``..``end`` of the line."""

    start: int
    end: int
    text: str


def pieces(line: str) -> list[Piece]:
    """The pieces of ``line`` that are not blank, in order."""
    found = []
    for match in _PIECE.finditer(line):
        text = match.group().strip()
        if text:
            start = match.start() + match.group().index(text)
            found.append(Piece(start, start + len(text), text))
    return found


def names(line: str) -> list[str]:
    """The targets that ``line`` names, each once, as they were typed first."""
    first: dict[str, str] = {}
    for piece in pieces(line):
        first.setdefault(" ".join(piece.text.casefold().split()), piece.text)
    return list(first.values())


def pieceAt(line: str, cursor: int) -> Piece:
    """The piece that the cursor is in or behind; an empty one where it stands between separators and blanks."""
    start = max((line.rfind(mark, 0, cursor) for mark in _SEPARATORS), default=-1) + 1
    ends = [place for mark in _SEPARATORS if (place := line.find(mark, cursor)) >= 0]
    end = min(ends, default=len(line))
    text = line[start:end].strip()
    if not text:
        return Piece(cursor, cursor, "")
    start = line.index(text, start)
    return Piece(start, start + len(text), text)


def replaced(line: str, piece: Piece, text: str) -> tuple[str, int]:
    """``line`` with ``text`` in the place of ``piece``, and where the cursor belongs then."""
    return line[: piece.start] + text + line[piece.end :], piece.start + len(text)


def appended(line: str, text: str) -> str:
    """``line`` with one more target at its end."""
    kept = line.rstrip(_SEPARATORS + " \t")
    return f"{kept}, {text}" if kept.strip() else text
