# SPDX-License-Identifier: Apache-2.0
"""Questions about one slice, with follow-ups; answers off the trained questions are flagged, not sold as reliable."""

from __future__ import annotations

import re

from unibiomed.errors import InputError
from unibiomed.tasks.answers import Link, ParsedAnswer, parse_answer
from unibiomed.tasks.catalogue import Catalogue, Target, catalogue_of
from unibiomed.tasks.detections import named_target
from unibiomed.tasks.findings import span
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.measure import segment_record
from unibiomed.tasks.presence import Thresholds, decide, observe, seg_logprobs
from unibiomed.tasks.progress import CancelCheck, Progress, Run
from unibiomed.tasks.prompts import user_text
from unibiomed.tasks.protocol import Model, PredictionLike
from unibiomed.tasks.provenance import provenance_of
from unibiomed.tasks.report import middle
from unibiomed.tasks.results import Answer, SegmentResult, TextSpan
from unibiomed.tasks.stack import PlaneStack
from unibiomed.tasks.templates import IMAGE, trained_blank, vqa_question
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.windows import Window

OFF_TEMPLATE = (
    "Not a question that the model was trained on: independent tests found its free answers wrong far more often than "
    "right, so do not rely on this one."
)
MAX_HISTORY = 20_000
"""Characters of a conversation, its picture not counted."""
_PICTURE = "<IMG_CONTEXT>"
_PACKED = re.compile(r"<IMG_CONTEXT\*(\d{1,5})>")


def answer(
    model: Model,
    volume: Volume,
    question: str | None = None,
    *,
    anatomy: str | None = None,
    history: str = "",
    slice_index: int | None = None,
    modality: str | None = None,
    site: str | None = None,
    window: Window | str | None = None,
    axis: str | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Answer:
    """Answer about one slice (None: the middle one).

    Give either ``anatomy`` ("liver": the trained question whether there is an abnormality in it) or a ``question`` in
    free words, which is escaped, and flagged ``off_template`` unless it follows a trained template for something the
    model knows. ``history`` is the ``Answer.history`` of the question before, about the same slice.

    InputError when both or none are given, or for text that cannot be sent (see ``prompts.check_text``).
    """
    run = Run(progress, cancelled)
    if (question is None) == (anatomy is None):
        raise InputError("Give either a question or the part of the body to ask about, one of the two.")
    if len(history) > MAX_HISTORY:
        raise InputError("This conversation is too long for the model; start a new one.")
    if anatomy is not None:
        asked = vqa_question(user_text(model, anatomy, "part of the body").lower())
    else:
        asked = user_text(model, question)
    frames = Frames.of(volume, modality=modality, site=site, window=window, axis=axis)
    index = middle(frames) if slice_index is None else frames.slices([slice_index])[0]
    known = catalogue_of(model)
    blank = trained_blank(asked)
    off = blank is None or (blank != "" and not knows(known, blank))
    sent = asked if history else IMAGE + asked
    run.tell("answer", 0, 1)
    prediction = model.predict(
        frames.picture(index), sent, history=unpack(history) or None, on_text=run.writing("answer")
    )
    parsed = parse_answer(prediction.text, len(prediction.masks))
    spans, segments, refused = _ground(model, frames, known, prediction, parsed, index, blank)
    run.tell("answer", 1, 1, text=parsed.text)
    notes = [OFF_TEMPLATE] if off else []
    notes.extend(f"{name}: named, but its mask did not pass the presence gate." for name in refused)
    return Answer(
        provenance=provenance_of(
            "answer",
            model,
            frames,
            prompts=[sent],
            slices=[index],
            phrases=[item.phrase for item in segments],
            notes=notes,
        ),
        slice=index,
        question=asked,
        text=parsed.text,
        off_template=off,
        nothing_found=parsed.nothing_found,
        spans=spans,
        segments=segments,
        history=pack(prediction.history),
    )


def pack(history: str) -> str:
    """A conversation with the run of picture tokens written as their number, so that it stays readable."""
    return re.sub(f"(?:{_PICTURE})+", lambda run: f"<IMG_CONTEXT*{len(run[0]) // len(_PICTURE)}>", history)


def unpack(history: str) -> str:
    """What ``pack`` was given."""
    return _PACKED.sub(lambda mark: _PICTURE * int(mark[1]), history)


def knows(known: Catalogue, words: str) -> bool:
    """Whether ``words`` are a target, a phrase or a site of the model."""
    wanted = words.lower().removeprefix("the ").strip()
    return any(wanted in (item.name.lower(), item.site.lower(), item.phrase.lower()) for item in known.targets)


def _ground(
    model: Model,
    frames: Frames,
    known: Catalogue,
    prediction: PredictionLike,
    parsed: ParsedAnswer,
    index: int,
    blank: str | None,
) -> tuple[tuple[TextSpan, ...], tuple[SegmentResult, ...], list[str]]:
    """A span for each link that names something, a segment for each of its masks that the gate lets through."""
    logprobs = seg_logprobs(model, prediction)
    spans: list[TextSpan] = []
    segments: list[SegmentResult] = []
    refused: list[str] = []
    for link in parsed.links:
        if link.nothing:
            continue
        target = _target(known, link, frames, blank)
        limits, ids = Thresholds.of(model, target.phrase), []
        for number in link.segments:
            verdict = decide(observe(prediction, number, index, token_logprob=logprobs[number]), limits)
            if not verdict.evidence.present:
                refused.append(target.phrase)
                continue
            stack = PlaneStack(frames.mapping.array_axis)
            stack.add(index, frames.mapping.to_volume_slice(verdict.seen.mask))
            if not stack.indices:
                continue
            ids.append(f"s{len(segments) + 1}")
            segments.append(
                segment_record(
                    ids[-1],
                    target,
                    stack.to_mask(),
                    frames.volume,
                    frames.mapping.array_axis,
                    confidence=round(verdict.seen.confidence, 4),
                    presence=(verdict.evidence,),
                )
            )
        if link.name:
            spans.append(span(parsed.text, link.start, link.end, tuple(ids)))
        elif ids:
            spans.append(span(parsed.text, 0, len(parsed.text), tuple(ids)))
    return tuple(spans), tuple(segments), refused


def _target(known: Catalogue, link: Link, frames: Frames, blank: str | None) -> Target:
    name = link.name or (blank or "").strip() or "region"
    return named_target(known, name, frames.modality, frames.site)
