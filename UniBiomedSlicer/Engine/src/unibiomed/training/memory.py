# SPDX-License-Identifier: Apache-2.0
"""Teaching SAM 2's memory alone: what a model does on single pictures stays exactly as it is."""

from __future__ import annotations

from unibiomed.model.modeling import UniBiomedModel


def leave_only_memory(model: UniBiomedModel) -> None:
    """Freeze ``model`` but for the parts that tracked frames alone read; in place."""
    model.requires_grad_(False)
    sam = model.grounding_encoder
    for module in (sam.memory_attention, sam.memory_encoder, sam.object_pointer_proj):
        module.requires_grad_(True)
    for parameter in (sam.memory_temporal_positional_encoding, sam.no_object_pointer):
        parameter.requires_grad_(True)
