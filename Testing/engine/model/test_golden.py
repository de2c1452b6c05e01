# SPDX-License-Identifier: Apache-2.0
"""The engine answers as the released code does, within the tolerances that its README gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from unibiomed.model.api import UniBiomed
from unibiomed.model.loading import load
from unibiomed.model.preprocessing import sam_pixels, tile_grid, tiles
from unibiomed.model.scene import Scene

CASES = (
    "c1_image_one_mask",
    "c2_image_tiles_two_masks",
    "c3_region_prompts",
    "c4_video_6_frames",
    "c5_text_followup",
    "c6_image_followup",
    "c7_image_no_seg_eos",
    "c8_video_9_frames",
    "c9_video_3_frames_two_masks",
)
FINE, TRACKED = 1e-3, 1e-2


@pytest.mark.parametrize("name", CASES)
def test_text_masks_and_scores_equal_the_released_code(
    name: str, golden_case: Callable, golden_model: UniBiomed
) -> None:
    case = golden_case(name)
    prediction = case.predict(golden_model)
    expected = case.expected
    assert prediction.text == expected["prediction"]
    assert list(prediction.token_ids) == expected["generated_ids"]
    assert prediction.n_segments == expected["num_masks"]
    arrays = case.arrays("masks")
    worst = {"prompted": 0.0, "tracked": 0.0}
    for k in range(prediction.n_segments):
        sam = expected["sam"][k]
        truth, mask = case.mask(k), prediction.masks[k]
        assert mask.shape == truth.shape
        assert (mask != truth).mean() <= 1e-4
        assert (mask & truth).sum() / max((mask | truth).sum(), 1) >= 0.999
        assert np.abs(prediction.object_scores[k] - np.ravel(sam["object_score_logit"])).max() <= FINE
        assert np.abs(prediction.iou_scores[k] - np.max(sam["iou_scores"], axis=1)).max() <= FINE
        for t, kind in enumerate(sam["kind"]):
            for key, step in ((f"seg{k}_lowres_logits_f{t}", 1), (f"seg{k}_lowres_logits_s4_f{t}", 4)):
                if key in arrays:
                    prompted = kind.startswith("cond")
                    difference = np.abs(prediction.mask_logits[k, t, ::step, ::step] - arrays[key]).max()
                    group = "prompted" if prompted else "tracked"
                    worst[group] = max(worst[group], float(difference))
    assert worst["prompted"] <= FINE
    assert worst["tracked"] <= TRACKED
    print(f"{name}: tokens equal, {prediction.n_segments} masks, largest logit difference {worst}")


@pytest.mark.parametrize("name", [name for name in CASES if name != "c5_text_followup"])
def test_prompt_and_encoders_equal_the_released_code(name: str, golden_case: Callable, golden_model: UniBiomed) -> None:
    case = golden_case(name)
    model, config, expected = golden_model.model, golden_model.model.config, case.expected
    scene = Scene.video(case.pictures) if case.request["video"] else Scene.image(case.pictures[0])
    job = golden_model._job(scene, case.request["text"], case.request["past_text"], case.regions)
    assert len(job.prompt.ids) == expected["prompt_len"]
    assert list(job.prompt.ids) == [i for i, repeat in expected["prompt_ids_rle"] for _ in range(repeat)]
    assert len(job.prompt.rows) == expected["num_image_context_tokens"]
    shown = scene.pictures[: scene.n_prompted]
    pixels = torch.cat([tiles(p, max_tiles=config.max_tiles, split=not scene.is_video) for p in shown])
    assert list(pixels.shape) == expected["pixel_values_shape"]
    arrays = case.arrays("llm")
    assert np.abs(pixels[:, :, ::16, ::16].numpy() - arrays["pixel_values_s16"]).max() <= 1e-5
    with torch.inference_mode():
        rows = golden_model._encoder.visual_rows([scene])[0].numpy().reshape(expected["vit_embeds_shape"])
        embedded = golden_model._embedded(job, 0).double()
        seg = model.seg_embedding(torch.from_numpy(arrays["seg_hidden"])) if len(arrays.get("seg_hidden", ())) else None
    assert np.abs(rows[:, :: expected["vit_embeds_stride"]] - arrays["vit_embeds"]).max() <= 1e-4
    total, squares = expected["inputs_embeds_checksum"]
    assert float(embedded.sum()) == pytest.approx(total, abs=1e-2)
    assert float((embedded**2).sum()) == pytest.approx(squares, abs=1e-1)
    if seg is not None:
        assert np.abs(seg.numpy() - arrays["seg_embed"]).max() <= 5e-4


def test_logits_and_states_of_the_answer_equal_the_released_code(
    golden_case: Callable, golden_model: UniBiomed
) -> None:
    case = golden_case("c6_image_followup")
    arrays = case.arrays("llm")
    job = golden_model._job(Scene.image(case.pictures[0]), case.request["text"], case.request["past_text"], None)
    with torch.inference_mode():
        answers, _ = golden_model._decoder.decode([golden_model._embedded(job, 0)], keep_logits=True)
    logits = torch.stack(answers[0].logit_rows).numpy()
    assert np.abs(logits - arrays["new_logits"]).max() <= 2e-3
    assert np.abs(answers[0].seg_hidden.numpy() - arrays["seg_hidden"]).max() <= 5e-4


def test_sam_features_equal_the_released_code(golden_case: Callable, golden_model: UniBiomed) -> None:
    case = golden_case("c6_image_followup")
    arrays = case.arrays("sam_features")
    pixels = sam_pixels(case.pictures[0])
    assert np.abs(pixels[:, ::16, ::16].numpy() - arrays["sam_input_s16"]).max() <= 1e-5
    with torch.inference_mode():
        features = golden_model.model.image_features(pixels[None])
    assert np.abs(features.embedding[0, :, ::4, ::4].numpy() - arrays["fpn2_s4"]).max() <= 1e-4


def test_pictures_are_tiled_as_the_released_code_does(golden_folder) -> None:
    import json

    rows = json.loads((golden_folder / "preprocess_tiles.json").read_text())
    assert len(rows) == 34
    for row in rows:
        columns, lines = tile_grid(row["w"], row["h"])
        assert (columns, lines) == (row["cols"], row["rows"]), row
        assert columns * lines + (columns * lines > 1) == row["tiles_including_thumbnail"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_text_and_masks(dtype: str, golden_case: Callable, golden_model_folder) -> None:
    model = load(golden_model_folder, device="cpu", dtype=dtype)
    case = golden_case("c6_image_followup")
    prediction = case.predict(model)
    assert prediction.text == case.expected["prediction"]
    truth, mask = case.mask(0), prediction.masks[0]
    assert (mask & truth).sum() / (mask | truth).sum() >= 0.90
