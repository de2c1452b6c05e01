# SPDX-License-Identifier: Apache-2.0
"""Results as JSON: nothing is lost on the way, and nothing wrong is taken in."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from unibiomed.errors import InputError
from unibiomed.tasks import interpret, segment
from unibiomed.tasks.results import (
    Answer,
    Finding,
    Interpretation,
    NotFound,
    PresenceEvidence,
    Provenance,
    SegmentationResult,
    SegmentResult,
    SliceReport,
    SourceInfo,
    TextSpan,
)
from unibiomed.tasks.schema import from_json, published_schema, schema, to_json, to_text
from unibiomed.volumes.masks import BoxMask

words = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
fractions = st.floats(0, 1)
counts = st.integers(0, 10_000)
indices = st.lists(counts, max_size=4).map(tuple)
ids = st.lists(words, max_size=3).map(tuple)
kinds = st.sampled_from(["anatomy", "abnormality", "unknown"])
extents = st.none() | st.tuples(numbers, numbers, numbers)
masks = st.builds(
    BoxMask,
    st.tuples(counts, counts, counts),
    arrays(bool, st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5))),
)
evidence = st.builds(
    PresenceEvidence,
    slice=counts,
    present=st.booleans(),
    object_score=numbers,
    iou=numbers,
    token_logprob=st.none() | numbers,
    neighbour=st.none() | numbers,
    pixels=counts,
    reason=words,
)
segments = st.builds(
    SegmentResult,
    id=words,
    phrase=words,
    target=words,
    kind=kinds,
    mask=masks,
    slices=indices,
    voxels=counts,
    confidence=fractions,
    volume_ml=st.none() | numbers,
    extent_mm=extents,
    presence=st.lists(evidence, max_size=2).map(tuple),
    cleaned=words,
)
rows = st.tuples(numbers, numbers, numbers, numbers)
provenances = st.builds(
    Provenance,
    task=words,
    model=words,
    model_version=words,
    weights_sha256=words,
    engine_version=words,
    modality=words,
    axis=words,
    window=st.dictionaries(words, words | numbers, max_size=3),
    date=words,
    device=words,
    dtype=words,
    source=st.builds(SourceInfo, name=words, kind=words),
    shape=st.tuples(counts, counts, counts),
    ijk_to_ras=st.tuples(rows, rows, rows, rows),
    prompts=ids,
    slices=indices,
    thresholds=st.dictionaries(words, st.dictionaries(words, numbers, max_size=2), max_size=2),
    notes=ids,
)
spans = st.lists(st.builds(TextSpan, start=counts, end=counts, text=words, segments=ids), max_size=2).map(tuple)
missing = st.builds(NotFound, phrase=words, target=words, kind=kinds, slices_read=counts, reason=words)
findings = st.builds(
    Finding,
    id=words,
    phrase=words,
    target=words,
    segments=ids,
    slices=indices,
    confidence=fractions,
    sentence=words,
    extent_mm=extents,
)
results = st.one_of(
    st.builds(
        SegmentationResult,
        provenance=provenances,
        segments=st.lists(segments, max_size=2).map(tuple),
        not_found=st.lists(missing, max_size=1).map(tuple),
    ),
    st.builds(
        Answer,
        provenance=provenances,
        slice=counts,
        question=words,
        text=words,
        off_template=st.booleans(),
        nothing_found=st.booleans(),
        spans=spans,
        history=words,
    ),
    st.builds(
        Interpretation,
        provenance=provenances,
        modality=words,
        site=st.none() | words,
        text=words,
        nothing_found=st.booleans(),
        spans=spans,
        findings=st.lists(findings, max_size=2).map(tuple),
        segments=st.lists(segments, max_size=2).map(tuple),
        slices=st.lists(
            st.builds(SliceReport, slice=counts, text=words, nothing_found=st.booleans(), spans=spans), max_size=2
        ).map(tuple),
    ),
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_a_result_comes_back_from_json_as_it_was(result):
    document = json.loads(to_text(result))
    assert from_json(document) == result
    assert to_json(from_json(document)) == document


def test_the_shipped_schema_is_that_of_the_records():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    assert published_schema() == made, "write schema.schema() to result.schema.json"


def test_results_cannot_be_changed(model, volume):
    result = segment(model, volume, "liver")
    with pytest.raises(FrozenInstanceError):
        result.segments = ()


def test_a_real_result_validates_against_the_schema(model, volume):
    document = json.loads(to_text(interpret(model, volume)))
    jsonschema.validate(document, published_schema())
    assert document["format"] == "unibiomed.result/1"
    assert document["type"] == "interpretation"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d.pop("provenance"), "provenance"),
        (lambda d: d.update(type="poem"), "document"),
        (lambda d: d["segments"][0].update(confidence=1.5), "segments/0/confidence"),
        (lambda d: d["segments"][0].update(colour="red"), "segments/0"),
        (lambda d: d["segments"][0]["mask"].update(bits="%%"), "mask"),
        (lambda d: d["segments"][0]["mask"].update(shape=[9, 9, 9]), "mask"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(model, volume, change, place):
    document = to_json(segment(model, volume, "liver"))
    change(document)
    with pytest.raises(InputError, match=place):
        from_json(document)


def test_text_that_is_not_json_is_refused():
    with pytest.raises(InputError, match="not JSON"):
        from_json("<html>")


def test_figures_that_are_not_numbers_cannot_enter_a_result():
    with pytest.raises(ValueError, match="finite"):
        PresenceEvidence(slice=0, present=True, object_score=float("nan"), iou=0.5)


def test_masks_travel_as_small_boxes(model, volume, truth):
    document = to_json(segment(model, volume, "spleen"))
    mask = document["segments"][0]["mask"]
    assert mask["shape"] == [4, 10, 8]
    assert np.array_equal(from_json(document).segments[0].mask.to_full(volume.shape), truth["spleen"])
