# SPDX-License-Identifier: Apache-2.0
"""The little that a task needs of a model, so that tasks run with any object that has it (and import no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np


class PredictionLike(Protocol):
    """One answer; see ``unibiomed.model.prediction.Prediction``. H, W: the picture; n: segments; t: frames."""

    text: str
    token_ids: Sequence[int]
    masks: np.ndarray  # (n, t, H, W) bool
    object_scores: np.ndarray  # (n, t)
    iou_scores: np.ndarray  # (n, t)
    token_logprobs: np.ndarray  # (tokens,)
    history: str  # what a follow-up takes as its history


class Model(Protocol):
    """A loaded model; see ``unibiomed.model.api.UniBiomed``."""

    info: Any
    tokenizer: Any
    device: Any
    dtype: Any

    def predict(
        self,
        image: Any,
        text: str,
        *,
        regions: Any = None,
        history: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> PredictionLike:
        """Answer ``text`` about one picture; ``on_text`` is given the answer as it grows and may raise to stop."""

    def predict_batch(self, images: Sequence[Any], texts: Sequence[str]) -> list[PredictionLike]:
        """Answer ``texts[i]`` about ``images[i]``; a picture given several times is encoded once."""

    def predict_video(
        self, frames: Sequence[Any], text: str, *, on_frame: Callable[[int], None] | None = None
    ) -> PredictionLike:
        """Answer about a stack of frames, the first five prompted, the rest tracked; ``on_frame`` may raise to stop."""

    def escape(self, user_text: str) -> str:
        """Special tokens in a user's text made harmless."""
