# SPDX-License-Identifier: Apache-2.0
"""What picture is this? Modality, body parts and the anatomy in view, read from the model's own captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from unibiomed.tasks.answers import Caption, parse_caption
from unibiomed.tasks.catalogue import Catalogue, Target, agree
from unibiomed.tasks.frames import CT_WINDOWS, Frames, site_window
from unibiomed.tasks.phrases import Phrase
from unibiomed.tasks.presence import Thresholds, can_deny, observe, passes_alone
from unibiomed.tasks.progress import Run
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.tasks.reading import read_slices
from unibiomed.tasks.templates import describe_prompt, segment_prompt
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.windows import WINDOWS, default_window

SURVEYED = 24
"""Slices whose caption is read: evenly spread, the middle of each part."""
STAGE = "look"

# How free captions name the modality; in this order of trust.
_SIGNS = (
    (r"\b(ct|computed tomograph\w*)\b", "CT"),
    (r"\b(mri|magnetic resonance)\b", "MRI"),
    (r"\b(x-?ray|radiograph\w*)\b", "X-Ray"),
    (r"\b(ultraso\w+|echocardiogra\w+)\b", "ultrasound"),
    (r"\b(fundus|retinal photograph\w*)\b", "fundus"),
    (r"\b(oct|optical coherence)\b", "OCT"),
    (r"\b(endoscop\w+|colonoscop\w+)\b", "endoscope"),
    (r"\b(derm\w*scop\w+)\b", "dermoscopy"),
    (r"\b(mammogra\w+)\b", "mammography"),
    (r"\b(\w*patholog\w+|histolog\w+|h&e)\b", "pathology"),
)


@dataclass(frozen=True, eq=False)
class Part:
    """Slices that show one site, in one window; ``anatomy`` with the slices whose caption names it."""

    site: str | None
    frames: Frames
    slices: tuple[int, ...]
    anatomy: dict[Target, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Survey:
    """``modality`` and the likeliest ``caption`` that agrees with it; ``step``: distance of the slices looked at."""

    modality: str | None
    parts: tuple[Part, ...]
    caption: str
    step: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Look:
    """One caption: where, in which window, and how likely the model found it (mean log-probability of a token).

    ``support``: the share of the structures named that are there when asked for by name; 1 where none was asked for.
    """

    slice: int
    frames: Frames
    caption: Caption
    likelihood: float
    support: float = 1.0


def survey(model: Model, known: Catalogue, frames: Frames, run: Run, *, window_given: bool) -> Survey:
    """Read the captions of up to 24 slices of ``frames`` and divide the volume into its body parts.

    CT in Hounsfield units whose window and site are not given is looked at in the window of each site that the model
    knows in CT; of each slice that caption counts whose site belongs to the window it was read in, whose structures are
    there by name (a window that shows nothing of a site makes the words guess), and which is the likeliest.
    What ``frames`` already says (modality, site) is kept; a caption that contradicts the modality is noted.
    """
    sampled = frames.sample(SURVEYED)
    looks = _read(model, known, _windows(known, frames, window_given), sampled, run)
    modality, notes = _modality(frames.modality, looks)
    sites = _sites(frames.site, looks, {target.site for target in known.of(modality)})
    by_site: dict[str | None, list[int]] = {}
    for index in range(len(frames)):
        nearest = min(range(len(sampled)), key=lambda at: abs(sampled[at] - index))
        by_site.setdefault(sites[nearest], []).append(index)
    parts = []
    for site, slices in by_site.items():
        window = frames.window if window_given else site_window(frames.volume, modality, site)
        own = replace(frames, window=window, modality=modality, site=site)
        inside = [look for look, place in zip(looks, sites, strict=True) if place == site]
        parts.append(Part(site, own, tuple(slices), _anatomy(known, inside, modality, site)))
    agreeing = [
        look for look in looks if not (modality and look.caption.modality) or agree(look.caption.modality, modality)
    ]
    best = max(agreeing, key=lambda look: look.likelihood, default=None)
    step = max(1, -(-len(frames) // len(sampled)))
    return Survey(modality, tuple(parts), best.caption.text if best else "", step, tuple(notes))


def complete(caption: Caption, known: Catalogue) -> Caption:
    """A caption in free words, with the first modality and the first of the model's sites that it mentions."""
    words = caption.text.lower()
    modality = caption.modality or next((word for sign, word in _SIGNS if re.search(sign, words)), None)
    places = {target.site for target in known.of(modality)} if caption.site is None else set()
    at = {place: found.start() for place in places if (found := re.search(rf"\b{re.escape(place.lower())}\b", words))}
    return replace(caption, modality=modality, site=caption.site or min(at, key=at.get, default=None))


