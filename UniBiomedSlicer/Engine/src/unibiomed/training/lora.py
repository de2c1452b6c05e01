# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning as the paper does it: LoRA in the language model; projector, [SEG] head and SAM 2's mask heads in full.

r = 128 and alpha = 256 are the released configuration's values. There both image encoders stay as they are; with
``encoders`` they get adapters too: what they do not see of a new scanner's pictures, no head can learn. The memory
stays frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from unibiomed.model.modeling import UniBiomedModel

_LANGUAGE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_TOWER = ("q_proj", "k_proj", "v_proj", "projection_layer", "fc1", "fc2")
_HIERA = ("qkv", "proj", "proj_in", "proj_out")


@dataclass(frozen=True)
class LoraOptions:
    """Rank, scale and dropout of the adapters; ``encoders``: the image encoders have some, of ``encoder_rank``."""

    rank: int = 128
    alpha: int = 256
    dropout: float = 0.05
    encoders: bool = False
    encoder_rank: int = 32


def add_adapters(model: UniBiomedModel, options: LoraOptions) -> None:
    """Freeze ``model`` but for new adapters and the small heads named above; in place."""
    model.requires_grad_(False)
    sam = model.grounding_encoder
    _inject(model.language_model, _LANGUAGE, options, options.rank)
    if options.encoders:
        _inject(model.vision_model, _TOWER, options, options.encoder_rank)
        _inject(sam.vision_encoder.backbone, _HIERA, options, options.encoder_rank)
    for module in (model.mlp1, model.text_hidden_fcs, sam.mask_decoder, sam.prompt_encoder):
        module.requires_grad_(True)
    if options.encoders:
        sam.vision_encoder.neck.requires_grad_(True)


def merge_adapters(model: UniBiomedModel) -> None:
    """Fold the adapters into the weights they adapt, so that ``model`` has the published layout again; in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(parent, name, _plain(child))
    model.requires_grad_(True)


def _inject(module: nn.Module, layers: tuple[str, ...], options: LoraOptions, rank: int) -> None:
    # Alpha goes with the rank, so that the same learning rate suits both.
    alpha = round(options.alpha * rank / options.rank)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=options.dropout, target_modules=list(layers))
    inject_adapter_in_model(config, module)


def _plain(layer: LoraLayer) -> nn.Module:
    return layer.get_base_layer()
