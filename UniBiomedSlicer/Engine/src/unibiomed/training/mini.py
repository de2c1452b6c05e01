# SPDX-License-Identifier: Apache-2.0
"""UniBiomed-Mini: the bundled model's sizes and recipe. The classes and code are those of the published model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.phantoms import TargetSpec
from unibiomed.training.phantom_data import sample_texts
from unibiomed.training.vocabulary import build_tokenizer

TOKENIZER_EXAMPLES = 4000
VOCABULARY = 1500


def mini_tokenizer():
    """Mini's tokenizer, learned from the text of the first training examples (deterministic)."""
    return build_tokenizer(sample_texts(range(TOKENIZER_EXAMPLES)), VOCABULARY)


def mini_config(vocabulary: int) -> UniBiomedConfig:
    """Mini's sizes for a vocabulary of so many tokens: about 10 M parameters, tile 176 in 8-pixel patches, masks
    at 256."""
    return UniBiomedConfig.from_sizes(
        vocab_size=vocabulary,
        tile_size=176,
        max_tiles=1,
        sam_image_size=256,
        vision={
            "hidden_size": 192,
            "num_hidden_layers": 5,
            "num_attention_heads": 3,
            "intermediate_size": 768,
            "patch_size": 8,
        },
        language={
            "hidden_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 704,
            "max_position_embeddings": 4096,
        },
        sam2={
            "embed_dim": 32,
            "num_heads": 1,
            "stages": [1, 2, 8, 2],
            "global_att_blocks": [5, 8, 10],
            "window_spec": [8, 8, 16, 8],
            "d_model": 128,
            "mem_layers": 2,
            "mem_ffn": 256,
            "sam_mlp_dim": 256,
            "iou_hidden": 128,
        },
    )


def mini_description(targets: Iterable[TargetSpec]) -> dict[str, Any]:
    """The content of Mini's ``unibiomed.json``; the presence thresholds are added by ``unibiomed evaluate --fit``."""
    return {
        "name": "UniBiomed-Mini",
        "version": "1",
        "licence": "Apache-2.0",
        "notice": "Trained on synthetic phantoms and template brains; not for real patients, not for clinical use.",
        "targets": [asdict(target) for target in targets],
    }
