# SPDX-License-Identifier: Apache-2.0
"""Puts a prediction together from an answer and its masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.generation import Answer
from unibiomed.model.prediction import Prediction, read_spans
from unibiomed.model.prompt import Prompt
from unibiomed.model.tracking import FrameMasks


def assemble(
    tokenizer: PreTrainedTokenizerBase,
    config: UniBiomedConfig,
    prompt: Prompt,
    answer: Answer,
    frames: Sequence[FrameMasks],
    shape: tuple[int, int, int],
) -> Prediction:
    """The prediction of a prompt; ``shape`` is (frames, height, width) of what was looked at, zeros for a text turn.

    ``frames`` is empty where the answer has no segment.
    """
    text = tokenizer.decode(answer.token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False).strip()
    logprobs = np.asarray(answer.logprobs, dtype=np.float32)
    n_segments = len(frames[0].low_res) if frames else 0
    if frames:
        low_res = torch.stack([frame.low_res for frame in frames], dim=1)
        logits = low_res.cpu().numpy()
        masks = full_size_masks(low_res, config.sam_image_size, shape[1:])
        scores = torch.stack([frame.object_score for frame in frames], dim=1).cpu().numpy()
        ious = torch.stack([frame.iou for frame in frames], dim=1).cpu().numpy()
    else:
        logits = np.zeros((0, shape[0], config.low_res_size, config.low_res_size), dtype=np.float32)
        masks = np.zeros((0, *shape), dtype=bool)
        scores = ious = np.zeros((0, shape[0]), dtype=np.float32)
    seg_logprobs = logprobs[answer.seg_steps[:n_segments]]
    confidence = np.zeros(0) if not frames else np.exp(seg_logprobs) * ious[:, 0] / (1 + np.exp(-scores[:, 0]))
    plain, spans = read_spans(text, n_segments)
    return Prediction(
        text=text,
        token_ids=tuple(answer.token_ids),
        token_logprobs=logprobs,
        plain_text=plain,
        spans=spans,
        masks=masks,
        mask_logits=logits,
        confidence=confidence.astype(np.float32),
        object_scores=scores,
        iou_scores=ious,
        history=f"{prompt.text}{text}\n",
    )


def full_size_masks(low_res: torch.Tensor, sam_size: int, size: tuple[int, int]) -> np.ndarray:
    """Logits (s, n, h, w) to masks (s, n, H, W): first to SAM's input size, then to ``size`` (height, width).

    The two steps are not the same as one (specification §9.6). Frame by frame, so that a long video stays small.
    """
    segments, frames = low_res.shape[:2]
    masks = np.zeros((segments, frames, *size), dtype=bool)
    for frame in range(frames):
        large = functional.interpolate(
            low_res[:, frame, None].float(), size=(sam_size, sam_size), mode="bilinear", align_corners=False
        )
        final = functional.interpolate(large, size=size, mode="bilinear", align_corners=False)
        masks[:, frame] = (final[:, 0] > 0).cpu().numpy()
    return masks
