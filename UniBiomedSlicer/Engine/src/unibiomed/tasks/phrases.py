# SPDX-License-Identifier: Apache-2.0
"""The phrase that names a target to the model: "{target} in {site} {modality}", lower case, no full stop."""

from __future__ import annotations

import re
from dataclasses import dataclass

from unibiomed.errors import InputError
from unibiomed.volumes.modalities import MODALITIES, parse_modality

NO_FINDINGS = ("no findings", "no finding", "no abnormality", "nofindings")


@dataclass(frozen=True)
class Phrase:
    """``liver`` in ``abdomen`` ``CT``; site and modality are None where the text did not say them."""

    target: str
    site: str | None = None
    modality: str | None = None

    @property
    def text(self) -> str:
        """The phrase as the model was trained on it."""
        return make_phrase(self.target, self.site, self.modality)


def make_phrase(target: str, site: str | None, modality: str | None) -> str:
    """``{target} in {site} {modality}`` without the parts that are unknown; the modality keeps its spelling."""
    tail = " ".join(part for part in (site, modality) if part)
    return f"{target} in {tail}" if tail else target


def normalise(text: str) -> str:
    """Lower case, single blanks, no full stop at the end: what training does to every expression."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".").strip().lower()


def parse_phrase(text: str) -> Phrase:
    """Take a phrase apart, whatever its case: the last " in " divides, the last word is the modality if it is one."""
    words = normalise(text)
    target, found, place = words.rpartition(" in ")
    if not found:
        return Phrase(words)
    site, _, last = place.rpartition(" ")
    modality = _modality(last)
    if modality is None:
        return Phrase(target, place)
    return Phrase(target, site or None, modality)


def is_nothing(target: str) -> bool:
    """Whether an answer's name says that there is no abnormality."""
    return normalise(target).startswith(NO_FINDINGS)


def _modality(word: str) -> str | None:
    """The modality that ``word`` spells exactly as a trained phrase does (case aside); None for any other word."""
    spelled = {known.lower() for known in MODALITIES}
    if word not in spelled and not word.startswith("mri-"):
        return None
    try:
        return parse_modality(word)
    except InputError:
        return None
