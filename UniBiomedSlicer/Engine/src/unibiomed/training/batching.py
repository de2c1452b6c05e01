# SPDX-License-Identifier: Apache-2.0
"""Examples to one batch of tensors: each picture once for masks, each rendering once for the vision tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.preprocessing import sam_pixels, tiles
from unibiomed.training.conversations import SEGMENT_ANSWER, segment_question
from unibiomed.training.encoding import EncodedConversation, encode_conversation
from unibiomed.training.losses import resize_truth
from unibiomed.training.packing import pack
from unibiomed.training.turns import Conversation, Example, Turn
from unibiomed.training.video_data import VideoExample


@dataclass(eq=False)
class Batch:
    """Tensors of one training step; b pictures, v renderings of them, p packs of conversations, n masks.

    Attributes:
        sam_pixels: (b, 3, S, S), or (0, ...) where the mask encoder has no part.
        tile_pixels: (v, 3, T, T), the first b the pictures themselves, or (0, ...) without the vision tower.
        input_ids, labels, conversation, positions: (p, L), see ``Packs``; p may be 0.
        pack_picture: (p,) which row of ``tile_pixels`` a pack is about.
        seg_pack, seg_position: (n,) where the [SEG] tokens stand.
        seg_picture: (n,) which row of ``sam_pixels`` their masks belong to.
        seg_phrase: (n,) index of the phrase they stand for, -1 where it has none.
        truth: (n, side, side) area fractions.
        direct_picture, direct_phrase: (m,) masks that are taught without a question.
        dense_truth: (b, phrases, h, w); dense_known: (b, phrases) bool.
        boxed: (b,) index of the phrase that a drawn box is around, -1 without a box.
    """

    sam_pixels: torch.Tensor
    tile_pixels: torch.Tensor
    input_ids: torch.Tensor
    labels: torch.Tensor
    conversation: torch.Tensor
    positions: torch.Tensor
    pack_picture: torch.Tensor
    seg_pack: torch.Tensor
    seg_position: torch.Tensor
    seg_picture: torch.Tensor
    seg_phrase: torch.Tensor
    truth: torch.Tensor
    direct_picture: torch.Tensor
    direct_phrase: torch.Tensor
    dense_truth: torch.Tensor
    dense_known: torch.Tensor
    boxed: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})


@dataclass(eq=False)
class VideoBatch:
    """Stacks of one step, one list entry a stack.

    Attributes:
        sam_pixels: (t, 3, S, S) each; tile_pixels: (k, 3, T, T), the prompted frames.
        input_ids, labels: (L,) each; seg_position: where the one [SEG] is fed in.
        truth: (t, side, side) area fractions.
    """

    sam_pixels: list[torch.Tensor]
    tile_pixels: list[torch.Tensor]
    input_ids: list[torch.Tensor]
    labels: list[torch.Tensor]
    seg_position: list[int]
    truth: list[torch.Tensor]

    def to(self, device: torch.device) -> VideoBatch:
        """The same stacks on another device."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return VideoBatch(
            **{name: [x.to(device) if isinstance(x, torch.Tensor) else x for x in row] for name, row in moved.items()}
        )


