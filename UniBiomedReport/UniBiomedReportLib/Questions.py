# SPDX-License-Identifier: Apache-2.0
"""Which questions the model was trained on, offered while typing and recognised when asked. Plain Python.

The model was trained on one question about a part of the body: whether there is an abnormality in it. Typed in plain
words ("Is there an abnormality in the liver?") it is sent as that question; any other wording is sent as it is, and
the engine says whether the answer can be relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PATTERN = re.compile(
    r"^\s*(?:is|are|do|does|can|could)?\s*(?:there|you see|we see)?\s*(?:an?|any|some)?\s*(?:signs? of )?(?:an? |any )?"
    r"(?:abnormality|abnormalities|abnormal findings?|lesions?|something wrong|pathology)\s+(?:visible |seen )?"
    r"(?:in|of|on|with|at)\s+(?:the\s+)?(?P<part>[\w \-]+?)\s*\??\s*$",
    re.IGNORECASE,
)


def partsOfBody(targets: Iterable[Mapping[str, Any]], modality: str | None = None) -> list[str]:
    """Return what can be asked about: anatomy and sites of the engine's targets, of one modality if given."""
    base = (modality or "").split("-")[0]
    found: dict[str, None] = {}
    for target in targets:
        if base and str(target.get("modality", "")).split("-")[0] not in ("", base):
            continue
        if target.get("kind") == "anatomy":
            found[str(target["name"])] = None
        if target.get("site"):
            found[str(target["site"])] = None
    return sorted(found)


def suggestions(targets: Iterable[Mapping[str, Any]], modality: str | None = None) -> list[str]:
    """Return the trained questions as a person would ask them."""
    return [f"Is there an abnormality in the {part}?" for part in partsOfBody(targets, modality)]


def parameters(question: str, targets: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the engine's arguments for ``question``: {"anatomy": part} for a trained one, else {"question": text}."""
    asked = " ".join(question.split())
    match = PATTERN.match(asked)
    if match is not None:
        known = {part.lower(): part for part in partsOfBody(targets)}
        part = known.get(" ".join(match["part"].lower().split()))
        if part is not None:
            return {"anatomy": part}
    return {"question": asked}
