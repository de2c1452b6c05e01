# SPDX-License-Identifier: Apache-2.0
"""Starting weights of a narrow model.

transformers draws every matrix with a standard deviation of 0.02, made for layers a thousand wide. At a width of 32 to
256 each layer would shrink its signal several times, and masks, the product of two such chains, would start at zero.
"""

from __future__ import annotations

import torch
from torch import nn

from unibiomed.model.modeling import UniBiomedModel


def initialise(model: UniBiomedModel) -> None:
    """Draw weights by fan-in (torch's own rule for each layer), SAM 2's tokens as in its original; in place."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=_fan_in(module) ** -0.5 * 0.8)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in model.grounding_encoder.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
        backbone = model.grounding_encoder.vision_encoder.backbone
        for table in (backbone.pos_embed, backbone.pos_embed_window):
            nn.init.normal_(table, std=0.1)
        nn.init.normal_(model.vision_model.embeddings.position_embeddings, std=0.1)
        nn.init.normal_(model.language_model.model.embed_tokens.weight, std=0.3)
        nn.init.normal_(model.language_model.lm_head.weight, std=0.02)


def _fan_in(module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> int:
    weight = module.weight
    if isinstance(module, nn.ConvTranspose2d):
        # Kernel and stride are equal where SAM 2 uses it, so that each output pixel reads one input pixel.
        return weight.shape[0]
    return weight[0].numel()
