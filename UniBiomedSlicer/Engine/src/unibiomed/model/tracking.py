# SPDX-License-Identifier: Apache-2.0
"""Masks of all segments on all frames: prompted frames first, then tracking through memory (specification §9).

All segments are carried together: a frame is encoded once, and memory encoder, memory attention and mask decoder run
once a frame for all of them. What no later frame reads is not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import Sam2VideoModel

from unibiomed.model.grounding import MaskOutput, SamFeatures, attend_to_memory, decode_masks, encode_memory

PROMPTED_FRAMES = 5


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """One frame's result for s segments: ``low_res`` (s, h, w) logits, ``iou`` (s,), ``object_score`` (s,)."""

    low_res: torch.Tensor
    iou: torch.Tensor
    object_score: torch.Tensor


def track(
    sam: Sam2VideoModel,
    features: Callable[[int], SamFeatures],
    n_frames: int,
    n_prompted: int,
    seg_embeddings: torch.Tensor,
    on_frame: Callable[[int], None] | None = None,
) -> list[FrameMasks]:
    """Masks of s segments (prompts (s, d)) on every frame, in order.

    ``features(t)`` gives the features of one frame and is called once a frame; ``on_frame(t)`` is called after each
    and may raise to stop.
    """
    state = _Memory(sam, n_frames, n_prompted)
    results = []
    for frame in range(n_frames):
        seen = features(frame)
        if frame < n_prompted:
            output = decode_masks(sam, _for_each(seen, len(seg_embeddings)), seg_embeddings)
        else:
            conditioned = state.attend(seen.embedding, frame)
            output = decode_masks(sam, _for_each(seen, len(seg_embeddings)), None, conditioned=conditioned)
        state.remember(frame, seen.embedding, output)
        results.append(FrameMasks(output.best_low_res, output.best_iou, output.object_score[:, 0]))
        if on_frame is not None:
            on_frame(frame)
    return results


def _for_each(features: SamFeatures, count: int) -> SamFeatures:
    """One frame's features for every segment, without a copy."""
    return SamFeatures(
        *(part.expand(count, -1, -1, -1) for part in (features.high_res_0, features.high_res_1, features.embedding))
    )


class _Memory:
    """What SAM 2 remembers of the segments: all prompted frames, the last six tracked ones, and pointers."""

    def __init__(self, sam: Sam2VideoModel, n_frames: int, n_prompted: int) -> None:
        self._sam = sam
        self._n_frames, self._n_prompted = n_frames, n_prompted
        self._memories: dict[int, torch.Tensor] = {}
        self._pointers: dict[int, torch.Tensor] = {}
        self._rows = sam.config.num_maskmem
        self._max_pointers = min(n_frames, sam.config.max_object_pointers_in_encoder)

    def attend(self, embedding: torch.Tensor, frame: int) -> torch.Tensor:
        prompted = range(self._n_prompted)
        memories = [(self._rows - 1, self._memories[t]) for t in prompted]
        for distance in range(self._rows - 1, 0, -1):
            if frame - distance >= self._n_prompted:
                memories.append((distance - 1, self._memories[frame - distance]))
        pointers = [self._pointers[t] for t in prompted]
        for distance in range(1, self._max_pointers):
            if frame - distance >= self._n_prompted:
                pointers.append(self._pointers[frame - distance])
        return attend_to_memory(self._sam, embedding, memories, pointers)

    def remember(self, frame: int, embedding: torch.Tensor, output: MaskOutput) -> None:
        if self._n_prompted >= self._n_frames or frame == self._n_frames - 1:
            return
        expanded = embedding.expand(len(output.best), -1, -1, -1)
        self._memories[frame] = encode_memory(self._sam, expanded, output.best_low_res)
        self._pointers[frame] = output.pointer
        for store, reach in ((self._memories, self._rows - 1), (self._pointers, self._max_pointers - 1)):
            forgotten = frame - reach
            if forgotten >= self._n_prompted:
                store.pop(forgotten, None)