def mean_logprob(prediction: PredictionLike) -> float:
    """Mean log-probability of an answer's tokens; 0 where the model gives none."""
    values = np.asarray(prediction.token_logprobs, dtype=float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else 0.0


def _windows(known: Catalogue, frames: Frames, window_given: bool) -> list[Frames]:
    """``frames``, and where it may be CT in Hounsfield units once for each window of the sites that the model knows."""
    if window_given or frames.site is not None:
        return [frames]
    may_be_ct = frames.modality is None or base_modality(frames.modality) == "CT"
    usual = default_window("CT", frames.volume)
    if not may_be_ct or usual.kind != "width/level":
        return [frames]
    sites = {target.site for target in known.of("CT")}
    names = [usual.name, *(CT_WINDOWS[site] for site in sorted(sites) if site in CT_WINDOWS)]
    windows = dict.fromkeys([frames.window, *(WINDOWS[name] for name in names)])
    return [replace(frames, window=window) for window in windows]


def _read(model: Model, known: Catalogue, windows: Sequence[Frames], sampled: Sequence[int], run: Run) -> list[_Look]:
    """The caption that counts for each sampled slice."""
    seen: dict[int, list[tuple[bool, _Look]]] = {}
    total, done = len(sampled) * len(windows), 0
    run.tell(STAGE, 0, total)
    for frames in windows:
        for index, (prediction,) in read_slices(model, frames, sampled, [describe_prompt()], run):
            caption = parse_caption(prediction.text)
            if known.published:
                caption = complete(caption, known)
            look = _Look(index, frames, caption, mean_logprob(prediction))
            word = frames.modality or caption.modality
            fits = caption.site is not None and site_window(frames.volume, word, caption.site) == frames.window
            seen.setdefault(index, []).append((fits, look))
            done += 1
            run.tell(STAGE, done, total, text=look.caption.text)
    if len(windows) > 1 and can_deny(model):
        for number, frames in enumerate(windows):
            for index, look in _supported(model, known, frames, {at: seen[at][number][1] for at in sampled}, run):
                seen[index][number] = (seen[index][number][0], look)
    rank = {index: [(fits, look.support, look.likelihood) for fits, look in row] for index, row in seen.items()}
    return [seen[index][rank[index].index(max(rank[index]))][1] for index in sampled]


def _supported(
    model: Model, known: Catalogue, frames: Frames, looks: dict[int, _Look], run: Run
) -> Iterator[tuple[int, _Look]]:
    """The looks of one window, each with the share of its structures that are there when they are asked for by name."""
    asked: dict[int, list[Target]] = {}
    for index, look in looks.items():
        modality, site = frames.modality or look.caption.modality, look.caption.site
        found = [known.find(Phrase(name), modality, site) for name in look.caption.anatomy]
        asked[index] = [target for target in found if target is not None]
    slices = [index for index, targets in asked.items() if targets]
    stream = read_slices(
        model, frames, slices, lambda index: [segment_prompt(target.phrase) for target in asked[index]], run
    )
    for index, predictions in stream:
        there = [
            len(prediction.masks) > 0
            and not passes_alone(observe(prediction, 0, index), Thresholds.of(model, target.phrase))
            for target, prediction in zip(asked[index], predictions, strict=True)
        ]
        yield index, replace(looks[index], support=sum(there) / len(there))


def _modality(given: str | None, looks: Sequence[_Look]) -> tuple[str | None, list[str]]:
    """The modality: the given one (with the sequence that the captions add), else what most captions say."""
    votes = Counter(look.caption.modality for look in looks if look.caption.modality)
    if not votes:
        if given is None:
            return None, ["The model named no modality; say it for a better reading."]
        return given, []
    said, count = votes.most_common(1)[0]
    if given is None:
        return said, [f"Modality {said} was read from the picture ({count} of {len(looks)} captions)."]
    if agree(said, given):
        return (said if given == base_modality(said) else given), []
    return given, [f"The model took the picture for {said}; it was read as {given}, as the file or you say."]


def _sites(given: str | None, looks: Sequence[_Look], possible: set[str]) -> list[str | None]:
    """The site on each sampled slice; a slice that disagrees with two neighbours that agree follows them.

    A site that the modality is not read at counts as not said; where none is left, the modality's only site is taken.
    """
    if given is not None:
        return [given] * len(looks)
    said = [look.caption.site if look.caption.site in possible else None for look in looks]
    common = Counter(site for site in said if site).most_common(1)
    usual = common[0][0] if common else next(iter(possible)) if len(possible) == 1 else None
    filled = [site or usual for site in said]
    for at in range(1, len(filled) - 1):
        if filled[at - 1] == filled[at + 1] != filled[at]:
            filled[at] = filled[at - 1]
    if len(filled) > 2:
        filled[0] = filled[0] if filled[0] in filled[1:] else filled[1]
        filled[-1] = filled[-1] if filled[-1] in filled[:-1] else filled[-2]
    return filled


def _anatomy(
    known: Catalogue, looks: Sequence[_Look], modality: str | None, site: str | None
) -> dict[Target, tuple[int, ...]]:
    """Structures that the captions name, each with its slices; where they name none, all of the site's, everywhere."""
    named: dict[Target, list[int]] = {}
    for look in looks:
        for name in look.caption.anatomy:
            target = known.find(Phrase(name), modality, site)
            if target is not None and target.kind == "anatomy":
                named.setdefault(target, []).append(look.slice)
    if not named and site is not None and modality is not None:
        everywhere = [look.slice for look in looks]
        named = dict.fromkeys(known.of(modality, site, "anatomy"), everywhere)
    return {target: tuple(slices) for target, slices in named.items()}
