# SPDX-License-Identifier: Apache-2.0
"""One configuration for the whole model, read from and written to the published ``config.json``.

The published file describes the vision tower and the language model and says nothing of SAM 2, whose sizes are fixed
in the released code (Hiera-L, 1024 px), as are tile size and tile count. Two optional fields of ours widen that:

* ``sam2_config``: sizes of SAM 2 (absent: Hiera-L);
* ``unibiomed_config``: ``tile_size``, ``max_tiles``, ``sam_image_size`` (absent: 448, 12, 1024).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import InternVLVisionConfig, Qwen2Config, Sam2HieraDetConfig, Sam2VideoConfig, Sam2VisionConfig

from unibiomed.errors import CheckpointError

_MARKER = "unibiomed_config"
_LLM_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "attention_dropout",
    "initializer_range",
)
_VISION_FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "image_size",
    "patch_size",
    "num_channels",
    "initializer_range",
)


@dataclass(frozen=True)
class Sam2Sizes:
    """The sizes of SAM 2; the defaults are SAM 2.0 Hiera-L as published (specification §1)."""

    embed_dim: int = 144
    num_heads: int = 2
    stages: tuple[int, ...] = (2, 6, 36, 4)
    global_att_blocks: tuple[int, ...] = (23, 33, 43)
    window_pos_embed_bkg_spatial_size: tuple[int, int] = (7, 7)
    window_spec: tuple[int, ...] = (8, 4, 16, 8)
    d_model: int = 256
    mem_dim: int = 64
    mem_layers: int = 4
    mem_ffn: int = 2048
    sam_mlp_dim: int = 2048
    iou_hidden: int = 256

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sam2Sizes:
        """Read ``sam2_config``; a field that is not known is an error, one that is absent is the published value."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise CheckpointError(f"config.json: sam2_config has unknown fields {unknown}; known are {sorted(known)}.")
        return cls(**{k: tuple(v) if isinstance(v, list | tuple) else int(v) for k, v in values.items()})


