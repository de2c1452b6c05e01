# SPDX-License-Identifier: Apache-2.0
"""What a model's answer says: plain text, and which words of it speak of which masks.

Four forms are trained (tasks reference, section 1): grounded blocks ``<p> name. sentence </p> [SEG]``, the disease form
``It is [SEG]. {phrase}.``, the bare segmentation form ``It is [SEG].``, and text without masks (a region's phrase, a
caption).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from unibiomed.tasks.phrases import is_nothing, normalise
from unibiomed.volumes.modalities import MODALITIES

SEG = "[SEG]"
_ENDS = re.compile(r"<\|(?:end|im_end|endoftext|im_start|user|assistant)\|>|</?s>|</?img>|<IMG_CONTEXT>|</?vp>")
_BLOCK = re.compile(r"<p>(?P<inner>.*?)</p>(?P<segs>(?:\s*(?:,|and)?\s*\[SEG\])*)", re.DOTALL)
_LEAD = re.compile(r"(?:(?:sure,?|it is|they are|the segmentation result is|and|,)\s*)*$", re.IGNORECASE)


@dataclass(frozen=True)
class Link:
    """Characters ``start``..``end`` of the plain text, the finding they name, and the indices of its masks.

    ``name`` is the finding without its sentence ("lung nodule"), ``sentence`` what is said of it. ``nothing`` marks the
    answer that there is no abnormality: its masks are to be ignored.
    """

    start: int
    end: int
    name: str
    sentence: str
    segments: tuple[int, ...]
    nothing: bool


@dataclass(frozen=True)
class ParsedAnswer:
    """``text`` has no tags and single blanks; ``links`` are in the order of the text."""

    text: str
    links: tuple[Link, ...]

    @property
    def nothing_found(self) -> bool:
        """Whether the answer says that there is no abnormality, and names none."""
        return any(link.nothing for link in self.links) and not self.findings

    @property
    def findings(self) -> tuple[Link, ...]:
        """The links that name something."""
        return tuple(link for link in self.links if not link.nothing and link.name)


@dataclass(frozen=True)
class Caption:
    """What a description of the whole picture says: ``modality`` a phrase word, ``anatomy`` names in its order."""

    text: str
    modality: str | None
    site: str | None
    anatomy: tuple[str, ...]
    abnormality: str


def parse_answer(text: str, n_masks: int | None = None) -> ParsedAnswer:
    """Take an answer apart. ``n_masks`` is how many masks came with it: a [SEG] beyond that has none (cut short)."""
    raw = re.sub(r"\s+", " ", _ENDS.sub(" ", text)).strip().strip("'").strip()
    limit = raw.count(SEG) if n_masks is None else n_masks
    return _grounded(raw, limit) if "<p>" in raw else _disease(raw, limit)


def parse_caption(text: str) -> Caption:
    """Read ``{modality} image of the {site}. it shows the A, the B and the C. {sentence}``; missing parts are empty."""
    plain = parse_answer(text).text
    words = plain.lower()
    head = re.match(r"(?P<modality>[\w-]+) image of the (?P<site>[^.]+)\.", words)
    shows = re.search(r"it shows (?P<list>[^.]+)\.", words)
    names: tuple[str, ...] = ()
    if shows and "no named structure" not in shows["list"]:
        parts = re.split(r",\s*|\s+and\s+(?=the\b)", shows["list"])
        names = tuple(dict.fromkeys(normalise(re.sub(r"^(and\s+)?the\s+", "", part.strip())) for part in parts))
    tail = plain[shows.end() :].strip() if shows else ""
    return Caption(
        text=plain,
        modality=_modality(head["modality"]) if head else None,
        site=head["site"].strip() if head else None,
        anatomy=tuple(name for name in names if name),
        abnormality="" if tail.lower().startswith("no abnormality") else tail,
    )


def _modality(word: str) -> str | None:
    spelled = {known.lower(): known for known in MODALITIES}
    if word.startswith("mri-"):
        return "MRI-" + "-".join("Gd" if part == "gd" else part.upper() for part in word[4:].split("-"))
    return spelled.get(word)


class _Plain:
    """Plain text as it grows, single blanks kept."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, piece: str) -> tuple[int, int]:
        piece = re.sub(r"\s+", " ", re.sub(r"</?p>", " ", piece.replace(SEG, " "))).strip()
        if not piece:
            return len(self.text), len(self.text)
        glue = "" if not self.text or piece[0] in ".,;:!?" else " "
        start = len(self.text) + len(glue)
        self.text += glue + piece
        return start, len(self.text)


def _grounded(raw: str, limit: int) -> ParsedAnswer:
    plain, links, at = _Plain(), [], 0
    for block in _BLOCK.finditer(raw):
        plain.add(raw[at : block.start()])
        start, end = plain.add(block["inner"])
        first = raw[: block.start()].count(SEG)
        count = block["segs"].count(SEG)
        links.append(_link(plain.text, start, end, range(first, first + count), limit))
        at = block.end()
    plain.add(raw[at:])
    return ParsedAnswer(plain.text, tuple(links))


def _disease(raw: str, limit: int) -> ParsedAnswer:
    """Each run of [SEG] speaks of the words after it, up to the lead-in of the next; before the first is lead-in."""
    pieces = re.split(r"((?:\[SEG\][\s,]*(?:and\s+)?)+)", raw)
    plain, links, index = _Plain(), [], 0
    plain.add(pieces[0])
    for marks, after in zip(pieces[1::2], pieces[2::2], strict=True):
        count = marks.count(SEG)
        named = _LEAD.sub("", after.lstrip(" .,")).strip()
        stop = re.match(r"\s*\.", after)
        if stop and plain.text:
            plain.add(".")
        start, end = plain.add(named)
        rest = after.lstrip(" .,")[len(named) :].strip() if named else after.strip(" .,")
        plain.add(rest)
        links.append(_link(plain.text, start, end, range(index, index + count), limit))
        index += count
    return ParsedAnswer(plain.text, tuple(links))


def _link(text: str, start: int, end: int, segments: range, limit: int) -> Link:
    name, _, sentence = text[start:end].partition(". ")
    kept = tuple(index for index in segments if index < limit)
    return Link(start, end, normalise(name), sentence.strip(), kept, is_nothing(name))
