# SPDX-License-Identifier: Apache-2.0
"""What a user typed, made safe to send: checked, cleaned and escaped, never interpreted."""

from __future__ import annotations

import re
import unicodedata

from unibiomed.errors import InputError
from unibiomed.tasks.protocol import Model
from unibiomed.tasks.templates import IMAGE

MAX_CHARACTERS = 2000


def check_text(text: str, what: str) -> str:
    """``text`` with its white space collapsed; InputError when it is empty, too long or holds control characters.

    ``what`` names it in the sentence ("question", "target"). Tabs and line ends count as blanks; every other control,
    surrogate or unassigned character and the invisible marks that turn writing direction are refused.
    """
    if not isinstance(text, str):
        raise InputError(f"The {what} is not text; type it as words.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The {what} has {len(text):,} characters; shorten it to at most {MAX_CHARACTERS:,}, about a page of text."
        )
    for position, character in enumerate(text):
        if character not in "\t\r\n" and (unicodedata.category(character) in ("Cc", "Cs", "Cn") or _turns(character)):
            raise InputError(
                f"The {what} holds the control character U+{ord(character):04X} at position {position + 1}; remove it "
                "and try again."
            )
    cleaned = re.sub(r"\s+", " ", text).strip()
    if not cleaned:
        raise InputError(f"The {what} is empty; type some words.")
    return cleaned


def user_text(model: Model, text: str, what: str = "question") -> str:
    """The checked text with every special token in it made harmless by the model's own escape.

    ``<image>`` is no token but the place where the picture goes: a user's own one is broken up as well.
    """
    checked = model.escape(check_text(text, what))
    return re.sub(re.escape(IMAGE), "< image>", checked, flags=re.IGNORECASE)


def _turns(character: str) -> bool:
    return character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
