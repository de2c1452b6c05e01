# SPDX-License-Identifier: Apache-2.0
"""All conversations about one picture in one sequence: the picture is read once, and no question sees another.

A picture is four to ten times as long as a question about it. Reading it anew for each would spend most of the language
model's time on the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unibiomed.training.encoding import IGNORED, EncodedConversation


@dataclass(frozen=True, eq=False)
class Packs:
    """Packs of the pictures that are asked about; p packs of length L, padded on the right.

    Attributes:
        input_ids, labels: (p, L).
        conversation: (p, L) 0 for the opening with the picture, n for the n-th conversation after it, -1 for padding.
        positions: (p, L) where each token would stand if its conversation were alone.
        picture: (p,) row of the picture.
        seg_pack, seg_position: (n,) where the [SEG] tokens stand, in the order of the conversations.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    conversation: torch.Tensor
    positions: torch.Tensor
    picture: torch.Tensor
    seg_pack: torch.Tensor
    seg_position: torch.Tensor


def pack(conversations: Sequence[EncodedConversation], pictures: Sequence[int], pad_id: int) -> Packs:
    """Join ``conversations``; ``pictures`` says which picture each is about."""
    rows = {picture: row for row, picture in enumerate(dict.fromkeys(pictures))}
    parts: list[list[np.ndarray]] = [[] for _ in rows]
    lengths, counts = [0] * len(rows), [0] * len(rows)
    segs: list[tuple[int, int]] = []
    for encoded, picture in zip(conversations, pictures, strict=True):
        row, opening, length = rows[picture], encoded.opening, len(encoded.input_ids)
        counts[row] += 1
        first = 0 if counts[row] == 1 else opening
        number = np.full(length, counts[row])
        number[:opening] = 0
        columns = np.stack([encoded.input_ids, encoded.labels, number, np.arange(length)])[:, first:]
        segs += [(row, lengths[row] + int(position) - first) for position in encoded.seg_positions]
        parts[row].append(columns)
        lengths[row] += columns.shape[1]
    table = np.zeros((4, len(rows), max(lengths, default=0)), dtype=np.int64)
    table[0], table[1], table[2] = pad_id, IGNORED, -1
    for row, columns in enumerate(parts):
        table[:, row, : lengths[row]] = np.concatenate(columns, axis=1)
    ids, labels, conversation, positions = torch.from_numpy(table)
    places = torch.tensor(segs, dtype=torch.long).reshape(-1, 2)
    picture = torch.tensor(list(rows), dtype=torch.long)
    return Packs(ids, labels, conversation, positions, picture, places[:, 0], places[:, 1])


def visible(conversation: torch.Tensor) -> torch.Tensor:
    """Attention mask (p, 1, L, L), row looks at column, of ``conversation`` (p, L) as in ``Packs``.

    0, or the lowest number where a token must not look. It sees what came before it in its own conversation or in the
    opening; padding looks at itself, so that no row is empty.
    """
    length = conversation.shape[1]
    looking, seen = conversation[:, :, None], conversation[:, None, :]
    before = torch.ones(length, length, dtype=torch.bool, device=conversation.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=conversation.device)
    seen = (before & (seen >= 0) & ((seen == 0) | (seen == looking))) | itself
    hidden = torch.tensor(torch.finfo(torch.float32).min, device=conversation.device)
    return torch.where(seen, torch.zeros_like(hidden), hidden)[:, None]
