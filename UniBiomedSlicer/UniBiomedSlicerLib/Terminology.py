# SPDX-License-Identifier: Apache-2.0
"""What a segment is in codes: Slicer's terminology entry, from the engine, else Slicer's own, else general."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import slicer

TYPE_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
_TISSUE = "SCT^85756007^Tissue"
_ALTERED = "SCT^49755003^Morphologically Altered Structure"
_LESION = "SCT^52988006^Lesion"
_SIDES = {"left": "SCT^7771000^Left", "right": "SCT^24028007^Right"}
_NONE = "^^"


class Terminology:
    """Looks phrases up. ``targets`` are those of the engine's capabilities; each may carry ``terminology`` (an entry
    as Slicer writes it) and ``rgb`` (0..255)."""

    def __init__(self, targets: Iterable[Mapping[str, Any]] = ()) -> None:
        self._phrases: dict[str, Mapping[str, Any]] = {}
        self._names: dict[str, Mapping[str, Any]] = {}
        for target in targets:
            self._phrases.setdefault(_plain(target.get("phrase", "")), target)
            self._names.setdefault(_plain(target.get("name", "")), target)

    def target(self, phrase: str, name: str = "") -> Mapping[str, Any]:
        """Return the engine's target of this phrase, else of this name, else {}."""
        return self._phrases.get(_plain(phrase)) or self._names.get(_plain(name)) or {}

    def color(self, phrase: str, name: str = "") -> tuple[int, int, int] | None:
        """Return the usual colour, RGB 0..255, where the engine named one."""
        rgb = self.target(phrase, name).get("rgb")
        return tuple(int(value) for value in rgb) if rgb and len(rgb) == 3 else None

    def entry(self, phrase: str, name: str = "", kind: str = "unknown") -> str:
        """Return the terminology entry for the segment tag ``TerminologyEntry``; never empty."""
        given = self.target(phrase, name).get("terminology")
        if given:
            return str(given)
        words = _plain(name or phrase.partition(" in ")[0])
        return _slicersOwn(words) or generalEntry(words, kind)


def generalEntry(words: str, kind: str) -> str:
    """Return a tissue, or for an abnormality a lesion, with the side that the words name."""
    sides = [code for side, code in _SIDES.items() if side in words.split()]
    side = sides[0] if len(sides) == 1 else _NONE
    isAltered = kind == "abnormality"
    category, what = (_ALTERED, _LESION) if isAltered else (_TISSUE, _TISSUE)
    modifier = _NONE if isAltered else side
    return "~".join((TYPE_CONTEXT, category, what, modifier, REGION_CONTEXT, _NONE, _NONE))


def readEntry(entry: str) -> dict[str, tuple[str, str, str]]:
    """Return the parts of an entry that are there: category, type, typeModifier, region, regionModifier, each as
    (scheme, value, meaning)."""
    fields = entry.split("~")
    names = {1: "category", 2: "type", 3: "typeModifier", 5: "region", 6: "regionModifier"}
    parts = {name: tuple(fields[place].split("^")) for place, name in names.items() if place < len(fields)}
    return {name: part for name, part in parts.items() if len(part) == 3 and part[1]}


def _slicersOwn(words: str) -> str:
    """What Slicer's terminologies have under this label ("left_kidney", "liver")."""
    module = getattr(slicer.modules, "terminologies", None) if hasattr(slicer, "modules") else None
    logic = module.logic() if module is not None else None
    if logic is None:
        return ""
    # Asked first where Slicer has the question: looking into a context that is not there is logged as an error.
    isLoaded = getattr(logic, "IsTerminologyContextLoaded", None)
    if isLoaded is not None and not isLoaded(TYPE_CONTEXT):
        return ""
    for label in (words, words.replace(" ", "_")):
        found = slicer.vtkSlicerTerminologyEntry()
        if logic.FindTypeInTerminologyBy3dSlicerLabel(TYPE_CONTEXT, label, found):
            return logic.SerializeTerminologyEntry(found)
    return ""


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
