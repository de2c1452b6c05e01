# SPDX-License-Identifier: Apache-2.0
"""Standard codes and colours for the words that the model uses: "left kidney" -> Kidney, Left, in Slicer's colour.

The table is ``terminology.csv``; its ``source`` column says where each code, meaning and colour was checked. Codes are
SNOMED CT (scheme ``SCT``) where there is one, else DICOM (``DCM``) or NCI Thesaurus (``NCIt``), as DICOM PS3.16 uses.
"""

from __future__ import annotations

import colorsys
import csv
import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import parse_modality

SLICER_TYPE_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
SLICER_REGION_CONTEXT = "Anatomic codes - DICOM master list"
ANATOMY_CODE = "123037004"
TISSUE_CODE = "85756007"
ABNORMALITY_CODE = "49755003"

_SPELLINGS = {
    "tumour": "tumor",
    "oesophagus": "esophagus",
    "oesophageal": "esophageal",
    "haemorrhage": "hemorrhage",
    "haematoma": "hematoma",
    "oedema": "edema",
    "grey": "gray",
    "foetal": "fetal",
    "disk": "disc",
    "naevus": "nevus",
    "calcified": "calcification",
}
_IGNORED = {"the", "a", "an", "of", "and", "or", "in"}
_NEGATIONS = frozenset({"no", "not", "without"})


@dataclass(frozen=True)
class Code:
    """One coded word: scheme designator as in DICOM (``SCT``, ``DCM``, ``NCIt``), value and meaning."""

    scheme: str
    value: str
    meaning: str


LATERALITY = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}


@dataclass(frozen=True)
class Term:
    """What a segment is, in codes. ``rgb`` is 0..255; ``known`` is False where the table has no row for the words."""

    target: str
    category: Code
    type: Code
    modifier: Code | None
    region: Code | None
    region_modifier: Code | None
    rgb: tuple[int, int, int]
    known: bool = True
    source: str = ""

    @property
    def code(self) -> str:
        """The type's code value (SNOMED CT unless ``type.scheme`` says otherwise)."""
        return self.type.value

    @property
    def meaning(self) -> str:
        """The type's meaning."""
        return self.type.meaning

    @property
    def color(self) -> tuple[float, float, float]:
        """``rgb`` as three numbers in 0..1."""
        return tuple(value / 255.0 for value in self.rgb)

    @property
    def is_abnormality(self) -> bool:
        """Whether the category is that of morphologically altered structures."""
        return self.category.value == ABNORMALITY_CODE


def lookup(target: str, *, site: str = "", kind: Literal["anatomy", "abnormality"] | None = None) -> Term:
    """The term for ``target``: any case, British or American spelling, plural, "left kidney" or "kidney (left)".

    ``site`` ("liver") makes general words precise ("tumor"); a whole phrase "tumor in liver CT" says it itself. Words
    without a row give a general term, ``known`` False: an altered structure where ``kind`` is "abnormality", else a
    tissue, in a colour that depends on the words only.
    """
    words = _words(target)
    row, words_used, place = _find(words, _words(site))
    if row is None and " in " in target:
        target, _, rest = target.partition(" in ")
        site = _without_modality(rest)
        words = _words(target)
        row, words_used, place = _find(words, _words(site))
    if row is None:
        return _generic(words, kind, _site_code(_words(site)))
    term = row
    if term.is_abnormality and term.region is None:
        term = replace(term, region=_site_code(place or _words(site)))
    sides = [side for side in LATERALITY if side in words and side not in words_used]
    return _with_side(term, LATERALITY[sides[0]]) if len(sides) == 1 else term


def resolve(target: str, code: str | None = None, *, site: str = "") -> Term:
    """``lookup(target)``, with its type replaced by the SNOMED CT ``code`` where one is given."""
    term = lookup(target, site=site)
    if code is None or code == term.type.value:
        return term
    for row in terms():
        if row.type.value == code:
            return replace(row, target=target, rgb=term.rgb if term.known else row.rgb)
    return replace(term, type=Code("SCT", code, target.strip()[:64] or "Tissue"), modifier=None)


@cache
def terms() -> tuple[Term, ...]:
    """Every row of ``terminology.csv``."""
    return tuple(term for term, _ in _table())


