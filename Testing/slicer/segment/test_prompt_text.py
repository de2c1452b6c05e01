# SPDX-License-Identifier: Apache-2.0
"""The prompt line as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from UniBiomedSegmentLib import Prompt


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        (" , ;\n", []),
        ("liver", ["liver"]),
        ("liver, left kidney", ["liver", "left kidney"]),
        ("liver;spleen\naorta\u2028heart\u2029lung", ["liver", "spleen", "aorta", "heart", "lung"]),
        ("liver, Liver,  LIVER ", ["liver"]),
        ("left  kidney, left kidney", ["left  kidney"]),
    ],
)
def test_targets_are_separated_by_commas_semicolons_and_line_breaks_and_named_once(line, expected):
    assert Prompt.names(line) == expected


def test_the_piece_at_the_cursor_is_the_one_that_is_being_typed():
    line = "liver, left kid, aorta"
    assert Prompt.pieceAt(line, len("liver, left kid")).text == "left kid"
    assert Prompt.pieceAt(line, 0).text == "liver"
    assert Prompt.pieceAt(line, len(line)).text == "aorta"
    assert Prompt.pieceAt("liver, ", 7) == Prompt.Piece(7, 7, "")


def test_a_completion_replaces_its_piece_alone():
    line = "liver, left kid, aorta"
    piece = Prompt.pieceAt(line, len("liver, left kid"))
    assert Prompt.replaced(line, piece, "left kidney") == ("liver, left kidney, aorta", len("liver, left kidney"))


@pytest.mark.parametrize(
    ("line", "expected"), [("", "liver"), ("aorta", "aorta, liver"), ("aorta, ", "aorta, liver"), (" ,", "liver")]
)
def test_a_target_from_the_menu_goes_to_the_end(line, expected):
    assert Prompt.appended(line, "liver") == expected


@given(st.text(alphabet="ab ,;\n\u2028", max_size=30), st.integers(0, 30))
def test_every_piece_is_where_it_says_and_every_cursor_is_in_one_or_between(line, cursor):
    cursor = min(cursor, len(line))
    for piece in Prompt.pieces(line):
        assert line[piece.start : piece.end] == piece.text == piece.text.strip()
    at = Prompt.pieceAt(line, cursor)
    assert line[at.start : at.end] == at.text
    assert at.text == "" or at in Prompt.pieces(line)
