# SPDX-License-Identifier: Apache-2.0
"""What the model is taught: the right masks with the right words, spelled as inference spells them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.errors import InputError
from unibiomed.model.prompt import VisualLayout, build_prompt
from unibiomed.phantoms import generate
from unibiomed.tasks import templates
from unibiomed.training.conversations import Mix, make_example
from unibiomed.training.encoding import IGNORED, encode_conversation
from unibiomed.training.phantom_data import TRAINING_SEEDS, PhantomExamples
from unibiomed.training.turns import Conversation, Turn
from unibiomed.training.video_data import VideoExamples


def test_example_n_is_the_same_every_time(examples):
    first, second = examples.picture(17), PhantomExamples(0, 10_000, size=64, extra_share=0.0).picture(17)
    assert np.array_equal(first.image, second.image)
    questions = [[turn.question for turn in c.turns] for c in first.conversations]
    assert questions == [[turn.question for turn in c.turns] for c in second.conversations]


@settings(max_examples=25, deadline=None)
@given(number=st.integers(0, 9_999))
def test_every_seg_of_an_answer_has_its_mask(examples, number):
    example = examples.picture(number)
    for conversation in (*example.conversations, *example.drawn):
        for turn in conversation.turns:
            assert turn.answer.count("[SEG]") == len(turn.masks)
            assert all(mask.shape == example.image.shape[:2] for mask in turn.masks)


@settings(max_examples=25, deadline=None)
@given(number=st.integers(0, 9_999))
def test_a_segmentation_mask_is_filled_exactly_where_the_phantom_has_the_target(examples, number):
    example = examples.picture(number)
    truths = example.dense
    for turn in example.conversations[0].turns:
        named = [phrase for phrase in truths if phrase in turn.question]
        if turn.masks[0].any():
            assert any(np.array_equal(turn.masks[0], truths[phrase]) for phrase in named)
        else:
            assert not any(f" {phrase}" in turn.question for phrase in truths)


def test_a_healthy_picture_says_no_findings_with_an_empty_mask(tokenizer):
    phantom = generate("X-Ray", 3, size=64, abnormal=False)
    mix = Mix(text_questions=4)
    example = make_example(phantom, tuple(phantom.specs.values()) * 2 + (_foreign(),), np.random.default_rng(0), mix)
    answers = {turn.question: turn for c in example.conversations[1:] for turn in c.turns}
    recognition = next(turn for question, turn in answers.items() if question in templates.RECOGNISE)
    assert recognition.answer == "It is [SEG]. no findings in chest X-Ray."
    assert not recognition.masks[0].any()


def test_only_answers_are_taught(tokenizer):
    picture = np.zeros((64, 64, 3), np.uint8)
    turns = (Turn("Please segment liver in abdomen CT.", "It is [SEG].", (np.ones((64, 64), bool),)),)
    encoded = encode_conversation(Conversation(picture, turns), tokenizer, 4)
    taught = encoded.input_ids[encoded.labels != IGNORED]
    assert tokenizer.decode(taught) == "It is [SEG].<|end|>"
    assert tokenizer.decode([encoded.input_ids[encoded.seg_positions[0]]]) == "[SEG]"


def test_a_conversation_is_spelled_as_inference_spells_prompt_and_follow_up(tokenizer):
    picture = np.zeros((64, 64, 3), np.uint8)
    first = Turn("Please segment liver in abdomen CT.", "It is [SEG].", (np.ones((64, 64), bool),))
    second = Turn(templates.REPORT[2], "<p> no findings. the lungs are clear. </p> [SEG]", (np.zeros((64, 64), bool),))
    encoded = encode_conversation(Conversation(picture, (first, second)), tokenizer, 4)
    visual = VisualLayout((4,))
    history = f"<|user|>\n{visual.text()}{first.question}<|end|>\n<|assistant|>\n{first.answer}<|end|>\n"
    prompt = build_prompt(tokenizer, second.question, history, visual, limit=4096)
    answer = tokenizer.encode(second.answer + "<|end|>")
    assert [*prompt.ids, *answer] == encoded.input_ids.tolist()


def test_training_never_draws_from_the_seeds_of_evaluation():
    with pytest.raises(InputError, match="beyond"):
        PhantomExamples(TRAINING_SEEDS - 5, 10)


def test_a_stack_starts_where_its_target_is_well_visible():
    video = VideoExamples(size=64, slices=12)[3]
    assert video.masks[0].any()
    assert video.frames.shape[:3] == video.masks.shape
    assert 1 <= video.n_prompted < len(video.frames)


def _foreign():
    return next(iter(generate("pathology", 0, size=64).specs.values()))
