# SPDX-License-Identifier: Apache-2.0
"""SAM 2 with a language prompt: image features, masks, memory (specification §9), batched and differentiable.

The loops of transformers' ``Sam2VideoModel`` cannot take a language token, blank masks whose object score is
negative and binarise prompted masks, so only its sub-modules are called here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import Sam2VideoModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention, do_pool, eager_attention_forward

_IMAGE_POSITION_WEIGHT = 0.1


class LeanMultiScaleAttention(Sam2MultiScaleAttention):
    """Hiera's attention without the per-token product of transformers 5 that nothing reads (same result)."""

    def forward(self, hidden_states: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Attend within each window: (b, h, w, c) in, (b, h', w', c') out, h' = h or h/2 where queries are pooled."""
        batch, height, width, _ = hidden_states.shape
        qkv = self.qkv(hidden_states).reshape(batch, height * width, 3, self.num_attention_heads, -1)
        query, key, value = torch.unbind(qkv, 2)
        if self.query_stride:
            query = do_pool(query.reshape(batch, height, width, -1), self.query_stride)
            height, width = query.shape[1:3]
            query = query.reshape(batch, height * width, self.num_attention_heads, -1)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        output, _ = attend(
            self,
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attention_mask=None,
            is_causal=False,
            scaling=self.scale,
        )
        return self.proj(output.reshape(batch, height, width, -1))


@dataclass(frozen=True, eq=False)
class SamFeatures:
    """What the mask decoder reads of n images of side s: the only part of SAM 2 that is worth caching.

    ``high_res_0`` (n, d/8, s/4, s/4) and ``high_res_1`` (n, d/4, s/8, s/8) have passed conv_s0 and conv_s1;
    ``embedding`` (n, d, s/16, s/16) is without the no-memory embedding.
    """

    high_res_0: torch.Tensor
    high_res_1: torch.Tensor
    embedding: torch.Tensor

    def __len__(self) -> int:
        return self.embedding.shape[0]

    def __getitem__(self, index: int | slice | torch.Tensor | Sequence[int]) -> SamFeatures:
        """The features of some images; one number keeps the batch dimension."""
        chosen = slice(index, index + 1) if isinstance(index, int) else index
        return SamFeatures(self.high_res_0[chosen], self.high_res_1[chosen], self.embedding[chosen])

    @staticmethod
    def cat(parts: Sequence[SamFeatures]) -> SamFeatures:
        """Join batches of images of equal size."""
        return SamFeatures(
            torch.cat([p.high_res_0 for p in parts]),
            torch.cat([p.high_res_1 for p in parts]),
            torch.cat([p.embedding for p in parts]),
        )


@dataclass(frozen=True, eq=False)
class MaskOutput:
    """Masks of b prompts: three candidates each, ``best`` (b,) the one with the highest predicted IoU.

    ``low_res`` (b, 3, s/4, s/4) float32 logits, ``iou`` (b, 3), ``object_score`` (b, 1) logit,
    ``pointer`` (b, d) the object pointer of the best candidate.
    """

    low_res: torch.Tensor
    iou: torch.Tensor
    object_score: torch.Tensor
    best: torch.Tensor
    pointer: torch.Tensor

    @property
    def best_low_res(self) -> torch.Tensor:
        """Logits of the best candidate, (b, s/4, s/4)."""
        return self.low_res[torch.arange(len(self.best), device=self.best.device), self.best]

    @property
    def best_iou(self) -> torch.Tensor:
        """Predicted IoU of the best candidate, (b,)."""
        return self.iou.gather(1, self.best[:, None])[:, 0]


def image_features(sam: Sam2VideoModel, pixels: torch.Tensor) -> SamFeatures:
    """Hiera and the feature pyramid on normalised pixels (n, 3, s, s).

    The sine tables that transformers' neck builds for every level are left out: only the memory attention reads one,
    and that of the smallest level.
    """
    neck = sam.vision_encoder.neck
    stages = sam.vision_encoder.backbone(pixels).intermediate_hidden_states
    maps = [conv(stage.permute(0, 3, 1, 2)) for conv, stage in zip(neck.convs, reversed(stages), strict=True)]
    coarsest, embedding, middle, fine = maps
    top_down = functional.interpolate(coarsest.float(), scale_factor=2.0, mode="nearest").to(embedding.dtype)
    return SamFeatures(
        high_res_0=sam.mask_decoder.conv_s0(fine),
        high_res_1=sam.mask_decoder.conv_s1(middle),
        embedding=embedding + top_down,
    )


def decode_masks(
    sam: Sam2VideoModel,
    features: SamFeatures,
    seg_embedding: torch.Tensor | None,
    image_index: torch.Tensor | None = None,
    conditioned: torch.Tensor | None = None,
) -> MaskOutput:
    """Decode masks of b prompts.

    ``seg_embedding`` (b, d) is the language prompt of each; None decodes a tracked frame, which has no prompt.
    ``image_index`` (b,) says which image each prompt belongs to (None: one prompt an image, in order).
    ``conditioned`` (b, d, h, w) is the output of :func:`attend_to_memory`; None takes the image embedding with the
    no-memory embedding, as prompted frames do. A mask is kept whatever its object score says.
    """
    decoder = sam.mask_decoder
    dtype = decoder.iou_token.weight.dtype
    if image_index is not None:
        features = features[image_index]
    image = features.embedding + sam.no_memory_embedding.view(1, -1, 1, 1) if conditioned is None else conditioned
    count = image.shape[0]
    absent = sam.prompt_encoder.not_a_point_embed.weight
    sparse = absent.expand(count, 1, 2, -1)
    if seg_embedding is not None:
        sparse = torch.cat([sparse, seg_embedding[:, None, None].to(dtype)], dim=2)
    masks, iou, tokens, score = decoder(
        image_embeddings=image.to(dtype),
        image_positional_embeddings=image_position(sam).to(dtype),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1),
        multimask_output=True,
        high_resolution_features=[features.high_res_0, features.high_res_1],
    )
    masks, iou, tokens, score = masks[:, 0].float(), iou[:, 0], tokens[:, 0], score[:, 0]
    best = iou.detach().argmax(dim=1)
    token = tokens[torch.arange(count, device=best.device), best]
    pointer = torch.where(score > 0, sam.object_pointer_proj(token), sam.no_object_pointer)
    return MaskOutput(low_res=masks, iou=iou.float(), object_score=score.float(), best=best, pointer=pointer)


def image_position(sam: Sam2VideoModel) -> torch.Tensor:
    """The dense positional encoding (1, d, h, w), in float32 whatever the model computes in."""
    matrix = sam.shared_image_embedding.positional_embedding.float()
    height, width = sam.prompt_encoder.image_embedding_size
    y = (torch.arange(height, device=matrix.device, dtype=torch.float32) + 0.5) / height
    x = (torch.arange(width, device=matrix.device, dtype=torch.float32) + 0.5) / width
    grid = torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], dim=-1)
    angles = 2 * torch.pi * ((2 * grid - 1) @ matrix)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).permute(2, 0, 1)[None]


def encode_memory(sam: Sam2VideoModel, embedding: torch.Tensor, low_res: torch.Tensor) -> torch.Tensor:
    """Memory of b masks: image embedding (b, d, h, w), logits (b, s/4, s/4) -> (b, 64, h, w) in bfloat16.

    The released code stores memories in bfloat16 in every mode; so does this.
    """
    size = sam.config.image_size
    large = functional.interpolate(low_res.float()[:, None], size=(size, size), mode="bilinear", align_corners=False)
    scale, bias = sam.config.sigmoid_scale_for_mem_enc, sam.config.sigmoid_bias_for_mem_enc
    mask = (torch.sigmoid(large) * scale + bias).to(embedding.dtype)
    memory, _ = sam.memory_encoder(embedding, mask)
    return memory.to(torch.bfloat16)


def attend_to_memory(
    sam: Sam2VideoModel,
    embedding: torch.Tensor,
    memories: Sequence[tuple[int, torch.Tensor]],
    pointers: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Condition one frame's embedding (1, d, h, w) on what is known of b objects: (b, d, h, w).

    ``memories`` are (row of the temporal table, (b, 64, h, w)) in the order that they are concatenated in;
    ``pointers`` are (b, d) each, nearest last as in specification §9.5.
    """
    dtype = embedding.dtype
    count, channels, height, width = memories[0][1].shape
    place = _sine(sam.memory_encoder.position_encoding, channels, height, width, embedding.device)
    table = sam.memory_temporal_positional_encoding
    values = [memory.flatten(2).permute(2, 0, 1).to(dtype) for _, memory in memories]
    positions = [(place.flatten(2).permute(2, 0, 1) + table[row].float()).to(dtype) for row, _ in memories]
    tokens = torch.stack([p.reshape(count, -1, channels) for p in pointers]).permute(0, 2, 1, 3).flatten(0, 1)
    memory = torch.cat([*values, tokens.to(dtype)])
    position = torch.cat([*positions, torch.zeros_like(tokens[:, :1], dtype=dtype)])
    attention = sam.memory_attention
    image_place = _sine(sam.vision_encoder.neck.position_encoding, embedding.shape[1], height, width, embedding.device)
    query = (embedding + _IMAGE_POSITION_WEIGHT * image_place.to(dtype)).flatten(2).transpose(1, 2)
    query = query[:, None].expand(count, -1, -1, -1)
    rope = attention.rotary_emb(query, attention.position_ids)
    keys, key_position = memory.transpose(0, 1)[:, None], position.transpose(0, 1)[:, None]
    for layer in attention.layers:
        query = layer(
            queries=query,
            keys=keys,
            key_point_embedding=key_position,
            rope_position_embeddings=rope,
            num_k_exclude_rope=tokens.shape[0],
        )
    attended = attention.layer_norm(query)[:, 0]
    return attended.transpose(1, 2).reshape(count, -1, height, width)


def _sine(encoding: torch.nn.Module, channels: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """A sine position table (1, channels, height, width), in float32 whatever the model computes in."""
    return encoding(torch.Size((1, channels, height, width)), device, torch.float32)
