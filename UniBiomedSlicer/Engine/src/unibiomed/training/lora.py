# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning as the paper does it: LoRA in the language model; projector, [SEG] head and SAM 2's mask heads in full.

Both image encoders and the memory stay frozen. r = 128 and alpha = 256 are the released configuration's values.
"""

from __future__ import annotations

from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from unibiomed.model.modeling import UniBiomedModel

_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraOptions:
    """Rank, scale and dropout of the adapters."""

    rank: int = 128
    alpha: int = 256
    dropout: float = 0.05


def add_adapters(model: UniBiomedModel, options: LoraOptions) -> None:
    """Freeze ``model`` but for new adapters in its language model and the small heads named above; in place."""
    model.requires_grad_(False)
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=list(_LAYERS)
    )
    inject_adapter_in_model(config, model.language_model)
    sam = model.grounding_encoder
    for module in (model.mlp1, model.text_hidden_fcs, sam.mask_decoder, sam.prompt_encoder):
        module.requires_grad_(True)


def merge_adapters(model: UniBiomedModel) -> None:
    """Fold the adapters into the weights they adapt, so that ``model`` has the published layout again; in place."""
    for parent in list(model.language_model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, _plain(child))
    model.requires_grad_(True)


def _plain(layer: LoraLayer) -> nn.Module:
    return layer.get_base_layer()
