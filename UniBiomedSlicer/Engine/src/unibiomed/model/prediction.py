# SPDX-License-Identifier: Apache-2.0
"""What the model answers: the raw text, its plain form with the spans that have segments, the masks and scores."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_ENDINGS = ("<|end|>", "<|im_end|>")
_TOKEN = re.compile(r"(<p>|</p>|\[SEG\])")


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` of the plain text and the segments they speak of.

    A ``[SEG]`` that no phrase in ``<p>`` precedes has an empty span where it stood.
    """

    text: str
    start: int
    end: int
    segments: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Prediction:
    """An answer of the model.

    ``text`` is exact, with tags and the closing ``<|end|>``; ``plain_text`` is without. ``masks``
    (n_seg, n_frame, H, W) bool at the size of the picture; ``mask_logits`` (n_seg, n_frame, h, w) float32 as SAM 2
    predicts them; ``object_scores`` (logits) and ``iou_scores`` (n_seg, n_frame); ``confidence`` (n_seg,) is the
    predicted IoU times the probability of an object, of the first frame, times that of the ``[SEG]`` token.
    ``token_logprobs`` belong to ``token_ids``. ``history`` is what a follow-up takes as its ``history``.
    """

    text: str
    token_ids: tuple[int, ...]
    token_logprobs: np.ndarray
    plain_text: str
    spans: tuple[Span, ...]
    masks: np.ndarray
    mask_logits: np.ndarray
    confidence: np.ndarray
    object_scores: np.ndarray
    iou_scores: np.ndarray
    history: str

    @property
    def n_segments(self) -> int:
        """Number of segments; 0 for a text turn."""
        return len(self.masks)


def strip_ending(text: str) -> str:
    """The answer without the marks that close it."""
    stripped = text.strip()
    for ending in _ENDINGS:
        stripped = stripped.removesuffix(ending).rstrip()
    return stripped


def read_spans(text: str, n_segments: int) -> tuple[str, tuple[Span, ...]]:
    """Plain text and spans of an answer; segments beyond ``n_segments`` are not counted.

    Where a tag is taken out, one blank at most is left, and none before punctuation.
    """
    plain = ""
    groups: list[tuple[int, int, list[int]]] = []
    opened: int | None = None
    joined = False
    segment = 0
    for piece in _TOKEN.split(strip_ending(text)):
        if piece == "<p>":
            opened, joined = len(plain), False
        elif piece == "</p>" and opened is not None:
            plain = plain.rstrip()
            start = len(plain) - len(plain[opened:].lstrip())
            groups.append((start, len(plain), []))
            opened, joined = None, True
        elif piece == "[SEG]":
            if not joined:
                groups.append((len(plain), len(plain), []))
            groups[-1][2].append(segment)
            segment += 1
        elif piece != "</p>":
            joined = joined and piece.strip(" ,\n") == ""
            left = plain.rstrip() if piece.startswith(tuple(".,;:!?")) else plain
            groups = [(min(start, len(left)), min(end, len(left)), own) for start, end, own in groups]
            plain = left + (piece.lstrip() if not left or left[-1].isspace() else piece)
    plain = plain.rstrip()
    spans = []
    for start, end, segments in groups:
        start, end = min(start, len(plain)), min(end, len(plain))
        if known := tuple(s for s in segments if s < n_segments):
            spans.append(Span(plain[start:end], start, end, known))
    return plain, tuple(spans)
