# SPDX-License-Identifier: Apache-2.0
"""The full-size model with random weights on this CPU: seconds and peak memory, ours and the released call pattern's.

    python Testing/benchmarks/bench_full.py [--tiny] [--output FILE.json] [--skip-reference]

Each side runs in a process of its own, so that its peak memory is its own. Figures are printed as
``name = value unit``. About seven minutes and 8 GB for the full size on two cores; not part of the tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import reference_pattern
import torch
from harness import (
    ANSWER,
    GOLDEN,
    QUESTION,
    REPOSITORY,
    TARGETS,
    Figures,
    forced_answer,
    peak_gigabytes,
    picture,
    published_config,
    seconds,
    tiny_config,
)
from transformers import Qwen2Tokenizer
from unibiomed.model.api import UniBiomed
from unibiomed.model.checkpoint import load_model, save_model
from unibiomed.model.device import choose_device
from unibiomed.model.info import ModelInfo
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.model.quantization import quantize_linears

SLICES = 7


def ours(figures: Figures, *, tiny: bool) -> None:
    """The engine: load time, prompts on new and known slices, five prompts, propagation, int8, memory."""
    tokenizer = Qwen2Tokenizer.from_pretrained(str(GOLDEN / "model"))
    model = _random_model(tiny, attention="sdpa")
    figures.add("parameters", sum(p.numel() for p in model.parameters()) / 1e6, "M")
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, tokenizer, folder, dtype=torch.bfloat16)
        del model
        loaded: list[UniBiomedModel] = []
        figures.add("load", seconds(lambda: loaded.append(load_model(folder).model)), "s")
    model = loaded[0].requires_grad_(False)
    figures.add("memory after loading", peak_gigabytes(), "GB")
    answer = tokenizer.encode(ANSWER, add_special_tokens=False)
    figures.add("answer", len(answer), "tokens")
    engine = UniBiomed(model, tokenizer, choose_device("cpu"), ModelInfo(name="random", folder=Path()))
    questions = [QUESTION.replace("liver", target) for target in TARGETS]
    with forced_answer(model.language_model.lm_head, answer):
        engine.predict(picture(0), QUESTION, draft=ANSWER)
        slices = iter(range(1, 100))

        def one() -> None:
            prediction = engine.predict(picture(next(slices)), QUESTION, draft=ANSWER)
            _check(prediction.text == ANSWER and prediction.masks.shape == (1, 1, 512, 512))

        figures.add("one prompt", seconds(one, repeat=3), "s")
        known = picture(50)
        engine.predict(known, questions[0], draft=ANSWER)
        remaining = iter(questions[1:])
        figures.add("next prompt", seconds(lambda: engine.predict(known, next(remaining), draft=ANSWER), repeat=3), "s")
        new = picture(51)
        figures.add(
            "five prompts", seconds(lambda: engine.predict_batch([new] * 5, questions, drafts=[ANSWER] * 5)), "s"
        )
        frames = [picture(60 + t) for t in range(SLICES)]
        figures.add(
            f"{SLICES} slices propagated", seconds(lambda: engine.predict_video(frames, QUESTION, draft=ANSWER)), "s"
        )
        plain = UniBiomed(model, tokenizer, choose_device("cpu"), engine.info, speculative=False)
        plain.predict(known, questions[0])
        rest = iter(questions[1:])
        figures.add("next prompt, token by token", seconds(lambda: plain.predict(known, next(rest)), repeat=2), "s")
        figures.add("peak memory", peak_gigabytes(), "GB")
        before = engine.predict(picture(70), QUESTION, draft=ANSWER)
        quantize_linears(model)
        small = UniBiomed(model, tokenizer, choose_device("cpu"), engine.info)
        small.predict(picture(71), QUESTION, draft=ANSWER)
        after = []
        spent = seconds(lambda: after.append(small.predict(picture(70), QUESTION, draft=ANSWER)))
        figures.add("one prompt, int8", spent, "s")
        difference = np.abs(after[0].mask_logits - before.mask_logits).max() / np.abs(before.mask_logits).max()
        figures.add("largest mask logit difference of int8, relative", float(difference), "")


def reference(figures: Figures, *, tiny: bool) -> None:
    """The released call pattern: one prompt, the same slice again, five prompts, propagation, memory."""
    tokenizer = Qwen2Tokenizer.from_pretrained(str(GOLDEN / "model"))
    model = _random_model(tiny, attention="eager").requires_grad_(False)
    answer = tokenizer.encode(ANSWER, add_special_tokens=False)

    def call(pictures: list[np.ndarray]) -> Callable[[], None]:
        def run() -> None:
            text, masks = reference_pattern.predict(model, tokenizer, pictures, QUESTION)
            _check(text == ANSWER and len(masks) == 1)

        return run

    with forced_answer(model.language_model.lm_head, answer):
        call([picture(0)])()
        one = seconds(call([picture(1)]), repeat=2)
        figures.add("one prompt, reference", one, "s")
        figures.add("next prompt, reference", seconds(call([picture(1)])), "s")
        # Every prompt is a call like the first: measured once, counted five times.
        figures.add("five prompts, reference", 5 * one, "s")
        frames = [picture(60 + t) for t in range(SLICES)]
        figures.add(f"{SLICES} slices propagated, reference", seconds(call(frames)), "s")
    figures.add("peak memory, reference", peak_gigabytes(), "GB")


def _random_model(tiny: bool, *, attention: str) -> UniBiomedModel:
    torch.manual_seed(0)
    model = UniBiomedModel(tiny_config() if tiny else published_config(), attention=attention).eval()
    tokenizer = Qwen2Tokenizer.from_pretrained(str(GOLDEN / "model"))
    model.image_context_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    return model


def _check(holds: bool) -> None:
    if not holds:
        raise RuntimeError("the forced answer or its mask did not come out; the figures would mean nothing")


def main() -> None:
    """Run both sides, each in its own process, and save their figures together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to try the benchmark itself")
    parser.add_argument("--skip-reference", action="store_true", help="measure the engine only")
    parser.add_argument("--side", choices=("ours", "reference"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-full.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = Figures()
    if options.side:
        (ours if options.side == "ours" else reference)(figures, tiny=options.tiny)
        figures.save(options.output)
        return
    for side in ("ours",) if options.skip_reference else ("ours", "reference"):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.json"
            command = [
                sys.executable,
                __file__,
                "--side",
                side,
                "--output",
                str(part),
                "--threads",
                str(options.threads),
            ]
            subprocess.run([*command, *(["--tiny"] if options.tiny else [])], check=True)
            figures.values.update(json.loads(part.read_text())["figures"])
    figures.save(options.output)
    print(f"saved to {options.output}")


if __name__ == "__main__":
    main()