@dataclass(frozen=True, eq=False)
class Collator:
    """Makes batches for one model configuration and tokenizer.

    Attributes:
        side: the grid on which masks are compared, in pixels.
        phrases: what the training aids speak of.
    """

    config: UniBiomedConfig
    tokenizer: object
    side: int
    phrases: tuple[str, ...]

    @property
    def _index(self) -> dict[str, int]:
        return {phrase: column for column, phrase in enumerate(self.phrases)}

    def __call__(self, examples: Sequence[Example] | Sequence[VideoExample]) -> Batch | VideoBatch:
        """A batch of pictures, or of stacks if the examples are stacks."""
        return self._stacks(examples) if isinstance(examples[0], VideoExample) else self._pictures(examples)

    def _stacks(self, examples: Sequence[VideoExample]) -> VideoBatch:
        batch = VideoBatch([], [], [], [], [], [])
        for example in examples:
            turn = Turn(segment_question(example.phrase), SEGMENT_ANSWER, (example.masks[0],))
            conversation = Conversation(example.frames[0], (turn,))
            encoded = encode_conversation(conversation, self.tokenizer, self.config.tokens_per_tile, example.n_prompted)
            batch.sam_pixels.append(
                torch.stack([sam_pixels(f, size=self.config.sam_image_size) for f in example.frames])
            )
            batch.tile_pixels.append(torch.cat([self._one_tile(f) for f in example.frames[: example.n_prompted]]))
            batch.input_ids.append(torch.from_numpy(encoded.input_ids))
            batch.labels.append(torch.from_numpy(encoded.labels))
            batch.seg_position.append(int(encoded.seg_positions[0]))
            batch.truth.append(_stack_truth(list(example.masks), self.side))
        return batch

    def _pictures(self, examples: Sequence[Example]) -> Batch:
        """Encode and pad; every picture is one tile (the published region and volume sets are trained so)."""
        pictures = [example.image for example in examples]
        sequences: list[EncodedConversation] = []
        sequence_picture: list[int] = []
        seg_rows: list[tuple[int, int]] = []
        masks: list[np.ndarray] = []
        for row, example in enumerate(examples):
            for conversation in example.conversations:
                encoded = self._encode(conversation)
                masks += encoded.masks
                seg_rows += [(row, self._index.get(phrase, -1)) for phrase in encoded.phrases]
                sequences.append(encoded)
                sequence_picture.append(row)
            for conversation in example.drawn:
                pictures.append(conversation.image)
                sequences.append(self._encode(conversation))
                sequence_picture.append(len(pictures) - 1)
        packs = pack(sequences, sequence_picture, self.tokenizer.pad_token_id)
        segs = torch.tensor(seg_rows, dtype=torch.long).reshape(-1, 2)
        direct = [(row, self._index[phrase]) for row, example in enumerate(examples) for phrase in example.direct]
        directs = torch.tensor(direct, dtype=torch.long).reshape(-1, 2)
        dense_truth, dense_known = self._dense(examples)
        return Batch(
            sam_pixels=self._sam_pixels([e.image for e in examples if e.with_masks]),
            tile_pixels=self._tile_pixels(pictures if examples[0].with_rows else []),
            input_ids=packs.input_ids,
            labels=packs.labels,
            conversation=packs.conversation,
            positions=packs.positions,
            pack_picture=packs.picture,
            seg_pack=packs.seg_pack,
            seg_position=packs.seg_position,
            seg_picture=segs[:, 0],
            seg_phrase=segs[:, 1],
            truth=_stack_truth(masks, self.side),
            direct_picture=directs[:, 0],
            direct_phrase=directs[:, 1],
            dense_truth=dense_truth,
            dense_known=dense_known,
            boxed=torch.tensor([self._index.get(example.boxed, -1) for example in examples]),
        )

    def _encode(self, conversation: Conversation) -> EncodedConversation:
        return encode_conversation(conversation, self.tokenizer, self.config.tokens_per_tile)

    def _sam_pixels(self, pictures: list[np.ndarray]) -> torch.Tensor:
        side = self.config.sam_image_size
        empty = torch.zeros(0, 3, side, side)
        return torch.cat([empty, *(sam_pixels(picture, size=side)[None] for picture in pictures)])

    def _tile_pixels(self, pictures: list[np.ndarray]) -> torch.Tensor:
        empty = torch.zeros(0, 3, self.config.tile_size, self.config.tile_size)
        return torch.cat([empty, *(self._one_tile(picture) for picture in pictures)])

    def _one_tile(self, picture: np.ndarray) -> torch.Tensor:
        return tiles(picture, tile_size=self.config.tile_size, split=False)

    def _dense(self, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        side = self.side
        truth = torch.zeros(len(examples), len(self.phrases), side, side)
        known = torch.zeros(len(examples), len(self.phrases), dtype=torch.bool)
        for row, example in enumerate(examples):
            for column, phrase in enumerate(self.phrases):
                known[row, column] = phrase in example.known
                if phrase in example.dense:
                    truth[row, column] = _stack_truth([example.dense[phrase]], side)[0]
        return truth, known


def _stack_truth(masks: list[np.ndarray], side: int) -> torch.Tensor:
    if not masks:
        return torch.zeros(0, side, side)
    return torch.cat([resize_truth(torch.from_numpy(mask)[None], side) for mask in masks])
