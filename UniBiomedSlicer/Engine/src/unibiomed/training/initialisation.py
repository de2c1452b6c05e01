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
        _vision_tower(model)
        nn.init.normal_(model.language_model.model.embed_tokens.weight, std=0.3)
        nn.init.normal_(model.language_model.lm_head.weight, std=0.02)


def _vision_tower(model: UniBiomedModel) -> None:
    """Position waves, and attention that begins by looking near itself ("mimetic" weights, Trockman and Kolter 2023).

    Such a start is close to what trained towers look like, and saves a small one the time to find out.
    """
    tower = model.vision_model
    positions = tower.embeddings.position_embeddings
    width, side = positions.shape[-1], round((positions.shape[1] - 1) ** 0.5)
    positions.zero_()
    positions[0, 1:] = 0.7 * _waves(side, width)
    for layer in tower.encoder.layer:
        attention = layer.attention
        size, heads = width // attention.num_heads, range(attention.num_heads)
        for head in heads:
            rows = slice(head * size, (head + 1) * size)
            left, strength, right = torch.linalg.svd(_noise(width, 0.7) + 0.7 * torch.eye(width))
            attention.q_proj.weight[rows] = (left[:, :size] * strength[:size].sqrt()).T
            attention.k_proj.weight[rows] = right[:size] * strength[:size, None].sqrt()
        left, strength, right = torch.linalg.svd(_noise(width, 0.4) - 0.4 * torch.eye(width))
        attention.v_proj.weight.copy_(right * strength[:, None].sqrt())
        attention.projection_layer.weight.copy_(left * strength.sqrt())
        layer.lambda_1.fill_(1.0)
        layer.lambda_2.fill_(1.0)


def _noise(width: int, scale: float) -> torch.Tensor:
    return torch.randn(width, width) * scale * width**-0.5


def _waves(side: int, width: int) -> torch.Tensor:
    """Sines and cosines of row and column in ``width / 4`` frequencies: (side * side, width)."""
    frequencies = (3.14 * side / 2) ** -torch.linspace(0, 1, width // 4) * 3.14 / 2
    angles = torch.arange(side)[:, None] * frequencies
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = line[:, None].expand(side, side, -1)
    return torch.cat([rows, rows.transpose(0, 1)], dim=2).flatten(0, 1)


def _fan_in(module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> int:
    weight = module.weight
    if isinstance(module, nn.ConvTranspose2d):
        # Kernel and stride are equal where SAM 2 uses it, so that each output pixel reads one input pixel.
        return weight.shape[0]
    return weight[0].numel()