@dataclass(frozen=True)
class UniBiomedConfig:
    """The sizes of every part, and the untouched ``config.json`` they were read from (``published``)."""

    vision: InternVLVisionConfig
    language: Qwen2Config
    sam2: Sam2Sizes
    tile_size: int = 448
    max_tiles: int = 12
    sam_image_size: int = 1024
    published: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UniBiomedConfig:
        """Build from the content of a ``config.json``; raises CheckpointError that names the field at fault."""
        try:
            vision, llm = values["vision_config"], values["llm_config"]
            extra = values.get(_MARKER, {})
            config = cls(
                vision=_vision_config(vision),
                language=_language_config(llm),
                sam2=Sam2Sizes.from_dict(values.get("sam2_config") or {}),
                tile_size=int(extra.get("tile_size", 448)),
                max_tiles=int(extra.get("max_tiles", 12)),
                sam_image_size=int(extra.get("sam_image_size", 1024)),
                published=copy.deepcopy(dict(values)),
            )
        except KeyError as error:
            raise CheckpointError(f"config.json: the field {error} is missing; it is not a UniBiomed model.") from error
        except (TypeError, ValueError, AttributeError, StrictDataclassError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"config.json cannot be read as a UniBiomed configuration: {reason}.") from error
        config._check()
        return config

    @classmethod
    def from_file(cls, path: Path) -> UniBiomedConfig:
        """Read ``config.json``; raises CheckpointError when it is missing or not JSON."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} does not hold a JSON object.")
        return cls.from_dict(values)

    @classmethod
    def from_sizes(
        cls,
        *,
        vocab_size: int,
        tile_size: int = 224,
        max_tiles: int = 1,
        sam_image_size: int = 256,
        vision: Mapping[str, Any] | None = None,
        language: Mapping[str, Any] | None = None,
        sam2: Mapping[str, Any] | None = None,
    ) -> UniBiomedConfig:
        """Describe a model of other sizes in the published layout, to be trained from scratch.

        ``vision`` and ``language`` take the published fields (``hidden_size``, ``num_hidden_layers``,
        ``num_attention_heads``, ``intermediate_size`` ...), ``sam2`` those of :class:`Sam2Sizes`.
        """
        vision_config = {"image_size": tile_size, "model_type": "intern_vit_6b", **_PUBLISHED_VISION, **(vision or {})}
        llm_config = {"vocab_size": vocab_size, "model_type": "qwen2", **_PUBLISHED_LANGUAGE, **(language or {})}
        return cls.from_dict(
            {
                "architectures": ["Sa2VAChatModel"],
                "downsample_ratio": 0.5,
                "dynamic_image_size": True,
                "force_image_size": tile_size,
                "hidden_size": llm_config["hidden_size"],
                "llm_config": llm_config,
                "max_dynamic_patch": max_tiles,
                "min_dynamic_patch": 1,
                "model_type": "sa2va_chat",
                "ps_version": "v2",
                "sam2_config": dict(sam2 or {}),
                "select_layer": -1,
                "template": "phi3_chat",
                "tie_word_embeddings": False,
                _MARKER: {"tile_size": tile_size, "max_tiles": max_tiles, "sam_image_size": sam_image_size},
                "use_thumbnail": True,
                "vision_config": vision_config,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``config.json``, as it was read."""
        return copy.deepcopy(self.published)

    @property
    def tokens_per_tile(self) -> int:
        """Rows that the language model sees of one tile: a quarter of the patches."""
        return (self.tile_size // self.patch_size // 2) ** 2

    @property
    def patch_size(self) -> int:
        """Side of a patch of the vision tower in pixels."""
        return int(self.vision.patch_size[0])

    @property
    def low_res_size(self) -> int:
        """Side of the mask logits that SAM 2 predicts."""
        return self.sam_image_size // 4

    def sam2_video_config(self) -> Sam2VideoConfig:
        """The SAM 2.0 settings of transformers' ``Sam2VideoModel`` (its own defaults are SAM 2.1's)."""
        s, size = self.sam2, self.sam_image_size
        dims = [s.embed_dim * 2**i for i in range(len(s.stages))]
        backbone = Sam2HieraDetConfig(
            hidden_size=s.embed_dim,
            num_attention_heads=s.num_heads,
            image_size=[size, size],
            blocks_per_stage=list(s.stages),
            embed_dim_per_stage=dims,
            num_attention_heads_per_stage=[s.num_heads * 2**i for i in range(len(s.stages))],
            window_size_per_stage=list(s.window_spec),
            global_attention_blocks=list(s.global_att_blocks),
            window_positional_embedding_background_size=list(s.window_pos_embed_bkg_spatial_size),
        )
        vision = Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=dims[::-1],
            backbone_feature_sizes=[[size // n, size // n] for n in (4, 8, 16)],
            fpn_hidden_size=s.d_model,
        )
        return Sam2VideoConfig(
            vision_config=vision,
            prompt_encoder_config={"hidden_size": s.d_model, "image_size": size},
            mask_decoder_config={
                "hidden_size": s.d_model,
                "mlp_dim": s.sam_mlp_dim,
                "iou_head_hidden_dim": s.iou_hidden,
            },
            image_size=size,
            enable_occlusion_spatial_embedding=False,
            enable_temporal_pos_encoding_for_object_pointers=False,
            multimask_min_pt_num=0,
            memory_attention_hidden_size=s.d_model,
            memory_attention_num_layers=s.mem_layers,
            memory_attention_feed_forward_hidden_size=s.mem_ffn,
            memory_attention_rope_feat_sizes=[size // 16, size // 16],
            memory_encoder_hidden_size=s.d_model,
            memory_encoder_output_channels=s.mem_dim,
            mask_downsampler_embed_dim=s.d_model,
            memory_fuser_embed_dim=s.d_model,
            memory_fuser_intermediate_dim=4 * s.d_model,
        )

    def _check(self) -> None:
        image = int(self.vision.image_size[0])
        starts = set(accumulate(self.sam2.stages))
        rules = (
            (image == self.tile_size, f"vision_config.image_size is {image} but the tile size is {self.tile_size}"),
            (
                self.tile_size % (2 * self.patch_size) == 0,
                f"tile size {self.tile_size} holds no whole 2x2 patches",
            ),
            (self.max_tiles >= 1, f"max_tiles is {self.max_tiles}"),
            (self.sam_image_size % 32 == 0, f"sam_image_size {self.sam_image_size} is not a multiple of 32"),
            (self.sam2.mem_dim == 64, "sam2_config.mem_dim is not 64, which transformers' memory attention fixes"),
            (self.sam2.d_model % 64 == 0, "sam2_config.d_model is not a multiple of 64"),
            (len(self.sam2.stages) == 4 == len(self.sam2.window_spec), "sam2_config needs four stages and windows"),
            (min(self.sam2.stages) >= 1, "sam2_config.stages has an empty stage"),
            (not starts & set(self.sam2.global_att_blocks), "sam2_config.global_att_blocks has the first of a stage"),
            (self.published.get("ps_version", "v2") == "v2", "ps_version is not v2"),
            (self.published.get("select_layer", -1) == -1, "select_layer is not -1"),
            (not self.language.tie_word_embeddings, "llm_config.tie_word_embeddings is true"),
        )
        for holds, reason in rules:
            if not holds:
                raise CheckpointError(f"config.json describes a model that cannot be built: {reason}.")


_PUBLISHED_VISION = {
    "attention_dropout": 0.0,
    "drop_path_rate": 0.0,
    "dropout": 0.0,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-06,
    "norm_type": "layer_norm",
    "num_attention_heads": 16,
    "num_channels": 3,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "qk_normalization": False,
    "qkv_bias": True,
}
_PUBLISHED_LANGUAGE = {
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}


def _vision_config(values: Mapping[str, Any]) -> InternVLVisionConfig:
    if values.get("qk_normalization"):
        raise CheckpointError("config.json: vision_config.qk_normalization is true; this tower has no such norm.")
    if values.get("norm_type", "layer_norm") != "layer_norm":
        raise CheckpointError(f"config.json: vision_config.norm_type is {values['norm_type']!r}, not 'layer_norm'.")
    return InternVLVisionConfig(
        **{name: values[name] for name in _VISION_FIELDS if name in values},
        attention_bias=bool(values.get("qkv_bias", True)),
        # With mean pooling transformers leaves the final norm out, as the published tower does.
        use_mean_pooling=True,
    )


def _language_config(values: Mapping[str, Any]) -> Qwen2Config:
    scaling = values.get("rope_scaling") or values.get("rope_parameters") or {}
    rope = {"rope_type": "default", "rope_theta": 1e6, **{k: v for k, v in scaling.items() if k != "type"}}
    rope["rope_type"] = scaling.get("rope_type", scaling.get("type", "default"))
    rope["rope_theta"] = float(values.get("rope_theta", rope["rope_theta"]))
    return Qwen2Config(
        **{name: values[name] for name in _LLM_FIELDS if name in values},
        rope_parameters=rope,
        tie_word_embeddings=bool(values.get("tie_word_embeddings", False)),
    )
