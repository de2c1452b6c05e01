# SPDX-License-Identifier: Apache-2.0
"""The samples of an export as ``unibiomed evaluate`` wants to know them (``unibiomed.evaluation.export_facts``)."""

from __future__ import annotations

from collections.abc import Iterable

from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.evaluation.export_facts import CaseFacts, ExportFacts, HowFacts, SegmentFacts, SentenceFacts
from unibiomed.tasks.outputs.views import frames_of
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.volumes.slicing import SliceMapping


def export_facts(samples: Iterable[Sample]) -> ExportFacts:
    """All ``samples``, each with the plan that it was annotated by."""
    return ExportFacts(cases=tuple(case_facts(sample) for sample in one_by_one(samples)))


def case_facts(sample: Sample) -> CaseFacts:
    """One sample, under the name that it has in the export."""
    result, plan = sample.result, sample.plan
    frames = frames_of(result, sample.volume, result.provenance.site)
    return CaseFacts(
        name=sample.name,
        patient=sample.patient,
        split=sample.split,
        modality=None if sample.modality == "unknown" else sample.modality,
        site=result.provenance.site,
        spatial=sample.volume.spatial,
        picture_mm=picture_mm(frames.mapping),
        picture_box=_picture_box(frames.mapping),
        how=HowFacts(
            modality=plan.modality,
            site=plan.site,
            window=plan.window,
            axis=plan.axis,
            method=plan.method,
            clean=plan.clean,
            anatomy=plan.anatomy,
        ),
        prompt_free=not plan.targets,
        asked=_asked(sample),
        segments=_segments(sample),
        sentences=_sentences(sample),
        text=sample.text,
        text_stands=_text_stands(sample),
    )


def _text_stands(sample: Sample) -> bool:
    """Whether a person stands for the text: changed it, or accepted the case with it."""
    decision = sample.record.decision
    return sample.is_text_corrected or (decision is not None and decision.verdict == "accepted")


def picture_mm(mapping: SliceMapping) -> tuple[float, float, float]:
    """Size in mm of a picture's pixel along rows and columns, and the distance of two slices."""
    i, j, k = mapping.volume.spacing
    along = [k, j, i]
    between = along.pop(mapping.array_axis)
    sides = along[::-1] if mapping.transposed else along
    rows, columns = (
        side * voxels / pixels
        for side, voxels, pixels in zip(sides, mapping.plane_shape, mapping.content_shape, strict=True)
    )
    return rows, columns, between


def _picture_box(mapping: SliceMapping) -> tuple[int, int, int, int]:
    (top, left), (height, width) = mapping.offset, mapping.content_shape
    return top, left, top + height, left + width


def standing_phrases(sample: Sample) -> list[str]:
    """The phrase of each segment that stands; one without its own goes by the phrase that was asked for its target."""
    asked = _asked(sample)
    by_target = {parse_phrase(phrase).target: phrase for phrase in asked}
    phrases = []
    for number, item in enumerate(sample.segmentation.segments):
        phrase = sample.phrase(number)
        phrases.append(phrase if phrase in asked else by_target.get(item.target.lower(), phrase))
    return phrases


def _asked(sample: Sample) -> tuple[str, ...]:
    result = sample.result
    return tuple(dict.fromkeys(item.phrase for item in (*result.segments, *result.not_found)))


def _segments(sample: Sample) -> tuple[SegmentFacts, ...]:
    given = {item.phrase: item.kind for item in sample.result.segments}
    found: dict[str, SegmentFacts] = {}
    for number, phrase in enumerate(standing_phrases(sample)):
        kind = sample.kind(number)
        if kind == "unknown":
            kind = given.get(phrase, kind)
        target = sample.segmentation.segments[number].target
        found.setdefault(phrase, SegmentFacts(phrase=phrase, target=target, kind=kind))
    return tuple(found.values())


def _sentences(sample: Sample) -> tuple[SentenceFacts, ...]:
    """What is said of each segment, on the slices that it stands on."""
    said: dict[tuple[str, str], list[int]] = {}
    for number, phrase in enumerate(standing_phrases(sample)):
        for index in sample.slices[number]:
            sentence = sample.sentence(sample.phrase(number), index)
            if sentence:
                said.setdefault((phrase, sentence), []).append(index)
    return tuple(
        SentenceFacts(phrase=phrase, slices=tuple(sorted(set(slices))), sentence=sentence)
        for (phrase, sentence), slices in said.items()
    )
