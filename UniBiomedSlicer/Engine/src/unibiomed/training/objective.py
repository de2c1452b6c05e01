# SPDX-License-Identifier: Apache-2.0
"""One training step's loss: language + 2 x mask cross entropy + 0.5 x Dice, and what SAM 2's own heads need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from unibiomed.model.grounding import SamFeatures
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.model.tracking import track
from unibiomed.training.aids import TrainingAids, dense_loss
from unibiomed.training.batching import Batch, VideoBatch
from unibiomed.training.encoding import IGNORED
from unibiomed.training.losses import (
    PAPER_DICE_WEIGHT,
    PAPER_MASK_CE_WEIGHT,
    iou_loss,
    language_loss,
    mask_losses,
    presence_loss,
)
from unibiomed.training.packing import visible

LENGTH_GROUPS = 3
PROMPT_NOISE = 0.1


@dataclass(frozen=True)
class LossWeights:
    """Weights of the sum; mask and Dice are the paper's, and so is a language weight of 1.

    A vision tower that starts from noise learns to see from the few words that depend on the picture; their share of
    the mean over all words is small, hence the larger weight for Mini.
    """

    language: float = 1.0
    mask_cross_entropy: float = PAPER_MASK_CE_WEIGHT
    dice: float = PAPER_DICE_WEIGHT
    presence: float = 0.25
    iou: float = 0.5
    prompt: float = 1.0
    dense: float = 0.5
    dense_coarse: float = 0.5
    dense_vision: float = 0.5
    boxed: float = 0.5


def batch_loss(
    model: UniBiomedModel, batch: Batch, weights: LossWeights, aids: TrainingAids | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted loss of a batch (scalar, with gradient) and its parts (scalars, detached).

    Only what the batch has pictures or words for is computed.
    """
    parts: dict[str, torch.Tensor] = {}
    prompts, pictures, truth = [], [batch.direct_picture], []
    if len(batch.tile_pixels):
        rows = model.encode_tiles(batch.tile_pixels).float()
        if aids is not None:
            parts |= _rows_parts(aids, batch, rows)
        if len(batch.input_ids):
            states, parts["language"] = _read(model, batch, rows)
            prompts, pictures, truth = [model.seg_embedding(states).float()], [batch.seg_picture], [batch.truth]
            if aids is not None:
                named = batch.seg_phrase >= 0
                wanted = aids.prompts(batch.seg_phrase[named])
                parts["prompt"] = (prompts[0][named] - wanted).square().mean()
                pictures.append(batch.direct_picture)
    if len(batch.sam_pixels):
        features = model.image_features(batch.sam_pixels)
        if aids is not None:
            table = aids.prompts(batch.direct_phrase)
            # The language model will say these vectors nearly, not exactly.
            prompts.append(table + PROMPT_NOISE * torch.randn_like(table))
            truth.append(batch.dense_truth[batch.direct_picture, batch.direct_phrase])
            parts |= _features_parts(aids, batch, features)
        output = model.decode_masks(features, torch.cat(prompts), torch.cat(pictures))
        parts |= _mask_parts(output.low_res, output.iou, output.object_score, torch.cat(truth))
    return _weighted(parts, weights)


