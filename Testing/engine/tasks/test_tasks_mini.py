# SPDX-License-Identifier: Apache-2.0
"""The tasks with the bundled model on phantoms it never saw and on a real head; skipped where it is not there yet."""

from __future__ import annotations

import numpy as np
import pytest
import unibiomed
from unibiomed.phantoms import generate
from unibiomed.tasks import answer, describe, from_json, interpret, recognise, report, segment, to_json
from unibiomed.tasks.presence import dice
from unibiomed.tasks.schema import validate
from unibiomed.volumes import Volume, read_volume

SEED = 990_000
"""Far from the seeds of training."""


@pytest.fixture(scope="module")
def mini():
    return unibiomed.load("mini", device="cpu")


def phantom_of(modality: str, abnormal: bool):
    made = generate(modality, SEED, abnormal=abnormal)
    return made, Volume.from_array(made.image, modality=modality)


@pytest.mark.parametrize("modality", ["CT", "MRI", "ultrasound", "dermoscopy"])
def test_the_largest_structure_of_a_phantom_is_segmented(mini, modality):
    phantom, volume = phantom_of(modality, abnormal=True)
    name = max(phantom.masks, key=lambda key: phantom.masks[key].sum())
    result = segment(mini, volume, phantom.specs[name].phrase, modality=phantom.modality)
    assert dice(result.segments[0].mask.to_full(volume.shape)[0], phantom.masks[name]) > 0.6
    assert 0 < result.segments[0].confidence <= 1


def test_a_phantom_is_interpreted_and_the_result_is_whole(mini):
    phantom, volume = phantom_of("CT", abnormal=True)
    result = interpret(mini, volume)
    assert result.site == phantom.site
    validate(to_json(result))
    assert from_json(to_json(result)) == result
    assert {span.text.lower() for span in result.spans} >= {item.target for item in result.findings}


def test_every_task_answers_in_its_trained_form(mini):
    phantom, volume = phantom_of("CT", abnormal=True)
    name = phantom.abnormalities[0]
    assert recognise(mini, volume).slices[0].text
    assert report(mini, volume).text
    first = answer(mini, volume, anatomy=phantom.site)
    assert not first.off_template
    second = answer(mini, volume, anatomy=phantom.site, history=first.history)
    assert second.history.startswith(first.history)
    region = describe(mini, volume, phantom.masks[name])
    assert region.modality is not None


def test_a_brain_is_found_in_a_real_head(mini, shared_dir):
    path = shared_dir / "data" / "mr_brain_tumour" / "brain1_image.nrrd"
    volume = read_volume(path, modality="MRI-T1")
    result = segment(mini, volume, "brain", slices=range(8, 20, 4))
    assert result.segments, result.not_found
    brain = result.segments[0].mask.to_full(volume.shape)
    middle = np.asarray(volume.array[12])
    inside = brain[12]
    assert 0.1 < inside.mean() < 0.6
    assert middle[inside].mean() > middle[~inside].mean()
