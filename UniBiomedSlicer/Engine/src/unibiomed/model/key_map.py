# SPDX-License-Identifier: Apache-2.0
"""The one table that renames every tensor between the published checkpoint and transformers' own modules.

A row is (published, native). ``{}`` stands for a number that both sides share, ``*`` for any rest that both share.
Three rows are more than a renaming (specification §11): the vision tower's fused qkv, the four point embeddings that
are rows of one table, and the Gaussian matrix that two native modules hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_SAM = "grounding_encoder.sam2_model."
_MLP = (("layers.0.*", "proj_in.*"), ("layers.1.*", "layers.0.*"), ("layers.2.*", "proj_out.*"))
_MLP2 = (("layers.0.*", "proj_in.*"), ("layers.1.*", "proj_out.*"))
_ATTENTION = (("q_proj.*", "q_proj.*"), ("k_proj.*", "k_proj.*"), ("v_proj.*", "v_proj.*"), ("out_proj.*", "o_proj.*"))


def _nested(published: str, native: str, rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((published + a, native + b) for a, b in rows)


_VISION = (
    ("embeddings.class_embedding", "embeddings.cls_token"),
    ("embeddings.position_embedding", "embeddings.position_embeddings"),
    ("embeddings.patch_embedding.*", "embeddings.patch_embeddings.projection.*"),
    ("encoder.layers.{}.attn.qkv.*", "encoder.layer.{}.attention.qkv.*"),
    ("encoder.layers.{}.attn.proj.*", "encoder.layer.{}.attention.projection_layer.*"),
    ("encoder.layers.{}.norm1.*", "encoder.layer.{}.layernorm_before.*"),
    ("encoder.layers.{}.norm2.*", "encoder.layer.{}.layernorm_after.*"),
    ("encoder.layers.{}.ls1", "encoder.layer.{}.lambda_1"),
    ("encoder.layers.{}.ls2", "encoder.layer.{}.lambda_2"),
    ("encoder.layers.{}.mlp.*", "encoder.layer.{}.mlp.*"),
)
_GROUNDING = (
    ("image_encoder.trunk.patch_embed.proj.*", "vision_encoder.backbone.patch_embed.projection.*"),
    ("image_encoder.trunk.pos_embed", "vision_encoder.backbone.pos_embed"),
    ("image_encoder.trunk.pos_embed_window", "vision_encoder.backbone.pos_embed_window"),
    ("image_encoder.trunk.blocks.{}.norm1.*", "vision_encoder.backbone.blocks.{}.layer_norm1.*"),
    ("image_encoder.trunk.blocks.{}.norm2.*", "vision_encoder.backbone.blocks.{}.layer_norm2.*"),
    ("image_encoder.trunk.blocks.{}.attn.*", "vision_encoder.backbone.blocks.{}.attn.*"),
    ("image_encoder.trunk.blocks.{}.proj.*", "vision_encoder.backbone.blocks.{}.proj.*"),
    *_nested("image_encoder.trunk.blocks.{}.mlp.", "vision_encoder.backbone.blocks.{}.mlp.", _MLP2),
    ("image_encoder.neck.convs.{}.conv.*", "vision_encoder.neck.convs.{}.*"),
    ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
    ("sam_prompt_encoder.point_embeddings.weight", "prompt_encoder.point_embed.weight"),
    ("sam_prompt_encoder.not_a_point_embed.*", "prompt_encoder.not_a_point_embed.*"),
    ("sam_prompt_encoder.no_mask_embed.*", "prompt_encoder.no_mask_embed.*"),
    ("sam_prompt_encoder.mask_downscaling.0.*", "prompt_encoder.mask_embed.conv1.*"),
    ("sam_prompt_encoder.mask_downscaling.1.*", "prompt_encoder.mask_embed.layer_norm1.*"),
    ("sam_prompt_encoder.mask_downscaling.3.*", "prompt_encoder.mask_embed.conv2.*"),
    ("sam_prompt_encoder.mask_downscaling.4.*", "prompt_encoder.mask_embed.layer_norm2.*"),
    ("sam_prompt_encoder.mask_downscaling.6.*", "prompt_encoder.mask_embed.conv3.*"),
    ("sam_mask_decoder.iou_token.*", "mask_decoder.iou_token.*"),
    ("sam_mask_decoder.mask_tokens.*", "mask_decoder.mask_tokens.*"),
    ("sam_mask_decoder.obj_score_token.*", "mask_decoder.obj_score_token.*"),
    ("sam_mask_decoder.conv_s0.*", "mask_decoder.conv_s0.*"),
    ("sam_mask_decoder.conv_s1.*", "mask_decoder.conv_s1.*"),
    ("sam_mask_decoder.output_upscaling.0.*", "mask_decoder.upscale_conv1.*"),
    ("sam_mask_decoder.output_upscaling.1.*", "mask_decoder.upscale_layer_norm.*"),
    ("sam_mask_decoder.output_upscaling.3.*", "mask_decoder.upscale_conv2.*"),
    *_nested("sam_mask_decoder.iou_prediction_head.", "mask_decoder.iou_prediction_head.", _MLP),
    *_nested("sam_mask_decoder.pred_obj_score_head.", "mask_decoder.pred_obj_score_head.", _MLP),
    *_nested("sam_mask_decoder.output_hypernetworks_mlps.{}.", "mask_decoder.output_hypernetworks_mlps.{}.", _MLP),
    *(
        row
        for name in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
        for row in _nested(
            f"sam_mask_decoder.transformer.layers.{{}}.{name}.",
            f"mask_decoder.transformer.layers.{{}}.{name}.",
            _ATTENTION,
        )
    ),
    *_nested("sam_mask_decoder.transformer.layers.{}.mlp.", "mask_decoder.transformer.layers.{}.mlp.", _MLP2),
    *(
        (f"sam_mask_decoder.transformer.layers.{{}}.norm{n}.*", f"mask_decoder.transformer.layers.{{}}.layer_norm{n}.*")
        for n in (1, 2, 3, 4)
    ),
    *_nested(
        "sam_mask_decoder.transformer.final_attn_token_to_image.",
        "mask_decoder.transformer.final_attn_token_to_image.",
        _ATTENTION,
    ),
    ("sam_mask_decoder.transformer.norm_final_attn.*", "mask_decoder.transformer.layer_norm_final_attn.*"),
    *(
        row
        for name in ("self_attn", "cross_attn_image")
        for row in _nested(f"memory_attention.layers.{{}}.{name}.", f"memory_attention.layers.{{}}.{name}.", _ATTENTION)
    ),
    *((f"memory_attention.layers.{{}}.norm{n}.*", f"memory_attention.layers.{{}}.layer_norm{n}.*") for n in (1, 2, 3)),
    ("memory_attention.layers.{}.linear1.*", "memory_attention.layers.{}.linear1.*"),
    ("memory_attention.layers.{}.linear2.*", "memory_attention.layers.{}.linear2.*"),
    ("memory_attention.norm.*", "memory_attention.layer_norm.*"),
    *(
        row
        for n in range(4)
        for row in (
            (
                f"memory_encoder.mask_downsampler.encoder.{3 * n}.*",
                f"memory_encoder.mask_downsampler.layers.{n}.conv.*",
            ),
            (
                f"memory_encoder.mask_downsampler.encoder.{3 * n + 1}.*",
                f"memory_encoder.mask_downsampler.layers.{n}.layer_norm.*",
            ),
        )
    ),
    ("memory_encoder.mask_downsampler.encoder.12.*", "memory_encoder.mask_downsampler.final_conv.*"),
    ("memory_encoder.pix_feat_proj.*", "memory_encoder.feature_projection.*"),
    ("memory_encoder.out_proj.*", "memory_encoder.projection.*"),
    ("memory_encoder.fuser.layers.{}.dwconv.*", "memory_encoder.memory_fuser.layers.{}.depthwise_conv.*"),
    ("memory_encoder.fuser.layers.{}.norm.*", "memory_encoder.memory_fuser.layers.{}.layer_norm.*"),
    ("memory_encoder.fuser.layers.{}.pwconv1.*", "memory_encoder.memory_fuser.layers.{}.pointwise_conv1.*"),
    ("memory_encoder.fuser.layers.{}.pwconv2.*", "memory_encoder.memory_fuser.layers.{}.pointwise_conv2.*"),
    ("memory_encoder.fuser.layers.{}.g_weight", "memory_encoder.memory_fuser.layers.{}.scale"),
    *_nested("obj_ptr_proj.", "object_pointer_proj.", _MLP),
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_embed", "no_memory_embedding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("mask_downsample.*", "mask_downsample.*"),
)
TABLE: tuple[tuple[str, str], ...] = (
    *_nested("vision_model.", "vision_model.", _VISION),
    ("mlp1.*", "mlp1.*"),
    ("language_model.*", "language_model.*"),
    ("text_hidden_fcs.*", "text_hidden_fcs.*"),
    *_nested(_SAM, "grounding_encoder.", _GROUNDING),
)

_SECOND_GAUSSIAN = "grounding_encoder.prompt_encoder.shared_embedding.positional_embedding"
_POINTS = f"{_SAM}sam_prompt_encoder.point_embeddings."
_POINT_ROWS = 4
_QKV = re.compile(r"(vision_model\.encoder\.layer\.\d+\.attention)\.([qkv])_proj\.(weight|bias)")


@dataclass(frozen=True)
class Link:
    """How published tensors and native tensors belong together.

    One published and several native names: the published one is cut along dim 0 (``how="split"``) or given to all
    (``"copy"``). Several published and one native name: the published rows are stacked (``"rows"``).
    """

    published: tuple[str, ...]
    native: tuple[str, ...]
    how: str = "same"


def links(native_names: Iterable[str]) -> list[Link]:
    """Pair every tensor of a native ``state_dict`` with its published tensors; raises KeyError on a name unknown."""
    found: dict[str, Link] = {}
    for name in native_names:
        if name == _SECOND_GAUSSIAN:
            continue
        link = _link(name)
        found[link.published[0]] = link
    return list(found.values())


def _link(name: str) -> Link:
    if qkv := _QKV.fullmatch(name):
        stem, _, kind = qkv.groups()
        fused = _published_name(f"{stem}.qkv.{kind}")
        return Link((fused,), tuple(f"{stem}.{part}_proj.{kind}" for part in "qkv"), "split")
    published = _published_name(name)
    if published == f"{_POINTS}weight":
        return Link(tuple(f"{_POINTS}{row}.weight" for row in range(_POINT_ROWS)), (name,), "rows")
    if published.endswith("positional_encoding_gaussian_matrix"):
        return Link((published,), (name, _SECOND_GAUSSIAN), "copy")
    return Link((published,), (name,))


def _published_name(native: str) -> str:
    for pattern, published in _patterns():
        if match := pattern.fullmatch(native):
            for part in match.groups():
                published = re.sub(r"\{\}|\*", part, published, count=1)
            return published
    raise KeyError(native)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    def compiled(native: str) -> re.Pattern[str]:
        return re.compile(re.escape(native).replace(r"\{\}", r"(\d+)").replace(r"\*", "(.+)"))

    return tuple((compiled(native), published) for published, native in TABLE)
