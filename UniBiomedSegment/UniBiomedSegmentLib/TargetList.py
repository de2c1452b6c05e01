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
        """Which target ``text`` means in a picture of ``modality`` (None: not known), by the engine's own rules."""
        if not self.targets:
            return Check(text)
        words = _normalised(text)
        whole = [target for target in self.targets if target.phrase.lower() == words]
        if whole:
            return Check(text, whole[0])
        named = [target for target in self.targets if target.name.lower() == words]
        place = ""
        if not named and " in " in words:
            name, place = (part.strip() for part in words.rsplit(" in ", 1))
            named = [target for target in self.targets if target.name.lower() == name]
            words = name if named else words
        if not named:
            return self._unknown(text, words, modality)
        fitting = [target for target in named if _isPlace(target, place)]
        if not place and modality is not None:
            fitting = [target for target in named if modalitiesAgree(target.modality, modality)]
        if not fitting:
            return self._elsewhere(text, named, place or modality or "")
        return self._one(text, fitting, modality)

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

    def _one(self, text: str, fitting: list[Target], modality: str | None) -> Check:
        exact = [target for target in fitting if target.modality == modality] or fitting
        modalities = sorted({baseModality(target.modality) for target in exact})
        if len(modalities) > 1:
            return Check(
                text,
                problem=_('Say in which modality "{name}" is meant.').format(name=text),
                suggestions=tuple(dict.fromkeys(target.phrase for target in exact)),
            )
        sites = {target.site for target in exact}
        if len(sites) > 1:
            # "liver in abdomen" and "liver in liver": the wider site is what a name alone means.
            exact = [target for target in exact if target.site != target.name] or exact
            if len({target.site for target in exact}) > 1:
                return Check(
                    text,
                    problem=_('Say where "{name}" is meant.').format(name=text),
                    suggestions=tuple(target.phrase for target in exact),
                )
        return Check(text, exact[0])

    def _elsewhere(self, text: str, named: list[Target], asked: str) -> Check:
        known = sorted({baseModality(target.modality) for target in named})
        return Check(
            text,
            problem=_('The model does not know "{name}" in {asked}, only in {known}.').format(
                name=named[0].name, asked=asked, known=", ".join(known)
            ),
        )

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


def _isPlace(target: Target, place: str) -> bool:
    site, modality = target.site.lower(), target.modality.lower()
    base = baseModality(target.modality).lower()
    return place in ("", site, modality, base, f"{site} {modality}", f"{site} {base}")


def _rank(words: str, name: str) -> int | None:
    if name.startswith(words):
        return 0
    if f" {words}" in name:
        return 1
    return 2 if words in name else None
