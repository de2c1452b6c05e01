# SPDX-License-Identifier: Apache-2.0
"""Greedy decoding in batches, with drafted answers verified in one pass and only the needed states kept.

A draft is a guess of the answer. It is fed together with the prompt; the tokens up to the first one that the model
would not have chosen are taken, and the model's own choice follows. What comes out is therefore what plain greedy
decoding gives, whatever the draft says. One thing could break that: a pass over several rows rounds differently from
a pass over one. So a drafted step whose two best logits are nearer than ``_SAFE_MARGIN`` is done again on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache, PreTrainedTokenizerBase, Qwen2ForCausalLM

KeyValues = list[tuple[torch.Tensor, torch.Tensor]]
Drafter = Callable[[Sequence[int]], Sequence[int]]

MAX_NEW_TOKENS = 2048
_STOP_TEXT = "<|end|>"
# Rounding moves a float32 logit by some 1e-5 and a half-precision one by some 1e-1.
_SAFE_MARGIN = {torch.float32: 1e-2, torch.float16: 0.25, torch.bfloat16: 0.5}


@dataclass(eq=False)
class Answer:
    """What the model said to one prompt.

    ``seg_states``: the final state at which each ``[SEG]`` was fed in (specification §8), ``seg_steps`` its index in
    ``token_ids``; ``logit_rows`` (one a token) only if asked for; ``passes``: how often the language model ran for it.
    """

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    seg_states: list[torch.Tensor] = field(default_factory=list)
    seg_steps: list[int] = field(default_factory=list)
    logit_rows: list[torch.Tensor] = field(default_factory=list)
    done: bool = False
    passes: int = 0

    @property
    def seg_hidden(self) -> torch.Tensor:
        """States of the [SEG] tokens, (m, hidden), m at least 1."""
        return torch.stack(self.seg_states)

    def add_seg(self, state: torch.Tensor) -> None:
        """Note the state of the last token, a [SEG]."""
        self.seg_states.append(state)
        self.seg_steps.append(len(self.token_ids) - 1)


@dataclass(frozen=True)
class StopRule:
    """Ends an answer at ``<|im_end|>`` or when its text ends with ``<|end|>`` (line ends not counted)."""

    tokenizer: PreTrainedTokenizerBase
    eos_id: int

    def __call__(self, ids: Sequence[int]) -> bool:
        """Whether the answer is complete; decodes only as much of the tail as the rule needs."""
        if ids[-1] == self.eos_id:
            return True
        length = 8
        while True:
            tail = self.tokenizer.decode(ids[-length:], skip_special_tokens=False, clean_up_tokenization_spaces=False)
            tail = tail.replace("\r", "").replace("\n", "")
            if len(tail) > len(_STOP_TEXT) or length >= len(ids):
                return tail.endswith(_STOP_TEXT)
            length *= 2


class Decoder:
    """Greedy decoding of one or several prompts over shared or own prefixes; keeps no state between calls."""

    def __init__(self, language_model: Qwen2ForCausalLM, stop: StopRule, seg_id: int) -> None:
        """``seg_id`` is the id of ``[SEG]``."""
        self._model = language_model
        self._stop = stop
        self._seg_id = seg_id

    def prefill(self, embedded: torch.Tensor) -> KeyValues:
        """Keys and values of prompts without padding, embedded (b, L, hidden)."""
        output = self._model.model(inputs_embeds=embedded, use_cache=True)
        return _key_values(output.past_key_values)

    def decode(
        self,
        embedded: Sequence[torch.Tensor],
        *,
        prefix: KeyValues | None = None,
        drafters: Sequence[Drafter | None] | None = None,
        max_new_tokens: int = MAX_NEW_TOKENS,
        keep_logits: bool = False,
        on_tokens: Callable[[Sequence[int]], None] | None = None,
    ) -> tuple[list[Answer], KeyValues]:
        """Answer b prompts whose embedded rest (L_i, hidden) follows ``prefix`` (b rows of equal length, or None).

        ``on_tokens`` is given the first prompt's tokens so far after every pass, and may raise to stop.

        Returns the answers and, for a single prompt, the keys and values of all that was fed, in order; for several
        prompts an empty list, as their rows have gaps.
        """
        count = len(embedded)
        answers = [Answer() for _ in range(count)]
        guess = list(drafters) if drafters is not None else [None] * count
        cache = _cache(prefix) if prefix else DynamicCache()
        start = cache.get_seq_length()
        device = embedded[0].device
        # One row an unfinished prompt: its number, its next position, and the columns of the cache that are its own.
        active = list(range(count))
        position = [start] * count
        columns = torch.ones((count, start), dtype=torch.long, device=device)
        rest: list[torch.Tensor] = list(embedded)
        lone = False
        while active:
            drafts = [self._draft(guess[i], answers[i], max_new_tokens, lone) for i in active]
            feeds = [
                torch.cat([rest[i], self._embed(d)]) if d else rest[i] for i, d in zip(active, drafts, strict=True)
            ]
            width = max(len(feed) for feed in feeds)
            padded = torch.stack([_pad(feed, width) for feed in feeds])
            fed = torch.tensor([len(feed) for feed in feeds], device=device)
            own = (torch.arange(width, device=device)[None] < fed[:, None]).long()
            columns = torch.cat([columns, own], dim=1)
            places = torch.tensor([position[i] for i in active], device=device)[:, None] + torch.arange(
                width, device=device
            )
            output = self._model.model(
                inputs_embeds=padded,
                attention_mask=None if len(active) == 1 and bool(columns.all()) else columns,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            hidden = output.last_hidden_state
            firsts = [len(rest[i]) - 1 for i in active]
            logits = self._logits(hidden, firsts, drafts)
            kept, lone = [], False
            for row, i in enumerate(active):
                answers[i].passes += 1
                used, redo = self._take(
                    answers[i], logits[row], hidden[row, firsts[row] :], drafts[row], max_new_tokens, keep_logits
                )
                lone = lone or redo
                keep = len(rest[i]) + used
                kept.append(keep)
                columns[row, columns.shape[1] - width + keep :] = 0
                position[i] += keep
                if not answers[i].done:
                    rest[i] = self._embed(answers[i].token_ids[-1:])
            if on_tokens is not None and active[0] == 0:
                on_tokens(answers[0].token_ids)
            if count == 1:
                cache = _cropped(cache, cache.get_seq_length() - width + kept[0])
                columns = columns[:, : cache.get_seq_length()]
            elif any(answers[i].done for i in active):
                stay = [row for row, i in enumerate(active) if not answers[i].done]
                active, columns = [active[row] for row in stay], columns[stay]
                if active:
                    cache = _cache([(k[stay], v[stay]) for k, v in _key_values(cache)])
                continue
            active = [i for i in active if not answers[i].done]
        return answers, _key_values(cache) if count == 1 else []

    def _draft(self, drafter: Drafter | None, answer: Answer, limit: int, lone: bool) -> list[int]:
        if drafter is None or lone:
            return []
        draft = list(drafter(answer.token_ids))[: max(limit - len(answer.token_ids) - 1, 0)]
        # The token that would end the answer need not be fed: the row before it decides.
        return draft[:-1] if draft and self._stop([*answer.token_ids, *draft]) else draft

    def _embed(self, ids: Sequence[int]) -> torch.Tensor:
        table = self._model.model.embed_tokens
        return table(torch.tensor(list(ids), dtype=torch.long, device=table.weight.device))

    def _logits(self, hidden: torch.Tensor, firsts: list[int], drafts: list[list[int]]) -> list[torch.Tensor]:
        rows = [hidden[row, first : first + 1 + len(drafts[row])] for row, first in enumerate(firsts)]
        return list(self._model.lm_head(torch.cat(rows)).float().split([len(r) for r in rows]))

    def _take(
        self,
        answer: Answer,
        logits: torch.Tensor,
        states: torch.Tensor,
        draft: list[int],
        limit: int,
        keep_logits: bool,
    ) -> tuple[int, bool]:
        """Append what the rows of one pass prove; returns how many drafted tokens stay fed, and whether to redo one."""
        best = logits.topk(2, dim=-1)
        tokens = best.indices[:, 0].tolist()
        chosen = (best.values[:, 0] - logits.logsumexp(dim=-1)).tolist()
        margins = (best.values[:, 0] - best.values[:, 1]).tolist()
        safe = _SAFE_MARGIN.get(states.dtype, 0.5)
        if answer.token_ids and answer.token_ids[-1] == self._seg_id:
            answer.add_seg(states[0])
        for step, token in enumerate(tokens):
            if step and margins[step] < safe:
                # The token fed last is fed again alone, and decides then.
                if draft[step - 1] == self._seg_id:
                    answer.seg_states.pop()
                    answer.seg_steps.pop()
                return step - 1, True
            answer.token_ids.append(token)
            answer.logprobs.append(chosen[step])
            if keep_logits:
                answer.logit_rows.append(logits[step])
            if self._stop(answer.token_ids) or len(answer.token_ids) >= limit:
                answer.done = True
                return step, False
            if step == len(draft) or draft[step] != token:
                return step, False
            if token == self._seg_id:
                answer.add_seg(states[step + 1])
        raise AssertionError("a pass has one row more than its draft")


def _pad(rows: torch.Tensor, width: int) -> torch.Tensor:
    return rows if len(rows) == width else torch.cat([rows, rows.new_zeros(width - len(rows), rows.shape[1])])


def _cache(key_values: KeyValues) -> DynamicCache:
    return DynamicCache(ddp_cache_data=key_values)


def _key_values(cache: DynamicCache) -> KeyValues:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _cropped(cache: DynamicCache, length: int) -> DynamicCache:
    if length == cache.get_seq_length():
        return cache
    return _cache([(k[:, :, :length], v[:, :, :length]) for k, v in _key_values(cache)])
