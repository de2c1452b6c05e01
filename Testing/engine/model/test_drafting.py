# SPDX-License-Identifier: Apache-2.0
"""Drafted answers change the time and never the tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from unibiomed.model.api import UniBiomed
from unibiomed.model.drafting import AnswerMemory, Lookup
from unibiomed.model.generation import Answer, Decoder
from unibiomed.model.prompt import build_prompt
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


def embedded_prompt(case, model: UniBiomed) -> torch.Tensor:
    """The embedded prompt of a golden request, without running SAM 2."""
    text, history = case.request["text"], case.request["past_text"]
    if not case.pictures:
        prompt = build_prompt(model.tokenizer, text, history, None, limit=8192)
        return model.model.embed_prompt(torch.tensor([prompt.ids]), None)[0]
    scene = Scene.video(case.pictures) if case.request["video"] else Scene.image(case.pictures[0])
    return model._embedded(model._job(scene, text, history, case.regions), 0)


@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_tokens_equal_plain_greedy_whatever_the_draft_says(
    name: str, golden_case: Callable, golden_model: UniBiomed
) -> None:
    case = golden_case(name)
    right = case.expected["generated_ids"]
    prompt = embedded_prompt(case, golden_model)
    decoder = golden_model._decoder
    plain, _ = decoder.decode([prompt])
    assert plain[0].token_ids == right
    assert plain[0].passes == len(right)
    half = len(right) // 2
    drafts = {
        "right": right,
        "wrong": [5, 6, 7, 8],
        "right then wrong": [*right[:half], 7, 7, 7],
        "wrong in the middle": [*right[:half], 7, *right[half + 1 :]],
        "too long": [*right, 9, 9],
        "too short": right[:half],
    }
    for kind, draft in drafts.items():
        answers, fed = decoder.decode([prompt], drafters=[Lookup((tuple(draft),))])
        assert answers[0].token_ids == right, kind
        assert answers[0].seg_steps == plain[0].seg_steps, kind
        assert len(fed[0][0][0, 0]) >= len(prompt) + len(right) - 1, kind
        if plain[0].seg_states:
            assert torch.allclose(answers[0].seg_hidden, plain[0].seg_hidden, atol=5e-5), kind
        if kind in ("right", "too long"):
            assert answers[0].passes == 1, kind
    print(f"{name}: {len(right)} tokens, 1 pass with the right draft")


@torch.inference_mode()
def test_prompts_decoded_together_equal_those_decoded_alone(golden_case: Callable, golden_model: UniBiomed) -> None:
    prompts = [embedded_prompt(golden_case(name), golden_model) for name in ("c3_region_prompts", "c5_text_followup")]
    right = [golden_case(name).expected["generated_ids"] for name in ("c3_region_prompts", "c5_text_followup")]
    together, _ = golden_model._decoder.decode(prompts)
    assert [answer.token_ids for answer in together] == right
    mixed = [Lookup((tuple(right[0]),)), Lookup((tuple(right[1][:2]),))]
    together, _ = golden_model._decoder.decode(prompts, drafters=mixed)
    assert [answer.token_ids for answer in together] == right


def test_a_drafted_step_with_a_thin_margin_is_decided_by_a_pass_of_its_own(golden_model: UniBiomed) -> None:
    decoder: Decoder = golden_model._decoder
    logits = torch.zeros(3, 50)
    logits[0, 4], logits[1, 5], logits[1, 6], logits[2, 7] = 9, 5.001, 5.0, 9
    answer = Answer()
    used, redo = decoder._take(answer, logits, torch.zeros(3, 8), [4, 5], 100, False)
    assert (answer.token_ids, used, redo) == ([4], 0, True)
    logits[1, 6] = 4.0
    answer = Answer()
    used, redo = decoder._take(answer, logits, torch.zeros(3, 8), [4, 5], 100, False)
    assert (answer.token_ids, used, redo) == ([4, 5, 7], 2, False)


@torch.inference_mode()
def test_the_length_limit_ends_an_answer(golden_case: Callable, golden_model: UniBiomed) -> None:
    case = golden_case("c5_text_followup")
    right = case.expected["generated_ids"]
    prompt = embedded_prompt(case, golden_model)
    for drafters in (None, [Lookup((tuple(right),))]):
        answers, _ = golden_model._decoder.decode([prompt], max_new_tokens=3, drafters=drafters)
        assert answers[0].token_ids == right[:3]


def test_the_stop_mark_is_found_however_it_is_spelled(golden_model: UniBiomed) -> None:
    stop, tokenizer = golden_model._decoder._stop, golden_model.tokenizer
    single = [tokenizer.encode(c, add_special_tokens=False)[0] for c in "<|end|>"]
    newline = tokenizer.encode("\n", add_special_tokens=False)
    assert stop(tokenizer.encode("It is so.<|end|>", add_special_tokens=False))
    assert stop(single)
    assert stop([*single, *newline * 3])
    assert stop([*single[:4], *newline * 30, *single[4:]])
    assert not stop(single[:-1])
    assert not stop(tokenizer.encode("the <|end|> of", add_special_tokens=False))
    assert stop(tokenizer.encode("yes<|im_end|>", add_special_tokens=False))


def test_answers_are_guessed_from_earlier_ones() -> None:
    memory = AnswerMemory()
    memory.remember("where", (1, 2, 3, 4, 5))
    memory.remember("what", (7, 8, 9))
    assert tuple(memory.drafter("where")([])) == (1, 2, 3, 4, 5)
    assert tuple(memory.drafter("new")([])) == (7, 8, 9)
    assert tuple(memory.drafter("new", (3, 3))([])) == (3, 3)
    assert tuple(memory.drafter("new")([6, 2, 3])) == (4, 5)
    assert tuple(memory.drafter("new")([6, 6])) == ()
    for number in range(100):
        memory.remember(str(number), (number,))
    assert len(memory._answers) == 32
