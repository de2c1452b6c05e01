# SPDX-License-Identifier: Apache-2.0
"""Mini's training in stages: each part learns alone what it can, since a step of everything costs four such steps.

``vision``  the vision tower names every pixel, and what is in a drawn box; nothing is asked
``masks``   SAM 2 draws and denies targets, prompted by a fixed vector for each phrase
``words``   the language model reads the vision tower, which is at rest, and learns to say each phrase's vector
``reading`` the same with the vision tower's last two layers
``joint``   everything, with the language model's own prompts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from unibiomed.training.conversations import Mix
from unibiomed.training.objective import LossWeights

StageName = Literal["vision", "masks", "words", "reading", "joint"]

_LANGUAGE = ("model.language_model.", "model.text_hidden_fcs.")
_ROWS = ("model.mlp1.", "aids.vision.", "aids.boxed.")
_VISION = ("model.vision_model.", *_ROWS)
# What the first layers see is good for any word; the way back through them would cost a quarter of a step.
_LAST_LAYERS = ("model.vision_model.encoder.layer.3.", "model.vision_model.encoder.layer.4.")
_MASKS = (
    "model.grounding_encoder.vision_encoder.",
    "model.grounding_encoder.mask_decoder.",
    "model.grounding_encoder.prompt_encoder.",
    "model.grounding_encoder.no_memory_embedding",
    "aids.sam.",
    "aids.coarse.",
)
_QUESTIONS: dict[str, Any] = {"segmentation_turns": 2, "text_questions": 4, "region_share": 0.6, "direct_prompts": 0}


@dataclass(frozen=True)
class Stage:
    """What is asked, what is trained (prefixes of parameter names), the first example, and how (``LoopOptions``)."""

    mix: Mix
    trained: tuple[str, ...]
    first_example: int
    weights: LossWeights = field(default_factory=LossWeights)
    loop: dict[str, Any] = field(default_factory=dict)


STAGES: dict[StageName, Stage] = {
    "vision": Stage(
        Mix(segmentation_turns=0, text_questions=0, region_share=0, direct_prompts=0, box_share=0.5, with_masks=False),
        _VISION,
        1_000_000,
        LossWeights(dense_vision=1.0, boxed=1.0),
        {"batch_size": 8, "learning_rate": 1.5e-3, "warmup_steps": 60, "muon": True, "precision": "bf16"},
    ),
    "masks": Stage(
        Mix(segmentation_turns=0, text_questions=0, region_share=0, with_rows=False),
        _MASKS,
        2_000_000,
        LossWeights(presence=1.0),
        {"batch_size": 8, "warmup_steps": 60, "muon": True, "precision": "bf16"},
    ),
    "words": Stage(
        Mix(**_QUESTIONS, with_masks=False),
        (*_LANGUAGE, *_ROWS),
        3_000_000,
        LossWeights(language=2.0),
        {"batch_size": 8, "warmup_steps": 40, "muon": True, "precision": "bf16"},
    ),
    "reading": Stage(
        Mix(**_QUESTIONS, with_masks=False),
        (*_LANGUAGE, *_ROWS, *_LAST_LAYERS),
        4_000_000,
        LossWeights(language=2.0),
        {"batch_size": 8, "warmup_steps": 40, "muon": True, "precision": "bf16"},
    ),
    "joint": Stage(
        Mix(segmentation_turns=2, text_questions=2, region_share=0.3, direct_prompts=4),
        (*_LANGUAGE, *_VISION, *_MASKS),
        5_000_000,
        LossWeights(language=2.0, presence=1.0),
        {"batch_size": 8, "warmup_steps": 20, "muon": True, "precision": "bf16"},
    ),
}


def leave_only(modules: dict[str, torch.nn.Module], trained: tuple[str, ...]) -> None:
    """Freeze all parameters of ``modules`` but those whose name (module's name first) begins as said; in place."""
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(f"{prefix}.{name}".startswith(trained))
