# SPDX-License-Identifier: Apache-2.0
"""One training step's loss: language + 2 x mask cross entropy + 0.5 x Dice, and what SAM 2's own heads need."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from unibiomed.model import grounding
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.batching import Batch
from unibiomed.training.dense import DenseHeads, dense_loss
from unibiomed.training.encoding import IGNORED
from unibiomed.training.losses import (
    PAPER_DICE_WEIGHT,
    PAPER_MASK_CE_WEIGHT,
    iou_loss,
    language_loss,
    mask_losses,
    presence_loss,
)


LENGTH_GROUPS = 3


@dataclass(frozen=True)
class LossWeights:
    """Weights of the sum; the first three are the paper's."""

    language: float = 1.0
    mask_cross_entropy: float = PAPER_MASK_CE_WEIGHT
    dice: float = PAPER_DICE_WEIGHT
    presence: float = 0.25
    iou: float = 0.5
    dense: float = 0.5
    dense_vision: float = 0.5


def batch_loss(
    model: UniBiomedModel, batch: Batch, weights: LossWeights, heads: DenseHeads | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted loss of a batch (scalar, with gradient) and its parts (scalars, detached)."""
    parts: dict[str, torch.Tensor] = {}
    rows = model.encode_tiles(batch.tile_pixels)
    states, parts["language"] = _read(model, batch, rows)
    features = grounding.image_features(model.grounding_encoder, batch.sam_pixels)
    embedding = model.seg_embedding(states)
    output = grounding.decode_masks(model.grounding_encoder, features, embedding, batch.seg_picture)
    cross_entropy, dice = mask_losses(output.low_res, batch.truth)
    present = batch.present
    parts["mask_cross_entropy"] = cross_entropy.mean()
    parts["dice"] = _mean(dice[present])
    parts["iou"] = _mean(iou_loss(output.low_res, output.iou, batch.truth)[present])
    parts["presence"] = presence_loss(output.object_score, present).mean()
    if heads is not None:
        logits = heads.sam(features.high_res_0, features.high_res_1, features.embedding)
        parts["dense"] = dense_loss(logits, batch.dense_truth, batch.dense_known)
        logits = heads.vision(rows[: len(batch.sam_pixels)])
        parts["dense_vision"] = dense_loss(logits, batch.dense_truth, batch.dense_known)
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return total, {name: value.detach() for name, value in parts.items()}


def _read(model: UniBiomedModel, batch: Batch, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Final hidden states (n, hidden) at the [SEG] tokens, and the language loss of the answers.

    Short sequences are read apart from long ones: one batch padded to the longest would spend a third of its time on
    padding.
    """
    lengths = batch.attention_mask.sum(1)
    order = lengths.argsort()
    states = rows.new_zeros(len(batch.seg_position), rows.shape[-1])
    losses, taught_tokens = rows.new_zeros(()), 0
    for chunk in order.tensor_split(LENGTH_GROUPS):
        longest = int(lengths[chunk].max())
        input_ids, labels = batch.input_ids[chunk, :longest], batch.labels[chunk, 1:longest]
        embeds = model.embed_prompt(input_ids, rows[batch.sequence_picture[chunk]].flatten(0, 1))
        hidden = model.language_model.model(
            inputs_embeds=embeds, attention_mask=batch.attention_mask[chunk, :longest], use_cache=False
        ).last_hidden_state
        taught = labels != IGNORED
        logits = model.language_model.lm_head(hidden[:, :-1][taught])
        losses = losses + language_loss(logits, labels[taught]) * logits.shape[0]
        taught_tokens += logits.shape[0]
        row_of = torch.full_like(lengths, -1)
        row_of[chunk] = torch.arange(len(chunk), device=chunk.device)
        mine = row_of[batch.seg_sequence] >= 0
        found = hidden[row_of[batch.seg_sequence[mine]], batch.seg_position[mine]]
        states = states.index_put((mine.nonzero()[:, 0],), found)
    return states, losses / taught_tokens


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean that is zero, with a gradient, where there is nothing to average."""
    return values.sum() / max(values.numel(), 1)
