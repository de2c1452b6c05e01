# SPDX-License-Identifier: Apache-2.0
"""The call pattern of the released inference code, on this repository's modules: what the engine is measured against.

The released code itself cannot be imported here, so its pattern is followed, on the same transformers classes and the
same weights (``model_performance.md`` §1 measured the original at 16.6 s a still and 136 s for seven slices):

* eager attention in the vision tower, the language model and SAM 2, with transformers' unused product in Hiera;
* one call a prompt; nothing survives a call;
* greedy decoding token by token, all hidden states of all layers kept, the whole text decoded after every token;
* every [SEG] on its own: its frames encoded again, in a video the prompted ones twice;
* the feature pyramid with position tables for every level, the memory encoder for stills and for the last frame too.

It is kinder than the original in one thing: ``lm_head`` runs for the last row only, as newer transformers do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedTokenizerBase
from unibiomed.model.assembly import full_size_masks
from unibiomed.model.grounding import SamFeatures, attend_to_memory, decode_masks, encode_memory
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.model.preprocessing import sam_pixels, tiles
from unibiomed.model.prompt import VisualLayout, build_prompt

PROMPTED = 5


@torch.inference_mode()
def predict(
    model: UniBiomedModel, tokenizer: PreTrainedTokenizerBase, pictures: Sequence[np.ndarray], text: str
) -> tuple[str, list[np.ndarray]]:
    """Text and the masks of every [SEG], (frames, H, W) each; one picture is a still, several are a video.

    ``model`` should be built with ``attention="eager"``.
    """
    config, still = model.config, len(pictures) == 1
    shown = pictures[:PROMPTED]
    parts = [tiles(p, tile_size=config.tile_size, max_tiles=config.max_tiles, split=still) for p in shown]
    rows = model.encode_tiles(torch.cat(parts)).flatten(0, 1)
    layout = VisualLayout(tuple(len(part) * config.tokens_per_tile for part in parts))
    prompt = build_prompt(tokenizer, text, "", layout, limit=config.language.max_position_embeddings)
    answer, states = _generate(model, tokenizer, model.embed_prompt(torch.tensor([prompt.ids]), rows))
    seg = tokenizer.convert_tokens_to_ids("[SEG]")
    wanted = [states[step + 1] for step, token in enumerate(answer[:-1]) if token == seg]
    masks = [_masks_of_one(model, pictures, model.seg_embedding(state[None])) for state in wanted]
    return tokenizer.decode(answer), masks


def _generate(
    model: UniBiomedModel, tokenizer: PreTrainedTokenizerBase, embedded: torch.Tensor
) -> tuple[list[int], list[torch.Tensor]]:
    language, cache = model.language_model, DynamicCache()
    answer: list[int] = []
    kept: list[tuple[torch.Tensor, ...]] = []
    fed = embedded
    while True:
        output = language(
            inputs_embeds=fed, past_key_values=cache, use_cache=True, output_hidden_states=True, logits_to_keep=1
        )
        cache = output.past_key_values
        kept.append(output.hidden_states)
        answer.append(int(output.logits[0, -1].float().argmax()))
        ended = tokenizer.decode(answer).replace("\r", "").replace("\n", "").endswith("<|end|>")
        if ended or answer[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>"):
            return answer, [states[-1][0, -1] for states in kept]
        fed = language.model.embed_tokens(torch.tensor([[answer[-1]]]))


def _features(model: UniBiomedModel, picture: np.ndarray) -> SamFeatures:
    sam = model.grounding_encoder
    pixels = sam_pixels(picture, size=model.config.sam_image_size)[None]
    maps = sam.get_image_features(pixels, return_dict=True).fpn_hidden_states
    sizes = sam.backbone_feature_sizes
    return SamFeatures(*(m.permute(1, 2, 0).reshape(1, -1, *size) for m, size in zip(maps, sizes, strict=True)))


def _masks_of_one(model: UniBiomedModel, pictures: Sequence[np.ndarray], embedding: torch.Tensor) -> np.ndarray:
    sam = model.grounding_encoder
    prompted = min(len(pictures), PROMPTED)
    memories, pointers, low = [], [], []
    for picture in pictures[:prompted]:
        features = _features(model, picture)
        output = decode_masks(sam, features, embedding)
        memories.append(encode_memory(sam, features.embedding, output.best_low_res))
        pointers.append(output.pointer)
        low.append(output.best_low_res)
    for frame, picture in enumerate(pictures):
        if len(pictures) == 1:
            break
        features = _features(model, picture)
        if frame < prompted:
            continue
        rows = [(6, memory) for memory in memories[:prompted]]
        rows += [(frame - t - 1, memories[t]) for t in range(max(prompted, frame - 6), frame)]
        known = [*pointers[:prompted], *reversed(pointers[max(prompted, frame - 15) :])]
        conditioned = attend_to_memory(sam, features.embedding, rows, known)
        output = decode_masks(sam, features, None, conditioned=conditioned)
        memories.append(encode_memory(sam, features.embedding, output.best_low_res))
        pointers.append(output.pointer)
        low.append(output.best_low_res)
    logits = torch.stack(low, dim=1)
    return full_size_masks(logits, model.config.sam_image_size, pictures[0].shape[:2])[0]
