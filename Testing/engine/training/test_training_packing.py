# SPDX-License-Identifier: Apache-2.0
"""Several conversations about one picture are read in one sequence as if each were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from unibiomed.training.encoding import IGNORED, encode_conversation
from unibiomed.training.packing import pack, visible
from unibiomed.training.turns import Conversation, Turn

BLANK = np.zeros((64, 64, 3), np.uint8)
EMPTY = np.zeros((64, 64), bool)


@pytest.fixture
def conversations(tokenizer, tiny_config):
    turns = (
        Turn("Please segment liver in abdomen CT.", "It is [SEG].", (EMPTY,)),
        Turn("What is this?", "liver in abdomen CT", image_newline=True),
        Turn("Please segment heart in chest CT.", "It is [SEG].", (EMPTY,)),
    )
    return [encode_conversation(Conversation(BLANK, (turn,)), tokenizer, tiny_config.tokens_per_tile) for turn in turns]


def test_a_packed_conversation_is_read_as_if_it_were_alone(tiny_model, conversations):
    packs = pack(conversations, [0, 0, 1], 0)
    rows = torch.randn(2, tiny_model.config.tokens_per_tile, tiny_model.config.language.hidden_size)
    read = tiny_model.language_model.model
    with torch.no_grad():
        embeds = tiny_model.embed_prompt(packs.input_ids, rows[packs.picture].flatten(0, 1))
        together = read(
            inputs_embeds=embeds, attention_mask=visible(packs.conversation), position_ids=packs.positions
        ).last_hidden_state
        for number, (encoded, picture) in enumerate(zip(conversations, (0, 0, 1), strict=True)):
            alone = read(inputs_embeds=tiny_model.embed_prompt(_ids(encoded), rows[picture])).last_hidden_state[0]
            mine = packs.conversation[picture] == (number + 1 if picture == 0 else 1)
            assert torch.allclose(together[picture][mine], alone[encoded.opening :], atol=1e-5)


def test_a_pack_holds_the_picture_once_and_every_answer(conversations):
    packs = pack(conversations, [0, 0, 1], 0)
    opening = conversations[0].opening
    assert int((packs.conversation[0] >= 0).sum()) == sum(len(c.input_ids) for c in conversations[:2]) - opening
    taught = [label for c in conversations for label in c.labels if label != IGNORED]
    assert sorted(packs.labels[packs.labels != IGNORED].tolist()) == sorted(taught)


def test_seg_places_point_at_seg(conversations, tokenizer):
    packs = pack(conversations, [0, 0, 1], 0)
    found = packs.input_ids[packs.seg_pack, packs.seg_position]
    assert found.tolist() == [tokenizer.convert_tokens_to_ids("[SEG]")] * 2


def _ids(encoded):
    return torch.from_numpy(encoded.input_ids)[None]
