# SPDX-License-Identifier: Apache-2.0
"""An answer can be followed while it is written, and stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from unibiomed.model.cache import FeatureCache
from unibiomed.model.loading import load
from unibiomed.model.prediction import strip_ending


class Stopped(Exception):
    """Raised by the listener."""


def test_the_text_grows_to_the_answer_and_stays_what_it_is_without_a_listener(
    golden_case: Callable, golden_model_folder: Path
) -> None:
    case = golden_case("c6_image_followup")
    plain = load(golden_model_folder, device="cpu", speculative=False, cache=FeatureCache(0))
    seen: list[str] = []
    followed = case.predict(plain, on_text=seen.append)
    assert followed.token_ids == case.predict(plain).token_ids
    assert len(seen) == len(followed.token_ids)
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(seen))
    assert strip_ending(seen[-1]) == strip_ending(followed.text)


def test_a_listener_that_raises_stops_the_answer_and_the_model_goes_on_working(
    golden_case: Callable, golden_model_folder: Path
) -> None:
    case = golden_case("c6_image_followup")
    model = load(golden_model_folder, device="cpu")
    expected = case.predict(load(golden_model_folder, device="cpu")).token_ids
    seen: list[str] = []

    def stop(text: str) -> None:
        seen.append(text)
        raise Stopped

    with pytest.raises(Stopped):
        case.predict(model, on_text=stop)
    assert len(seen) == 1
    assert case.predict(model).token_ids == expected
