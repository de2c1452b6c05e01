# SPDX-License-Identifier: Apache-2.0
"""The losses: the paper's (language, mask cross entropy, Dice) and those that SAM 2 itself is trained with."""

from __future__ import annotations

import torch
from torch.nn import functional

PAPER_MASK_CE_WEIGHT = 2.0
PAPER_DICE_WEIGHT = 0.5


def language_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of answer tokens. ``logits`` (n, vocabulary), ``labels`` (n,), already shifted; scalar."""
    return functional.cross_entropy(logits.float(), labels)


def resize_truth(masks: torch.Tensor, side: int) -> torch.Tensor:
    """Bool or float masks (n, H, W) to area fractions (n, side, side), so that no thin structure is lost."""
    return functional.interpolate(masks.float()[:, None], size=(side, side), mode="area")[:, 0]


def mask_cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy a mask, mean over its pixels. Both (..., h, w); returns (...)."""
    return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((-2, -1))


def dice_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice of a mask, smoothed by one pixel. Both (..., h, w); returns (...)."""
    probability = logits.sigmoid()
    overlap = (probability * truth).sum((-2, -1))
    return 1.0 - (2.0 * overlap + 1.0) / (probability.sum((-2, -1)) + truth.sum((-2, -1)) + 1.0)


def mask_losses(candidates: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy and Dice of every candidate mask.

    All candidates are taught the same mask: whichever the IoU head picks at inference is then a good one, while the
    best-of-three rule of SAM would leave two of them untaught for prompts that are not ambiguous.

    Args:
        candidates: logits (n, c, h, w).
        truth: area fractions (n, s, s); the logits are brought to this size bilinearly, as inference does.

    Returns:
        two tensors (n,): mean over the candidates.
    """
    side = truth.shape[-1]
    logits = functional.interpolate(candidates, size=(side, side), mode="bilinear", align_corners=False)
    wanted = truth[:, None].expand_as(logits)
    return mask_cross_entropy(logits, wanted).mean(1), dice_loss(logits, wanted).mean(1)


def iou_loss(candidates: torch.Tensor, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Squared error of the predicted IoU scores (n, c) against the real IoU of the candidates; returns (n,)."""
    with torch.no_grad():
        side = candidates.shape[-1]
        wanted = functional.interpolate(truth[:, None], size=(side, side), mode="area") > 0.5
        found = candidates > 0
        overlap = (found & wanted).sum((-2, -1)).float()
        union = (found | wanted).sum((-2, -1)).float()
        real = overlap / union.clamp_min(1.0)
    return (scores - real).square().mean(1)


def presence_loss(object_score: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of SAM 2's object score (n, 1) against presence (n,) bool; returns (n,)."""
    return functional.binary_cross_entropy_with_logits(object_score[:, 0].float(), present.float(), reduction="none")
