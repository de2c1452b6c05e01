# SPDX-License-Identifier: Apache-2.0
"""UniBiomed as its callers see it: pictures and prompts in, grounded answers out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from unibiomed.errors import InputError
from unibiomed.model import prompt as prompts
from unibiomed.model.assembly import assemble
from unibiomed.model.cache import FeatureCache
from unibiomed.model.device import DeviceChoice
from unibiomed.model.drafting import AnswerMemory
from unibiomed.model.encoding import Encoder
from unibiomed.model.generation import MAX_NEW_TOKENS, Answer, Decoder, Drafter, KeyValues, StopRule
from unibiomed.model.grounding import SamFeatures, decode_masks
from unibiomed.model.info import ModelInfo
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.model.prediction import Prediction
from unibiomed.model.preprocessing import Picture
from unibiomed.model.prompt import Prompt, build_prompt
from unibiomed.model.scene import Scene
from unibiomed.model.tracking import FrameMasks, track

_USUAL_ANSWER = "It is [SEG].<|end|>"
_MASKS_A_PASS = 8


@dataclass(frozen=True, eq=False)
class _Job:
    """A prompt over a scene and the text that it was made from."""

    scene: Scene
    text: str
    prompt: Prompt


class UniBiomed:
    """A loaded model. Calls are deterministic; what they keep in :attr:`cache` changes their cost, not their result."""

    def __init__(
        self,
        model: UniBiomedModel,
        tokenizer: PreTrainedTokenizerBase,
        choice: DeviceChoice,
        info: ModelInfo,
        *,
        cache: FeatureCache | None = None,
        speculative: bool = True,
        max_new_tokens: int = MAX_NEW_TOKENS,
    ) -> None:
        """``speculative=False`` decodes token by token, for comparison; ``max_new_tokens`` ends an endless answer."""
        self.model = model
        self.tokenizer = tokenizer
        self.info = info
        self.cache = cache if cache is not None else FeatureCache()
        self._choice = choice
        self._speculative = speculative
        self._max_new_tokens = max_new_tokens
        eos, seg = tokenizer.convert_tokens_to_ids(["<|im_end|>", "[SEG]"])
        self._decoder = Decoder(model.language_model, StopRule(tokenizer, eos), seg)
        self._encoder = Encoder(model, self.cache, choice.device)
        self._answers = AnswerMemory()
        self._answers.remember("", tokenizer.encode(_USUAL_ANSWER, add_special_tokens=False))

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._choice.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self._choice.dtype

    @property
    def device_reason(self) -> str:
        """One sentence that says why this device and dtype were chosen."""
        return self._choice.reason

    def escape(self, user_text: str) -> str:
        """Make text typed by a person harmless; see :func:`unibiomed.model.prompt.escape`."""
        return prompts.escape(user_text, self.tokenizer)

    @torch.inference_mode()
    def predict(
        self,
        image: Picture | None,
        text: str,
        *,
        regions: Sequence[np.ndarray] | np.ndarray | None = None,
        history: str | None = None,
        draft: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Answer one prompt.

        ``image``: PIL picture or uint8 (H, W, 3), or None for a turn of text only. ``text`` and ``history`` are raw
        prompt strings: ``<image>`` where the picture belongs, ``history`` as ``Prediction.history`` of the turn before.
        ``regions`` (n, H, W) are masks that the prompt speaks of. ``draft`` is a guess of the answer, which affects
        only the time. ``on_text`` is given the answer so far, tags and all, as it grows, and may raise to stop.
        Raises InputError where they do not fit together.
        """
        if image is None:
            if regions is not None:
                raise InputError("Regions are given without the picture that they lie in.")
            return self._answer_text(text, history or "", draft, on_text)
        job = self._job(Scene.image(image), text, history or "", regions)
        return self._answer_scene(job, draft, on_text=on_text)

    @torch.inference_mode()
    def predict_video(
        self,
        frames: Sequence[Picture],
        text: str,
        *,
        history: str | None = None,
        draft: str | None = None,
        on_frame: Callable[[int], None] | None = None,
    ) -> Prediction:
        """Answer a prompt on a stack of frames: the first five are shown to the model, the rest are tracked.

        ``on_frame(t)`` is called after each frame's masks and may raise to stop.
        """
        return self._answer_scene(self._job(Scene.video(frames), text, history or "", None), draft, on_frame=on_frame)

    @torch.inference_mode()
    def predict_batch(
        self,
        images: Sequence[Picture],
        texts: Sequence[str],
        *,
        drafts: Sequence[str | None] | None = None,
        batch_size: int = 8,
    ) -> list[Prediction]:
        """Answer one prompt a picture; the same as :meth:`predict` one by one, faster.

        Pictures with the same number of tiles go through the language model together, and a picture that stands
        several times is encoded once.
        """
        guesses = list(drafts) if drafts is not None else [None] * len(texts)
        if not len(images) == len(texts) == len(guesses):
            raise InputError(f"There must be one text a picture, not {len(texts)} texts for {len(images)} pictures.")
        jobs = [self._job(Scene.image(p), text, "", None) for p, text in zip(images, texts, strict=True)]
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, job in enumerate(jobs):
            groups.setdefault(job.prompt.ids[: job.prompt.picture_end], []).append(index)
        results: dict[int, Prediction] = {}
        for members in groups.values():
            for start in range(0, len(members), batch_size):
                chosen = members[start : start + batch_size]
                answers = self._decode_together([jobs[i] for i in chosen], [guesses[i] for i in chosen])
                frames = self._stills([jobs[i].scene for i in chosen], answers)
                for i, answer, masks in zip(chosen, answers, frames, strict=True):
                    results[i] = self._assembled(jobs[i], answer, masks)
        return [results[i] for i in range(len(jobs))]

    @torch.inference_mode()
    def embed(self, images: Sequence[Picture]) -> np.ndarray:
        """One unit vector a picture, float32 (n, hidden): the mean of the rows that the language model sees of it.

        Pictures that look alike to the model are near each other; what the distance means is the model's own.
        """
        rows = self._encoder.visual_rows([Scene.image(image) for image in images])
        means = torch.stack([own.float().mean(0) for own in rows])
        return torch.nn.functional.normalize(means, dim=1).cpu().numpy()

    def _job(self, scene: Scene, text: str, history: str, regions: Sequence[np.ndarray] | np.ndarray | None) -> _Job:
        layout = scene.layout(self.model.config, regions)
        return _Job(scene, text, build_prompt(self.tokenizer, text, history, layout, limit=self._limit))

    @property
    def _limit(self) -> int:
        return int(self.model.config.language.max_position_embeddings)

    def _answer_text(
        self, text: str, history: str, draft: str | None, on_text: Callable[[str], None] | None
    ) -> Prediction:
        prompt = build_prompt(self.tokenizer, text, history, None, limit=self._limit)
        embedded = self.model.embed_prompt(self._ids(prompt.ids), None)[0]
        answers, _ = self._decode([embedded], [prompt], [text], [draft], None, on_text)
        return assemble(self.tokenizer, self.model.config, prompt, answers[0], [], (0, 0, 0))

    def _answer_scene(
        self,
        job: _Job,
        draft: str | None,
        *,
        on_frame: Callable[[int], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Prediction:
        scene, prompt = job.scene, job.prompt
        start, prefix = self._encoder.known_prefix(scene, prompt)
        answers, fed = self._decode([self._embedded(job, start)], [prompt], [job.text], [draft], prefix, on_text)
        answer = answers[0]
        signature = (*prompt.signature, *answer.token_ids)[: fed[0][0].shape[2]]
        self._encoder.keep_prefix(scene, signature, fed)
        if not scene.is_video:
            return self._assembled(job, answer, self._stills([scene], answers)[0])
        frames = []
        if answer.seg_states:
            frames = track(
                self.model.grounding_encoder,
                lambda t: self._encoder.sam_features([(scene.keys[t], scene.pictures[t])])[0],
                len(scene.pictures),
                scene.n_prompted,
                self.model.seg_embedding(answer.seg_hidden),
                on_frame,
            )
        return self._assembled(job, answer, frames)

    def _decode_together(self, jobs: Sequence[_Job], drafts: Sequence[str | None]) -> list[Answer]:
        """Answers of prompts whose ids are equal up to the end of the picture."""
        end = jobs[0].prompt.picture_end
        first = {job.scene.keys[0]: job for job in jobs}
        prefixes: dict[str, KeyValues] = {}
        for key, job in first.items():
            length, known = self._encoder.known_prefix(job.scene, job.prompt)
            if known is not None and length >= end:
                prefixes[key] = [(k[:, :, :end], v[:, :, :end]) for k, v in known]
        if lacking := [job for key, job in first.items() if key not in prefixes]:
            rows = self._encoder.visual_rows([job.scene for job in lacking])
            head = self._ids(jobs[0].prompt.ids[:end]).expand(len(lacking), -1)
            fresh = self._decoder.prefill(self.model.embed_prompt(head, torch.cat(rows)))
            for row, job in enumerate(lacking):
                own = [(k[row : row + 1].clone(), v[row : row + 1].clone()) for k, v in fresh]
                self._encoder.keep_prefix(job.scene, job.prompt.signature[:end], own)
                prefixes[job.scene.keys[0]] = own
        order = [prefixes[job.scene.keys[0]] for job in jobs]
        prefix = [
            (torch.cat([own[layer][0] for own in order]), torch.cat([own[layer][1] for own in order]))
            for layer in range(len(order[0]))
        ]
        rests = [self._embedded(job, end) for job in jobs]
        answers, _ = self._decode(rests, [job.prompt for job in jobs], [job.text for job in jobs], drafts, prefix)
        return answers

    def _decode(
        self,
        embedded: Sequence[torch.Tensor],
        asked: Sequence[Prompt],
        texts: Sequence[str],
        drafts: Sequence[str | None],
        prefix: KeyValues | None,
        on_text: Callable[[str], None] | None = None,
    ) -> tuple[list[Answer], KeyValues]:
        drafters: list[Drafter | None] = [None] * len(texts)
        if self._speculative:
            guesses = [self.tokenizer.encode(d, add_special_tokens=False) if d else None for d in drafts]
            drafters = [self._answers.drafter(t, g) for t, g in zip(texts, guesses, strict=True)]
        room = self._limit - max(len(prompt.ids) for prompt in asked)
        answers, fed = self._decoder.decode(
            embedded,
            prefix=prefix,
            drafters=drafters,
            max_new_tokens=min(self._max_new_tokens, room),
            on_tokens=None if on_text is None else lambda ids: on_text(self._readable(ids)),
        )
        for text, answer in zip(texts, answers, strict=True):
            self._answers.remember(text, answer.token_ids)
        return answers, fed

    def _readable(self, ids: Sequence[int]) -> str:
        """The text of an unfinished answer, without the first bytes of a letter whose other bytes are still to come."""
        text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text.rstrip("\ufffd").strip()

    def _stills(self, scenes: Sequence[Scene], answers: Sequence[Answer]) -> list[list[FrameMasks]]:
        """Masks of answers on single images; an image whose answer has no segment is not encoded."""
        grounded = [i for i, answer in enumerate(answers) if answer.seg_states]
        found: list[list[FrameMasks]] = [[] for _ in answers]
        if not grounded:
            return found
        features = self._encoder.sam_features([(scenes[i].keys[0], scenes[i].pictures[0]) for i in grounded])
        owners = [row for row, i in enumerate(grounded) for _ in answers[i].seg_states]
        embeddings = self.model.seg_embedding(torch.cat([answers[i].seg_hidden for i in grounded]))
        parts = []
        for start in range(0, len(owners), _MASKS_A_PASS):
            chosen = slice(start, start + _MASKS_A_PASS)
            seen = SamFeatures.cat([features[row] for row in owners[chosen]])
            output = decode_masks(self.model.grounding_encoder, seen, embeddings[chosen])
            parts.append(FrameMasks(output.best_low_res, output.best_iou, output.object_score[:, 0]))
        counts = [len(answers[i].seg_states) for i in grounded]
        columns = (
            torch.cat([part.low_res for part in parts]).split(counts),
            torch.cat([part.iou for part in parts]).split(counts),
            torch.cat([part.object_score for part in parts]).split(counts),
        )
        for i, *own in zip(grounded, *columns, strict=True):
            found[i] = [FrameMasks(*own)]
        return found

    def _assembled(self, job: _Job, answer: Answer, frames: Sequence[FrameMasks]) -> Prediction:
        width, height = job.scene.size
        shape = (len(job.scene.pictures), height, width)
        return assemble(self.tokenizer, self.model.config, job.prompt, answer, frames, shape)

    def _ids(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(ids)], dtype=torch.long, device=self.device)

    def _embedded(self, job: _Job, start: int) -> torch.Tensor:
        """Embeddings (L - start, hidden) of a prompt from ``start`` on; the picture is encoded only if it is needed."""
        rows = [-1 - s for s in job.prompt.signature[start:] if s < 0]
        visual = self._encoder.visual_rows([job.scene])[0][rows] if rows else None
        return self.model.embed_prompt(self._ids(job.prompt.ids[start:]), visual)[0]
