# SPDX-License-Identifier: Apache-2.0
"""UniBiomed as one module of transformers' own parts: InternVL's vision tower, Qwen2 and SAM 2.

What is our own is small: pixel shuffle and projector, the scatter of visual rows into the prompt, the head that
turns the state of ``[SEG]`` into a SAM prompt, and the SAM 2 calls in :mod:`unibiomed.model.grounding`.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import InternVLVisionModel, Qwen2ForCausalLM, Sam2VideoModel
from transformers.initialization import no_init_weights
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention

from unibiomed.model import grounding
from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.grounding import LeanMultiScaleAttention, MaskOutput, SamFeatures


class UniBiomedModel(nn.Module):
    """The whole network; every method is differentiable and none switches gradients off.

    ``image_context_id`` is the id of ``<IMG_CONTEXT>`` in the tokenizer that belongs to the model; it must be set
    before :meth:`embed_prompt` is called with visual rows.
    """

    def __init__(self, config: UniBiomedConfig, *, attention: str = "sdpa") -> None:
        """Build with random weights; ``attention="eager"`` only serves as a yardstick in benchmarks."""
        super().__init__()
        self.config = config
        self.image_context_id: int | None = None
        sam_config = config.sam2_video_config()
        for part in (config.vision, config.language, sam_config, sam_config.vision_config):
            part._attn_implementation = attention
        sam_config.vision_config.backbone_config._attn_implementation = attention
        hidden, visual = config.language.hidden_size, 4 * config.vision.hidden_size
        self.vision_model = InternVLVisionModel(config.vision)
        self.mlp1 = nn.Sequential(
            nn.LayerNorm(visual, eps=1e-5), nn.Linear(visual, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )
        self.language_model = Qwen2ForCausalLM(config.language)
        self.grounding_encoder = Sam2VideoModel(sam_config)
        self.text_hidden_fcs = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, config.sam2.d_model)
        )
        self._share_gaussian()
        if attention == "sdpa":
            for module in self.grounding_encoder.vision_encoder.modules():
                if type(module) is Sam2MultiScaleAttention:
                    # Same parameters, same result: only a product that nothing reads is left out.
                    module.__class__ = LeanMultiScaleAttention

    @classmethod
    def empty(cls, config: UniBiomedConfig, *, attention: str = "sdpa") -> UniBiomedModel:
        """Build without initialising a weight (0.1 s instead of 15 s at full size); all must then be loaded."""
        with no_init_weights():
            return cls(config, attention=attention)

    def _share_gaussian(self) -> None:
        sam = self.grounding_encoder
        sam.prompt_encoder.shared_embedding.positional_embedding.copy_(sam.shared_image_embedding.positional_embedding)

    @property
    def dtype(self) -> torch.dtype:
        """What the language model computes in."""
        return self.language_model.lm_head.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the language model lies."""
        return self.language_model.lm_head.weight.device

    def encode_tiles(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Visual rows of normalised tiles: (n, 3, s, s) -> (n, tokens, hidden of the language model)."""
        patches = self.vision_model(pixel_values=pixel_values.to(self.dtype)).last_hidden_state[:, 1:]
        count, _, channels = patches.shape
        side = self.config.tile_size // self.config.patch_size
        # Pixel shuffle "v2": token (r, c) holds patches (2r + dy, 2c + dx) in the order dy, dx, channel.
        blocks = patches.reshape(count, side // 2, 2, side // 2, 2, channels).transpose(2, 3)
        return self.mlp1(blocks.reshape(count, -1, 4 * channels))

    def embed_prompt(self, input_ids: torch.Tensor, visual_rows: torch.Tensor | None) -> torch.Tensor:
        """Embed ids (b, L) with ``visual_rows`` (m, hidden) over the m ``<IMG_CONTEXT>`` positions, in order.

        Raises ValueError when the number of rows is not the number of such positions.
        """
        embedded = self.language_model.model.embed_tokens(input_ids)
        if visual_rows is None or len(visual_rows) == 0:
            return embedded
        places = input_ids == self.image_context_id
        if int(places.sum()) != len(visual_rows):
            raise ValueError(f"{len(visual_rows)} visual rows for {int(places.sum())} <IMG_CONTEXT> positions")
        return embedded.masked_scatter(places[..., None], visual_rows.to(embedded.dtype))

    def seg_embedding(self, hidden: torch.Tensor) -> torch.Tensor:
        """SAM prompts of final hidden states at which ``[SEG]`` was fed in: (m, hidden) -> (m, d_model)."""
        return self.text_hidden_fcs(hidden)

    def image_features(self, pixels: torch.Tensor) -> SamFeatures:
        """SAM 2 features of normalised pixels (n, 3, s, s); see :func:`unibiomed.model.grounding.image_features`."""
        return grounding.image_features(self.grounding_encoder, pixels.to(self.dtype))

    def decode_masks(
        self, features: SamFeatures, seg_embedding: torch.Tensor | None, image_index: torch.Tensor | None = None
    ) -> MaskOutput:
        """Masks of b prompts on n encoded images; see :func:`unibiomed.model.grounding.decode_masks`."""
        return grounding.decode_masks(self.grounding_encoder, features, seg_embedding, image_index)
