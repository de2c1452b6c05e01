# SPDX-License-Identifier: Apache-2.0
"""What is encoded once stays encoded, and answers do not depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from unibiomed.model.api import UniBiomed
from unibiomed.model.cache import FeatureCache, content_key
from unibiomed.model.loading import load
from unibiomed.model.preprocessing import to_rgb
from unibiomed.model.scene import Scene

QUESTION = "<image>Could you provide a segmentation mask for the liver?"


@pytest.fixture
def runs(golden_model: UniBiomed) -> Counter:
    """How many pictures each encoder saw."""
    seen: Counter = Counter()
    sam = golden_model.model.grounding_encoder
    parts = {
        "vit": golden_model.model.vision_model,
        "hiera": sam.vision_encoder.backbone,
        "memory": sam.memory_encoder,
    }
    for name, part in parts.items():
        part.register_forward_hook(
            lambda module, inputs, kwargs, output, name=name: seen.update(
                {name: len(kwargs.get("pixel_values", inputs[0] if inputs else None))}
            ),
            with_kwargs=True,
        )
    return seen


def picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_picture_is_encoded_once_for_prompt_repeat_and_followup(
    golden_case: Callable, golden_model: UniBiomed, golden_model_folder: Path, runs: Counter
) -> None:
    case = golden_case("c6_image_followup")
    first = case.predict(golden_model)
    assert runs == {"vit": 3, "hiera": 1}
    again = golden_model.predict(case.pictures[0].copy(), case.request["text"], history=case.request["past_text"])
    later = golden_model.predict(case.pictures[0], "Why do you say so?", history=first.history)
    assert runs == {"vit": 3, "hiera": 1}
    assert again.token_ids == first.token_ids
    assert np.abs(again.mask_logits - first.mask_logits).max() <= 1e-3
    plain = load(golden_model_folder, device="cpu", speculative=False, cache=FeatureCache(0))
    fresh = plain.predict(case.pictures[0], "Why do you say so?", history=first.history)
    assert later.token_ids == fresh.token_ids


def test_the_prefix_of_a_picture_is_not_read_again(golden_case: Callable, golden_model: UniBiomed) -> None:
    case = golden_case("c6_image_followup")
    scene = Scene.image(case.pictures[0])
    with torch.inference_mode():
        golden_model._decode_together([golden_model._job(scene, QUESTION, "", None)], [None])
        other = golden_model._job(scene, "<image>What is this?", "", None)
        length, _ = golden_model._encoder.known_prefix(scene, other.prompt)
        assert length >= other.prompt.picture_end
        mask = np.ones((1, *case.pictures[0].size[::-1]), dtype=np.uint8)
        regional = golden_model._job(scene, "<image>What is this?", "", mask)
        assert golden_model._encoder.known_prefix(scene, regional.prompt)[0] < len(regional.prompt.ids) - 256


def test_a_batch_answers_as_single_calls_do(golden_model: UniBiomed, golden_model_folder: Path, runs: Counter) -> None:
    golden_model._max_new_tokens = 12
    one, two = picture(1), picture(2)
    images = [one, two, one.copy(), one]
    texts = [QUESTION, QUESTION, "<image>Please segment spleen in abdomen CT.", "<image>\nWhat is the <region>?"]
    together = golden_model.predict_batch(images, texts)
    tiles_each = golden_model._encoder.visual_rows([Scene.image(one)])[0].shape[0] // 256
    assert runs["vit"] == 2 * tiles_each
    assert runs["hiera"] <= 2
    plain = load(golden_model_folder, device="cpu", speculative=False, max_new_tokens=12)
    alone = [plain.predict(image, text) for image, text in zip(images, texts, strict=True)]
    for a, b in zip(together, alone, strict=True):
        assert a.token_ids == b.token_ids
        assert a.mask_logits.shape == b.mask_logits.shape
        assert np.abs(a.mask_logits - b.mask_logits).max(initial=0) <= 1e-3
        assert a.text == b.text


def test_a_video_frame_is_encoded_once_for_all_segments_and_memory_only_where_it_is_read(
    golden_case: Callable, golden_model: UniBiomed, runs: Counter
) -> None:
    case = golden_case("c9_video_3_frames_two_masks")
    prediction = case.predict(golden_model)
    assert prediction.n_segments == 2
    assert runs == {"vit": 3, "hiera": 3}


def test_sam_does_not_run_for_an_answer_without_segments(
    golden_case: Callable, golden_model: UniBiomed, runs: Counter
) -> None:
    prediction = golden_case("c7_image_no_seg_eos").predict(golden_model)
    assert prediction.masks.shape == (0, 1, 448, 448)
    assert runs["hiera"] == 0


def entry(value: float, numbers: int = 256) -> dict[str, torch.Tensor]:
    return {"a": torch.full((numbers,), float(value))}


def test_the_cache_keeps_its_budget_and_forgets_the_oldest() -> None:
    cache = FeatureCache(3 * 1024)
    for name in "abc":
        cache.put(name, entry(1))
    assert cache.get("a") is not None
    cache.put("d", entry(2))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.statistics.bytes_in_memory == 3 * 1024
    cache.put("too large", entry(1, 10_000))
    assert cache.statistics.bytes_in_memory <= 3 * 1024
    cache.put("d", entry(3))
    cache.clear()
    assert cache.statistics.bytes_in_memory == 0


def test_entries_beyond_the_budget_come_back_from_disk_unchanged(tmp_path: Path) -> None:
    cache = FeatureCache(1024, spill=tmp_path, disk_budget=2 * 1024)
    for value, name in enumerate("abcd"):
        cache.put(("sam", name), entry(value))
    assert cache.statistics.bytes_on_disk == 2 * 1024
    assert cache.get(("sam", "a")) is None
    found = cache.get(("sam", "c"))
    assert found is not None
    assert torch.equal(found["a"], entry(2)["a"])
    assert cache.statistics.spilled_hits == 1
    cache.close()
    assert list(tmp_path.iterdir()) == []


def test_a_tiny_budget_changes_no_answer(golden_case: Callable, golden_model_folder: Path, tmp_path: Path) -> None:
    case = golden_case("c5_text_followup")
    assert (
        case.predict(load(golden_model_folder, device="cpu", cache=FeatureCache(0))).text == case.expected["prediction"]
    )
    spilled = load(golden_model_folder, device="cpu", cache=FeatureCache(0, spill=tmp_path), max_new_tokens=12)
    image = picture(3)
    first, second = spilled.predict(image, QUESTION), spilled.predict(image, QUESTION)
    assert spilled.cache.statistics.spilled_hits > 0
    assert first.token_ids == second.token_ids


def test_equal_pixels_share_a_key_and_other_shapes_do_not() -> None:
    image = picture(4)
    assert content_key(to_rgb(image)) == content_key(to_rgb(image.copy()))
    assert content_key(to_rgb(image)) != content_key(to_rgb(image.transpose(1, 0, 2)))
    assert content_key(to_rgb(image.reshape(64, 192, 3))) != content_key(to_rgb(image))
