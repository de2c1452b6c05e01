# SPDX-License-Identifier: Apache-2.0
"""What drafts, caches, batches and int8 do on a small model, in minutes.

    python Testing/benchmarks/bench_small.py [--model FOLDER_OR_NAME] [--output FILE.json]

The default model is the tiny one of the golden cases, whose answers are real ones of its weights; with it the masks of
the golden cases under int8 are compared with those in float32 too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import reference_pattern
import torch
from harness import (
    ANSWER,
    GOLDEN,
    QUESTION,
    REPOSITORY,
    Figures,
    forced_answer,
    peak_gigabytes,
    picture,
    seconds,
)
from PIL import Image
from unibiomed.model.api import UniBiomed
from unibiomed.model.cache import FeatureCache
from unibiomed.model.checkpoint import load_model
from unibiomed.model.loading import find_model, load
from unibiomed.model.prediction import Prediction

ANSWER_TOKENS = 24
IMAGES = 4


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(GOLDEN / "model"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-small.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = Figures()
    folder = find_model(options.model)
    plain = load(folder, device="cpu", speculative=False, cache=FeatureCache(0), max_new_tokens=ANSWER_TOKENS)
    drafted = load(folder, device="cpu", max_new_tokens=ANSWER_TOKENS)
    figures.add("parameters", sum(p.numel() for p in plain.model.parameters()) / 1e6, "M")
    figures.add("load", seconds(lambda: load_model(folder)), "s")
    _measure_prompts(figures, plain, drafted)
    _measure_reference(figures, folder)
    if folder == GOLDEN / "model":
        _measure_int8(figures, folder)
    figures.add("peak memory", peak_gigabytes(), "GB")
    figures.save(options.output)


def _measure_prompts(figures: Figures, plain: UniBiomed, drafted: UniBiomed) -> None:
    images = [picture(seed, 256) for seed in range(IMAGES)]
    texts = [QUESTION] * IMAGES
    plain.predict(images[0], QUESTION)
    figures.add(
        "one prompt, nothing kept, token by token", seconds(lambda: plain.predict(images[0], QUESTION), repeat=3), "s"
    )
    figures.add("one prompt, new picture", seconds(lambda: drafted.predict(images[0], QUESTION)), "s")
    figures.add(
        "the same prompt again, right draft", seconds(lambda: drafted.predict(images[0], QUESTION), repeat=3), "s"
    )
    figures.add("next prompt, same picture", seconds(lambda: drafted.predict(images[0], f"{QUESTION} Now.")), "s")
    single = seconds(lambda: [drafted.predict(image, QUESTION) for image in images[1:]])
    drafted.cache.clear()
    batched = seconds(lambda: drafted.predict_batch(images[1:], texts[1:]))
    figures.add(f"{IMAGES - 1} pictures one by one", single, "s")
    figures.add(f"{IMAGES - 1} pictures in a batch", batched, "s")


def _measure_reference(figures: Figures, folder: Path) -> None:
    """The released call pattern against the engine on a new picture, both with the same forced answer."""
    eager = load_model(folder, attention="eager")
    answer = eager.tokenizer.encode(ANSWER, add_special_tokens=False)
    images = iter([picture(seed, 256) for seed in range(20, 30)])
    with forced_answer(eager.model.language_model.lm_head, answer):
        old = seconds(
            lambda: reference_pattern.predict(eager.model, eager.tokenizer, [next(images)], QUESTION), repeat=3
        )
    engine = load(folder, device="cpu")
    with forced_answer(engine.model.language_model.lm_head, answer):
        new = seconds(lambda: engine.predict(next(images), QUESTION, draft=ANSWER), repeat=3)
    figures.add("one prompt, forced answer, reference", old, "s")
    figures.add("one prompt, forced answer", new, "s")


def _measure_int8(figures: Figures, folder: Path) -> None:
    exact, quantised = load(folder, device="cpu"), load(folder, device="cpu", quantize="int8")
    for case in sorted(GOLDEN.glob("c*")):
        request = json.loads((case / "request.json").read_text())
        if not request["image"]:
            continue
        a, b = (_golden(model, case, request) for model in (exact, quantised))
        same = a.token_ids == b.token_ids and a.n_segments == b.n_segments
        figures.add(f"{case.name}: text under int8 equal", float(same), "")
        if same:
            overlap = (a.masks & b.masks).sum() / (a.masks | b.masks).sum()
            figures.add(f"{case.name}: IoU of the masks under int8", float(overlap), "")
            figures.add(
                f"{case.name}: largest logit difference", float(np.abs(a.mask_logits - b.mask_logits).max()), ""
            )


def _golden(model: UniBiomed, case: Path, request: dict[str, str]) -> Prediction:
    image = Image.open(case / request["image"]).convert("RGB")
    regions = np.load(case / request["mask_prompts"])["masks"] if request["mask_prompts"] else None
    return model.predict(image, request["text"], history=request["past_text"], regions=regions)


if __name__ == "__main__":
    main()
