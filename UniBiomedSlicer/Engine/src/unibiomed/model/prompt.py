# SPDX-License-Identifier: Apache-2.0
"""The prompt string, its ids, and which visual row stands at each ``<IMG_CONTEXT>`` (specification §3, §4, §8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from unibiomed.errors import InputError

PLACEHOLDER = "<image>"
IMG_START, IMG_END, CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"
TURN_END = "<|end|>"
_TURN_MARKS = ("<|user|>", "<|assistant|>", "<|system|>", TURN_END)


@dataclass(frozen=True)
class VisualLayout:
    """What the picture part of a prompt consists of.

    ``tokens`` has one number of ``<IMG_CONTEXT>`` a pair of brackets: one entry for an image (all its tiles), one a
    frame for a video. ``regions`` (n, g, g) bool marks cells of the last tile, g*g being the rows of one tile.
    """

    tokens: tuple[int, ...]
    regions: np.ndarray | None = None

    @property
    def rows(self) -> list[int]:
        """Index of the visual row at each ``<IMG_CONTEXT>``: all tiles in order, then those that regions repeat."""
        total = sum(self.tokens)
        order = list(range(total))
        if self.regions is not None:
            last_tile = total - self.regions[0].size
            order += [last_tile + int(cell) for region in self.regions for cell in np.flatnonzero(region)]
        return order

    def text(self) -> str:
        """The brackets and their tokens, then the sentence that names the regions."""
        picture = "\n".join(f"{IMG_START}{CONTEXT * count}{IMG_END}" for count in self.tokens)
        if self.regions is None:
            return picture
        named = ", ".join(f"region{i + 1}<vp>{CONTEXT * int(r.sum())}</vp>" for i, r in enumerate(self.regions))
        return f"{picture}\nThere are {len(self.regions)} part regions in the picture: {named}.\n"


@dataclass(frozen=True)
class Prompt:
    """A prompt ready for the language model.

    ``signature`` are the ids with every ``<IMG_CONTEXT>`` replaced by ``-1 - row``: equal signatures over the same
    picture mean equal embeddings, which is what makes a prefix re-usable.
    """

    text: str
    ids: tuple[int, ...]
    rows: tuple[int, ...]
    signature: tuple[int, ...]

    @property
    def picture_end(self) -> int:
        """Number of leading ids up to and with the token that closes the last picture; 0 without a picture."""
        last = max((i for i, s in enumerate(self.signature) if s < 0), default=-2)
        return last + 2


def build_prompt(
    tokenizer: PreTrainedTokenizerBase, text: str, history: str, visual: VisualLayout | None, *, limit: int
) -> Prompt:
    """Expand ``<image>``, wrap the turn, encode in one call; raises InputError where text and picture do not fit.

    ``limit`` is the largest number of tokens that the language model takes.
    """
    body = _expanded(text, history, visual)
    full = f"{history}<|user|>\n{body}{TURN_END}\n<|assistant|>\n"
    ids = tokenizer.encode(full, add_special_tokens=False)
    if len(ids) >= limit:
        raise InputError(f"The prompt has {len(ids)} tokens; the model takes at most {limit - 1}, so shorten the text.")
    context = tokenizer.convert_tokens_to_ids(CONTEXT)
    rows = tuple(visual.rows) if visual is not None else ()
    places = [i for i, token in enumerate(ids) if token == context]
    if visual is not None and len(places) != len(rows):
        raise InputError(
            f"The prompt has places for {len(places)} picture tokens but the picture has {len(rows)}: "
            "the history must hold the expanded tokens of this very picture, and the text none typed by hand."
        )
    signature = list(ids)
    for place, row in zip(places, rows, strict=False):
        signature[place] = -1 - row
    return Prompt(full, tuple(ids), rows, tuple(signature))


def _expanded(text: str, history: str, visual: VisualLayout | None) -> str:
    if PLACEHOLDER in history:
        raise InputError("The history holds '<image>'; it must hold the expanded prompt of the earlier turns.")
    if visual is None:
        if CONTEXT in history:
            raise InputError("The history speaks of a picture; give the picture again with the follow-up.")
        return text.replace(PLACEHOLDER, "")
    count = text.count(PLACEHOLDER)
    if history and count:
        raise InputError("'<image>' stands in a follow-up; the picture belongs to the first turn only.")
    if history and visual.regions is not None:
        raise InputError("Region masks cannot be given with a follow-up; they belong to the first turn.")
    if count > 1:
        raise InputError(f"'<image>' stands {count} times in the text; it must stand once.")
    if not count and not history:
        raise InputError("A picture is given but the text holds no '<image>' to say where it belongs.")
    return text.replace(PLACEHOLDER, visual.text())


def region_cells(regions: Sequence[np.ndarray] | np.ndarray, size: tuple[int, int], side: int) -> np.ndarray:
    """Region masks (n, H, W) on the grid of one tile, (n, side, side) bool, nearest cell; raises InputError.

    ``size`` is (width, height) of the picture that the masks must match.
    """
    masks = np.asarray(regions)
    if masks.ndim != 3 or len(masks) == 0 or masks.shape[1:] != (size[1], size[0]):
        raise InputError(
            f"Regions must be masks of shape (n, {size[1]}, {size[0]}) like the picture, not {masks.shape}."
        )
    rows = np.arange(side) * masks.shape[1] // side
    columns = np.arange(side) * masks.shape[2] // side
    return masks[:, rows[:, None], columns[None, :]] != 0


def escape(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Make what a person typed harmless: special token strings are broken by a blank, control characters by one.

    ``[SEG]`` becomes ``[ SEG]``, ``<image>`` becomes ``< image>``; a readable text stays readable.
    """
    clean = "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") else " " for c in text)
    marks = {PLACEHOLDER, *_TURN_MARKS, *(str(token) for token in tokenizer.added_tokens_decoder.values())}
    for mark in sorted(marks, key=len, reverse=True):
        clean = clean.replace(mark, f"{mark[0]} {mark[1:]}")
    return clean