def _rows_parts(aids: TrainingAids, batch: Batch, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the language model's rows say of every pixel, and of the one thing in a drawn box."""
    own = rows[: len(batch.dense_truth)]
    parts = {"dense_vision": dense_loss(aids.vision(own), batch.dense_truth, batch.dense_known)}
    drawn = batch.boxed >= 0
    if bool(drawn.any()):
        chosen = functional.one_hot(batch.boxed[drawn], batch.dense_truth.shape[1])[..., None, None]
        parts["boxed"] = dense_loss(aids.boxed(own[drawn]), batch.dense_truth[drawn] * chosen, batch.dense_known[drawn])
    return parts


def _features_parts(aids: TrainingAids, batch: Batch, features: SamFeatures) -> dict[str, torch.Tensor]:
    """What SAM 2's features say of every pixel, all levels together and the coarsest alone."""
    logits = aids.sam(features.high_res_0, features.high_res_1, features.embedding)
    coarse = aids.coarse(features.embedding.flatten(2).transpose(1, 2))
    return {
        "dense": dense_loss(logits, batch.dense_truth, batch.dense_known),
        "dense_coarse": dense_loss(coarse, batch.dense_truth, batch.dense_known),
    }


def _weighted(parts: dict[str, torch.Tensor], weights: LossWeights) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return total, {name: value.detach() for name, value in parts.items()}


def video_loss(
    model: UniBiomedModel, batch: VideoBatch, weights: LossWeights
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The same for stacks: masks of prompted and of tracked frames, as inference makes them."""
    totals: dict[str, list[torch.Tensor]] = {}
    for row in range(len(batch.input_ids)):
        for name, value in _stack_loss(model, batch, row).items():
            totals.setdefault(name, []).append(value)
    parts = {name: torch.stack(values).mean() for name, values in totals.items()}
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return total, {f"video_{name}": value.detach() for name, value in parts.items()}


def _stack_loss(model: UniBiomedModel, batch: VideoBatch, row: int) -> dict[str, torch.Tensor]:
    rows = model.encode_tiles(batch.tile_pixels[row])
    embeds = model.embed_prompt(batch.input_ids[row][None], rows.flatten(0, 1))
    hidden = model.language_model.model(inputs_embeds=embeds, use_cache=False).last_hidden_state[0]
    labels = batch.labels[row][1:]
    taught = labels != IGNORED
    language = language_loss(model.language_model.lm_head(hidden[:-1][taught]), labels[taught])
    embedding = model.seg_embedding(hidden[batch.seg_position[row]][None])
    features = model.image_features(batch.sam_pixels[row])
    frames = track(
        model.grounding_encoder, lambda t: features[t], len(features), len(batch.tile_pixels[row]), embedding
    )
    masks = torch.stack([frame.low_res for frame in frames])
    scores = torch.stack([frame.object_score for frame in frames])
    iou = torch.stack([frame.iou for frame in frames])
    return {"language": language} | _mask_parts(masks, iou, scores, batch.truth[row])


def _mask_parts(
    masks: torch.Tensor, iou: torch.Tensor, object_score: torch.Tensor, truth: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Losses of n prompts: candidates (n, c, h, w), their IoU scores (n, c), object scores (n, 1), truth (n, s, s)."""
    present = truth.amax((-2, -1)) > 0
    cross_entropy, dice = mask_losses(masks, truth)
    return {
        "mask_cross_entropy": cross_entropy.mean(),
        "dice": _mean(dice[present]),
        "iou": _mean(iou_loss(masks, iou, truth)[present]),
        "presence": presence_loss(object_score, present).mean(),
    }


def _read(model: UniBiomedModel, batch: Batch, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Final hidden states (n, hidden) at the [SEG] tokens, and the language loss of the answers.

    Short packs are read apart from long ones: one batch padded to the longest would spend a third of its time on
    padding.
    """
    lengths = (batch.conversation >= 0).sum(1)
    states = rows.new_zeros(len(batch.seg_position), rows.shape[-1])
    losses, taught_tokens = rows.new_zeros(()), 0
    for chunk in lengths.argsort().tensor_split(min(LENGTH_GROUPS, len(lengths))):
        longest = int(lengths[chunk].max())
        labels = batch.labels[chunk, 1:longest]
        embeds = model.embed_prompt(batch.input_ids[chunk, :longest], rows[batch.pack_picture[chunk]].flatten(0, 1))
        hidden = model.language_model.model(
            inputs_embeds=embeds,
            attention_mask=visible(batch.conversation[chunk, :longest]),
            position_ids=batch.positions[chunk, :longest],
            use_cache=False,
        ).last_hidden_state
        taught = labels != IGNORED
        logits = model.language_model.lm_head(hidden[:, :-1][taught])
        losses = losses + language_loss(logits, labels[taught]) * logits.shape[0]
        taught_tokens += logits.shape[0]
        row_of = torch.full_like(lengths, -1)
        row_of[chunk] = torch.arange(len(chunk), device=chunk.device)
        mine = row_of[batch.seg_pack] >= 0
        found = hidden[row_of[batch.seg_pack[mine]], batch.seg_position[mine]]
        states = states.index_put((mine.nonzero()[:, 0],), found.to(states.dtype))
    return states, losses / taught_tokens


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean that is zero, with a gradient, where there is nothing to average."""
    return values.sum() / max(values.numel(), 1)
