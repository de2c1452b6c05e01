# SPDX-License-Identifier: Apache-2.0
"""A model of a few thousand parameters, its tokenizer, and a few examples."""

from __future__ import annotations

import pytest
import torch
from unibiomed.model.checkpoint import IMAGE_CONTEXT
from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.batching import Collator
from unibiomed.training.initialisation import initialise
from unibiomed.training.phantom_data import PhantomExamples, sample_texts
from unibiomed.training.vocabulary import build_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer(sample_texts(range(40)), 500)


@pytest.fixture(scope="session")
def tiny_config(tokenizer) -> UniBiomedConfig:
    return UniBiomedConfig.from_sizes(
        vocab_size=len(tokenizer),
        tile_size=56,
        sam_image_size=128,
        vision={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
        language={
            "hidden_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
            "max_position_embeddings": 1024,
        },
        sam2={
            "embed_dim": 16,
            "num_heads": 1,
            "stages": [1, 1, 2, 1],
            "global_att_blocks": [3],
            "d_model": 64,
            "mem_layers": 1,
            "mem_ffn": 64,
            "sam_mlp_dim": 64,
            "iou_hidden": 32,
        },
    )


@pytest.fixture
def tiny_model(tiny_config, tokenizer) -> UniBiomedModel:
    torch.manual_seed(0)
    model = UniBiomedModel(tiny_config)
    initialise(model)
    model.image_context_id = tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT)
    return model


@pytest.fixture(scope="session")
def examples() -> PhantomExamples:
    return PhantomExamples(0, 10_000, size=64, extra_share=0.0)


@pytest.fixture(scope="session")
def collator(tiny_config, tokenizer, examples) -> Collator:
    phrases = tuple(spec.phrase for spec in examples.catalogue)
    return Collator(tiny_config, tokenizer, 32, phrases)
