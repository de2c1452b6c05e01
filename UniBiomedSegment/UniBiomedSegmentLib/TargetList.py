# SPDX-License-Identifier: Apache-2.0
"""The targets that the loaded model knows: completion, and what to say of a name that it does not know.

The engine has the last word; this list only says the same beforehand, while one types.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _
from UniBiomedSlicerLib.Modality import MODALITIES

_SHOWN = 3


@dataclass(frozen=True)
class Target:
    """One target: ``phrase`` is what the model is asked for, e.g. "liver in abdomen CT"."""

    name: str
    site: str
    modality: str
    kind: str
    phrase: str


@dataclass(frozen=True)
class Check:
    """What is known of a typed name. ``target`` is the one that is meant; else ``problem`` says in one sentence why
    none is, and ``suggestions`` are texts that could stand in its place. Both are empty while no list is known."""

    text: str
    target: Target | None = None
    problem: str = ""
    suggestions: tuple[str, ...] = ()


class TargetList:
    """``entries``: the dictionaries of the engine's capabilities (phrase, name, site, modality, kind)."""

    def __init__(self, entries: Iterable[Mapping[str, Any]] = ()) -> None:
        self.targets = tuple(
            Target(entry["name"], entry["site"], entry["modality"], entry.get("kind", "anatomy"), entry["phrase"])
            for entry in entries
        )

    def __bool__(self) -> bool:
        return bool(self.targets)

    def of(self, modality: str | None) -> tuple[Target, ...]:
        """The targets of a modality; a plain "MRI" agrees with each of its sequences. None: all."""
        return tuple(
            target for target in self.targets if modality is None or modalitiesAgree(target.modality, modality)
        )

    def check(self, text: str, modality: str | None = None) -> Check:
        """Which target ``text`` means in a picture of ``modality`` (None: not known), by the engine's rules: a name, or
        "{name} in {site} {modality}" without either; what the text itself says counts more than ``modality``."""
        if not self.targets:
            return Check(text)
        name, site, said = self._parts(_normalised(text))
        modality = said or modality
        named = [target for target in self.targets if target.name.lower() == name]
        if not named:
            return self._unknown(text, name, modality)
        left = [target for target in named if modality is None or modalitiesAgree(target.modality, modality)]
        if not left:
            return self._elsewhere(text, named, modality)
        placed = [target for target in left if site is None or target.site.lower() == site]
        if not placed:
            return self._elsewhere(text, left, site)
        return self._one(text, [target for target in placed if target.modality == modality] or placed)

    def completions(self, fragment: str, modality: str | None = None) -> list[str]:
        """What can be offered for what has been typed: names that begin with it, then names with a word that does, then
        names that hold it. Where a name alone would not be understood, whole phrases."""
        words = _normalised(fragment)
        ranked: dict[str, tuple[int, str]] = {}
        for target in self.of(modality) or self.targets:
            name = target.name.lower()
            rank = _rank(words, name)
            if rank is None:
                continue
            offer = target.name if self.check(target.name, modality).target else target.phrase
            ranked.setdefault(offer, (rank, offer.lower()))
        return sorted(ranked, key=lambda offer: ranked[offer])

    def _parts(self, words: str) -> tuple[str, str | None, str | None]:
        """Name, site and modality in ``words``; a name that itself holds " in " stays whole."""
        name, found, place = words.rpartition(" in ")
        if not found or any(target.name.lower() == words for target in self.targets):
            return words, None, None
        site, _blank, last = place.rpartition(" ")
        spelled = {word.lower(): word for word in (*MODALITIES, *(target.modality for target in self.targets))}
        if last not in spelled:
            return name, place, None
        return name, site or None, spelled[last]

    def _one(self, text: str, choices: list[Target]) -> Check:
        if len({baseModality(target.modality) for target in choices}) > 1:
            problem = _('Say in which modality "{name}" is meant.').format(name=text)
            return Check(text, problem=problem, suggestions=_phrases(choices))
        if len({target.site for target in choices}) > 1:
            # "liver in abdomen" and "liver in liver": the wider site is what a name alone means.
            choices = [target for target in choices if target.site != target.name] or choices
        if len({target.site for target in choices}) > 1:
            problem = _('Say where "{name}" is meant.').format(name=text)
            return Check(text, problem=problem, suggestions=_phrases(choices))
        return Check(text, choices[0])

    def _elsewhere(self, text: str, named: list[Target], asked: str) -> Check:
        problem = _('The model does not know "{name}" in {asked}, only in {known}.').format(
            name=named[0].name,
            asked=asked,
            known=", ".join(dict.fromkeys(f"{target.site} {target.modality}" for target in named)),
        )
        return Check(text, problem=problem)

    def _unknown(self, text: str, words: str, modality: str | None) -> Check:
        offers = self.completions(words, modality)
        names = {target.name.lower(): target.name for target in self.of(modality) or self.targets}
        for close in difflib.get_close_matches(words, list(names), n=_SHOWN, cutoff=0.6):
            offer = names[close] if self.check(names[close], modality).target else ""
            for more in [offer] if offer else [t.phrase for t in self.targets if t.name.lower() == close]:
                if more not in offers:
                    offers.append(more)
        return Check(
            text,
            problem=_('The model does not know "{name}".').format(name=text),
            suggestions=tuple(offers[:_SHOWN]),
        )


def baseModality(modality: str) -> str:
    """ "MRI" for each of its sequences ("MRI-T1"); every other modality is its own."""
    return "MRI" if modality.startswith("MRI") else modality


def modalitiesAgree(one: str, other: str) -> bool:
    """Whether two modality words may mean the same picture: equal, or one is the other without its sequence."""
    base = baseModality(one)
    return one == other or (base == baseModality(other) and base in (one, other))


def _normalised(text: str) -> str:
    return " ".join(text.split()).rstrip(".").strip().lower()


def _phrases(targets: Iterable[Target]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target.phrase for target in targets))


def _rank(words: str, name: str) -> int | None:
    if name.startswith(words):
        return 0
    if f" {words}" in name:
        return 1
    return 2 if words in name else None
