# SPDX-License-Identifier: Apache-2.0
"""Training-only aids for a model that starts from noise; all of them are thrown away afterwards.

The paper starts from pretrained parts and needs nothing like it. Two heads that name every pixel give both image
encoders all targets of a picture in one pass, where a prompt gives one. A table with one prompt vector for each phrase
teaches the mask decoder without the language model in between, and tells the language model what [SEG] has to say.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from unibiomed.training.losses import dice_loss, mask_cross_entropy


class DenseHead(nn.Module):
    """Target logits for every pixel of the finest feature map, from all three levels."""

    def __init__(self, channels: tuple[int, int, int], phrases: tuple[str, ...], hidden: int = 96) -> None:
        """``channels`` of the three feature levels, finest first; one output for each of ``phrases``."""
        super().__init__()
        self.phrases = phrases
        self.mix = nn.Conv2d(sum(channels), hidden, 1)
        self.read = nn.Conv2d(hidden, len(phrases), 1)

    def forward(self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Three feature maps (b, c, h, w), finest first, to logits (b, phrases, h, w) at the finest grid."""
        size = fine.shape[-2:]
        levels = [fine] + [
            functional.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in (middle, coarse)
        ]
        return self.read(functional.gelu(self.mix(torch.cat(levels, dim=1))))


class CellHead(nn.Module):
    """The same for one grid of vectors, the rows that the language model sees say: four quarters of each cell."""

    def __init__(self, hidden: int, phrases: tuple[str, ...]) -> None:
        """``hidden`` numbers a vector; four outputs for each of ``phrases``."""
        super().__init__()
        self.read = nn.Linear(hidden, 4 * len(phrases))
        # It may begin on features that are trained already; nothing is likely to be in any one place.
        nn.init.zeros_(self.read.weight)
        nn.init.constant_(self.read.bias, -3.0)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (b, s * s, hidden) of one picture each to logits (b, phrases, 2s, 2s)."""
        side = round(rows.shape[1] ** 0.5)
        cells = self.read(rows).transpose(1, 2).unflatten(2, (side, side))
        return functional.pixel_shuffle(cells, 2)


class TrainingAids(nn.Module):
    """The heads and the phrase table of a run.

    ``coarse`` reads SAM 2's coarsest features alone: the object score is decided there, where a small lesion is less
    than a cell. ``boxed`` says which pixels belong to what a drawn box is around, and nothing of the rest.
    """

    def __init__(self, width: int, hidden: int, phrases: tuple[str, ...]) -> None:
        """``width`` of SAM 2's features, ``hidden`` of the language model."""
        super().__init__()
        self.sam = DenseHead((width // 8, width // 4, width), phrases)
        self.coarse = CellHead(width, phrases)
        self.vision = CellHead(hidden, phrases)
        self.boxed = CellHead(hidden, phrases)
        self.prompts = nn.Embedding(len(phrases), width)


def dense_loss(logits: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Cross entropy and Dice over what is known.

    Args:
        logits: (b, phrases, h, w).
        truth: (b, phrases, s, s) area fractions, s at least h.
        known: (b, phrases) bool; elsewhere it is not said whether the target is there.
    """
    if truth.shape[-1] != logits.shape[-1]:
        truth = functional.adaptive_avg_pool2d(truth, logits.shape[-2:])
    picked, wanted = logits.float()[known], truth[known]
    present = wanted.amax((-2, -1)) > 0
    loss = 4.0 * mask_cross_entropy(picked, wanted).mean()
    if bool(present.any()):
        loss = loss + dice_loss(picked[present], wanted[present]).mean()
    return loss
