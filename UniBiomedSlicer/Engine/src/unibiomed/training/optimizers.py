# SPDX-License-Identifier: Apache-2.0
"""AdamW for everything, or Muon for the matrices of the transformers' layers and AdamW for the rest.

Muon (Jordan and others 2024) steps a matrix along the nearest orthogonal one. A small transformer that starts from
noise learns about as much from half the pictures; an embedding, a convolution or a vector has no use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from unibiomed.training.loop import LoopOptions

_LAYERS = (".layer.", ".layers.", ".blocks.")


def make_optimizers(modules: dict[str, torch.nn.Module], options: LoopOptions) -> list[torch.optim.Optimizer]:
    """The optimizers of what ``modules`` train, each parameter in one of them; decay applies to matrices only."""
    named = {id(p): (name, p) for m in modules.values() for name, p in m.named_parameters() if p.requires_grad}
    inner, matrices, rest = [], [], []
    for name, parameter in named.values():
        if parameter.ndim < 2:
            rest.append(parameter)
        elif options.muon and parameter.ndim == 2 and any(part in name for part in _LAYERS):
            inner.append(parameter)
        else:
            matrices.append(parameter)
    decay = options.weight_decay
    groups = [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    found: list[torch.optim.Optimizer] = []
    if groups:
        found.append(torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.95)))
    if inner:
        # The update has the size of AdamW's, so that one learning rate serves both.
        muon = torch.optim.Muon(inner, lr=options.learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        found.append(muon)
    return found
