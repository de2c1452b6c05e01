# SPDX-License-Identifier: Apache-2.0
"""The targets that a model was trained on, and how a user's words find one of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from unibiomed.errors import InputError
from unibiomed.tasks.phrases import Phrase, make_phrase, normalise, parse_phrase
from unibiomed.tasks.prompts import check_text
from unibiomed.volumes.modalities import base_modality, parse_modality

LISTED = 40


@dataclass(frozen=True)
class Target:
    """One thing that the model can be asked for."""

    name: str
    site: str
    modality: str
    kind: Literal["anatomy", "abnormality"]

    @property
    def phrase(self) -> str:
        """The trained phrase, e.g. ``liver in abdomen CT``."""
        return make_phrase(self.name, self.site, self.modality)


@dataclass(frozen=True)
class Catalogue:
    """All targets of a model. ``published`` is true for the published model's list, whose spellings are not certain."""

    targets: tuple[Target, ...]
    published: bool = False

    def of(self, modality: str | None = None, site: str | None = None, kind: str | None = None) -> tuple[Target, ...]:
        """The targets that agree with what is given; a plain "MRI" agrees with each of its sequences."""
        return tuple(
            target
            for target in self.targets
            if (modality is None or agree(target.modality, modality))
            and (site is None or target.site.lower() == site.lower())
            and (kind is None or target.kind == kind)
        )

    def resolve(self, text: str, modality: str | None = None, site: str | None = None) -> Target:
        """The target that ``text`` names: a name ("liver") or a whole phrase ("liver in abdomen CT"), in any case.

        ``modality`` and ``site`` narrow it down; a phrase's own words win. InputError names close matches and the
        model's list for an unknown target, and the choices where several remain.
        """
        words = check_text(text, "target")
        wanted = self._wanted(words)
        site = wanted.site or (normalise(site) if site else None)
        modality = wanted.modality or (parse_modality(modality) if modality else None)
        named = [target for target in self.targets if target.name.lower() == wanted.target]
        if not named:
            raise InputError(self._unknown(words, modality, site))
        left = [target for target in named if modality is None or agree(target.modality, modality)]
        if not left:
            known = _either(sorted({target.modality for target in named}))
            raise InputError(
                f'"{wanted.target}" is not a target of this model in {modality}, only in {known}; name another target '
                "or the right modality."
            )
        placed = [target for target in left if site is None or target.site.lower() == site]
        if not placed:
            known = _either(sorted({target.site for target in left}))
            raise InputError(f'"{wanted.target}" is not a target of this model in the {site}, only in the {known}.')
        exact = [target for target in placed if target.modality == modality]
        return self._one(words, exact or placed)

    def find(self, phrase: Phrase, modality: str | None = None, site: str | None = None) -> Target | None:
        """The target that the model itself named in an answer, or None; where several fit, the first."""
        modality, site = phrase.modality or modality, phrase.site or site
        named = [target for target in self.of(modality) if target.name.lower() == phrase.target]
        placed = [target for target in named if site is None or target.site.lower() == site.lower()]
        exact = [target for target in placed or named if target.modality == modality]
        return next(iter(exact or placed or named), None)

    def _wanted(self, words: str) -> Phrase:
        """The phrase in ``words``; a name that itself holds " in " stays whole."""
        name = normalise(words)
        if any(target.name.lower() == name for target in self.targets):
            return Phrase(name)
        return parse_phrase(words)

    def _one(self, words: str, choices: list[Target]) -> Target:
        bases = {base_modality(target.modality) for target in choices}
        sites = {target.site for target in choices}
        if len(bases) > 1:
            raise InputError(f'Say which modality is meant for "{words}": {_either(sorted(bases))}.')
        if len(sites) > 1 and (wider := [target for target in choices if target.site != target.name]):
            # "liver in abdomen" and "liver in liver": the wider site is what a name alone means.
            choices, sites = wider, {target.site for target in wider}
        if len(sites) > 1:
            raise InputError(f'Say which site is meant for "{words}": {_either(sorted(sites))}.')
        return choices[0]

    def _unknown(self, words: str, modality: str | None, site: str | None) -> str:
        pool = self.of(modality, site) or self.of(modality) or self.targets
        names = sorted({target.name for target in pool})
        shown = words if len(words) <= 80 else words[:80] + "..."
        close = difflib.get_close_matches(normalise(words), names, n=3, cutoff=0.6)
        guess = f"did you mean {_either(close)}? " if close else ""
        where = f" in {modality}" if modality and self.of(modality) else ""
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        return (
            f'"{shown}" is not a target of this model; {guess}It knows{where}: {", ".join(names[:LISTED])}{more}.'
            if guess
            else f'"{shown}" is not a target of this model; it knows{where}: {", ".join(names[:LISTED])}{more}.'
        )


def agree(trained: str, asked: str) -> bool:
    """Whether two modality words may mean the same picture: equal, or one is the other's base."""
    return trained == asked or (
        base_modality(trained) == base_modality(asked) and base_modality(asked) in (asked, trained)
    )


def catalogue_of(model: Any) -> Catalogue:
    """The targets in the model's own ``unibiomed.json``; for a model without one the published model's list."""
    entries = getattr(model.info, "targets", None)
    if entries:
        return Catalogue(tuple(_target(entry) for entry in entries))
    return published()


def published() -> Catalogue:
    """The published model's targets, from its training folders (tasks reference, section 4)."""
    text = files("unibiomed.tasks").joinpath("published_targets.json").read_text(encoding="utf-8")
    return Catalogue(tuple(_target(entry) for entry in json.loads(text)["targets"]), published=True)


def _target(entry: Mapping[str, str] | Any) -> Target:
    read = entry.__getitem__ if isinstance(entry, Mapping) else lambda name: getattr(entry, name)
    return Target(read("name"), read("site"), read("modality"), read("kind"))


def _either(words: Iterable[str]) -> str:
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
