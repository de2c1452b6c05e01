# SPDX-License-Identifier: Apache-2.0
"""Dynamic int8 of the large linear layers, for CPUs: weights are stored in int8, activations quantised as they come."""

from __future__ import annotations

import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

from unibiomed.model.modeling import UniBiomedModel


def quantize_linears(model: UniBiomedModel) -> None:
    """Replace the linear layers of vision tower, language model and Hiera by dynamic int8 ones, in place.

    ``lm_head``, the projector, the ``[SEG]`` head, mask decoder and memory keep float32: they are small, and they
    decide the words and the masks. Such a model cannot be saved or moved off the CPU.
    """
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = "x86" if "x86" in engines else engines[-1]
    for part in (
        model.vision_model.encoder,
        model.language_model.model.layers,
        model.grounding_encoder.vision_encoder.backbone.blocks,
    ):
        quantize_dynamic(part, {nn.Linear}, dtype=torch.qint8, inplace=True)
