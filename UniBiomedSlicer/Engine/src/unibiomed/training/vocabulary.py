# SPDX-License-Identifier: Apache-2.0
"""A small tokenizer of the published kind (Qwen2 byte-level BPE) learned from the text that a small model will see."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.models.qwen2 import Qwen2Tokenizer

# The same strings and the same order as the published vocabulary (model specification, section 2). The chat marks of
# the Phi-3 template are ordinary text there; here they are tokens, which saves a small model eight steps an answer.
PAD, END = "<|endoftext|>", "<|im_end|>"
QWEN_TOKENS = (PAD, "<|im_start|>", END)
INTERNVL_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>")
UNIBIOMED_TOKENS = ("[SEG]", "<p>", "</p>", "<vp>", "</vp>")
TEMPLATE_TOKENS = ("<|user|>", "<|assistant|>", "<|end|>")

# Qwen2's own splitting rule, as its tokenizer.json states it.
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_tokenizer(texts: Iterable[str], vocab_size: int) -> Qwen2Tokenizer:
    """Learn a byte-level BPE from ``texts`` and add the published special tokens.

    Args:
        texts: sentences without special tokens.
        vocab_size: tokens before the special ones; at least 256, one for each byte.

    Returns:
        A tokenizer that splits any text, and whose ``save_pretrained`` writes the published files.
    """
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.NFC()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    vocabulary, merges = _learned_tables(learner)
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,
    )
    tokenizer.add_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token in (*QWEN_TOKENS, *INTERNVL_TOKENS, *UNIBIOMED_TOKENS, *TEMPLATE_TOKENS)
        ]
    )
    return tokenizer


def _learned_tables(learner: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary and the merge list of a learned BPE, out of its own JSON."""
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]