def to_slicer_tag(term: Term) -> str:
    """Slicer's terminology entry (value of the segment tag ``TerminologyEntry``).

    Format: developer guide of 3D Slicer, "Segmentations", TerminologyEntry tag.
    """
    parts = [
        SLICER_TYPE_CONTEXT,
        _slicer_code(term.category),
        _slicer_code(term.type),
        _slicer_code(term.modifier),
        SLICER_REGION_CONTEXT,
        _slicer_code(term.region),
        _slicer_code(term.region_modifier),
    ]
    return "~".join(parts)


def _slicer_code(code: Code | None) -> str:
    if code is None:
        return "^^"
    meaning = re.sub(r"[~^|\r\n]+", " ", code.meaning)
    return f"{code.scheme}^{code.value}^{meaning}"


@cache
def _table() -> tuple[tuple[Term, tuple[str, ...]], ...]:
    """Rows as (term, names)."""
    text = resources.files("unibiomed.volumes").joinpath("terminology.csv").read_text(encoding="utf-8")
    rows = []
    for row in csv.DictReader(text.splitlines()):
        term = Term(
            target=row["target"],
            category=Code("SCT", row["category_code"], row["category_meaning"]),
            type=Code(row["type_scheme"], row["type_code"], row["type_meaning"]),
            modifier=_optional(row["modifier_code"], row["modifier_meaning"]),
            region=_optional(row["region_code"], row["region_meaning"]),
            region_modifier=None,
            rgb=(int(row["red"]), int(row["green"]), int(row["blue"])),
            source=row["source"],
        )
        rows.append((term, (row["target"], *filter(None, row["aliases"].split(";")))))
    return tuple(rows)


def _optional(value: str, meaning: str) -> Code | None:
    return Code("SCT", value, meaning) if value else None


@cache
def _index() -> dict[frozenset[str], Term]:
    index: dict[frozenset[str], Term] = {}
    for term, names in _table():
        for name in names:
            index.setdefault(frozenset(_words(name)), term)
    return index


def _words(text: str) -> tuple[str, ...]:
    """Lower-case words in one spelling and number; "X of Y" becomes "Y X"."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    head, of, tail = re.sub(r"[^\w]+|_", " ", plain).partition(" of ")
    found = []
    for word in f"{tail} {head}".split() if of else head.split():
        singular = _singular(_SPELLINGS.get(word, word))
        singular = _SPELLINGS.get(singular, singular)
        if singular not in _IGNORED:
            found.append(singular)
    return tuple(found)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _find(words: tuple[str, ...], site: tuple[str, ...]) -> tuple[Term | None, tuple[str, ...], tuple[str, ...]]:
    """The row for ``words``, the words that named it, and the words before them (a place), if any."""
    index = _index()
    plain = tuple(word for word in words if word not in LATERALITY)
    for attempt in (words, plain):
        for candidate in ((*site, *attempt), attempt) if site else (attempt,):
            term = index.get(frozenset(candidate))
            if term is not None:
                return term, candidate, ()
    if _NEGATIONS.isdisjoint(plain):
        for start in range(max(1, len(plain) - 4), len(plain)):
            term = index.get(frozenset(plain[start:]))
            if term is not None and term.is_abnormality:
                return term, plain[start:], plain[:start]
    return None, (), ()


def _without_modality(rest: str) -> str:
    """ "abdomen CT" -> "abdomen"."""
    site, _, last = rest.strip().rpartition(" ")
    try:
        parse_modality(last)
    except InputError:
        return rest
    return site


def _site_code(site: tuple[str, ...]) -> Code | None:
    if not site:
        return None
    plain = frozenset(word for word in site if word not in LATERALITY)
    term = _index().get(plain)
    return term.type if term is not None and term.category.value == ANATOMY_CODE else None


def _with_side(term: Term, side: Code) -> Term:
    if term.region is not None:
        return replace(term, region_modifier=side)
    if term.modifier is not None or term.is_abnormality:
        return term
    return replace(term, modifier=side)


def _generic(words: tuple[str, ...], kind: str | None, region: Code | None) -> Term:
    name = " ".join(words)
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    rgb = tuple(round(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.65, 0.9))
    if kind == "abnormality":
        category = Code("SCT", ABNORMALITY_CODE, "Morphologically Altered Structure")
        what = Code("SCT", "52988006", "Lesion")
    else:
        category = what = Code("SCT", TISSUE_CODE, "Tissue")
    return Term(name, category, what, None, region, None, rgb, known=False, source="no row")
