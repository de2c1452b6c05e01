# SPDX-License-Identifier: Apache-2.0
"""Segmenting by name: exact masks, shared encodings, absence as a result, stops and bad words."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from unibiomed.errors import Cancelled, InputError
from unibiomed.tasks import segment
from unibiomed.tasks.reading import MOST_SLICES
from unibiomed.volumes import Volume


def full(result, name, volume):
    return next(item for item in result.segments if item.target == name).mask.to_full(volume.shape)


def test_every_target_comes_back_voxel_for_voxel(model, volume, truth):
    result = segment(model, volume, ["liver", "spleen", "liver tumor"])
    for name, expected in truth.items():
        assert np.array_equal(full(result, name, volume), expected)
    liver = result.segments[0]
    assert (liver.id, liver.phrase, liver.kind) == ("s1", "liver in abdomen CT", "anatomy")
    assert liver.volume_ml == pytest.approx(truth["liver"].sum() * 12 / 1000)
    assert liver.extent_mm == (40.0, 44.0, 24.0)
    assert liver.slices == tuple(range(2, 10))


def test_overlapping_targets_stay_separate(model, volume, truth):
    result = segment(model, volume, ["liver", "liver tumor"])
    assert result.segments[0].mask.overlaps(result.segments[1].mask)
    assert result.segments[1].mask.voxel_count == truth["liver tumor"].sum()


def test_several_targets_are_asked_on_one_encoding_of_the_slice(model, volume):
    segment(model, volume, ["liver", "spleen"], batch_size=1)
    assert len(model.calls) == 12
    assert all(images == 1 and len(texts) == 2 for _, images, texts in model.calls)


def test_an_absent_target_is_a_result_with_its_nearest_miss(model, healthy):
    result = segment(model, healthy, ["liver", "liver tumor"])
    assert [item.target for item in result.segments] == ["liver"]
    (missing,) = result.not_found
    assert missing.target == "liver tumor"
    assert missing.slices_read == 12
    assert "Not seen in any of the 12 slices read" in missing.reason
    assert missing.best.reason == "empty mask"


def test_the_gate_decides_on_every_slice_and_its_evidence_is_kept(model, volume):
    (liver,) = segment(model, volume, "liver").segments
    assert [item.slice for item in liver.presence] == list(range(12))
    assert [item.slice for item in liver.presence if item.present] == list(liver.slices)
    assert liver.presence[0].reason == "empty mask"


def test_thresholds_of_the_model_decide(fakes, volume):
    strict = fakes.FakeModel(presence={"object_score": 5.0})
    result = segment(strict, volume, "liver")
    assert result.segments == ()
    assert "object score 4.00 below 5.00" in result.not_found[0].reason
    assert result.provenance.thresholds["default"]["object_score"] == 5.0


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_any_axis_gives_the_same_voxels(model, volume, truth, axis):
    volume = Volume.from_array(volume.array, np.diag([-2.0, -2.0, 2.0, 1.0]), modality="CT")
    result = segment(model, volume, "spleen", axis=axis)
    assert np.array_equal(full(result, "spleen", volume), truth["spleen"])
    assert result.provenance.axis == axis


def test_only_the_slices_asked_for_are_read(model, volume):
    result = segment(model, volume, "liver", slices=[5, 4, 5])
    assert result.provenance.slices == (4, 5)
    assert result.segments[0].slices == (4, 5)


def test_a_picture_is_a_volume_of_one_slice_without_millilitres(model):
    picture = np.full((40, 40, 3), 20, dtype=np.uint8)
    picture[10:20, 10:30] = 100
    result = segment(model, Volume.from_array(picture), "liver", modality="CT")
    assert (result.segments[0].voxels, result.segments[0].volume_ml, result.segments[0].extent_mm) == (200, None, None)


def test_clean_up_is_off_unless_asked_for_and_said(model, volume):
    assert segment(model, volume, "liver tumor").segments[0].cleaned == ""
    assert "islands" in segment(model, volume, "liver tumor", clean=True).segments[0].cleaned


def test_provenance_says_how_the_result_came_about(model, volume):
    told = segment(model, volume, "liver").provenance
    assert told.prompts == ("<image>Please segment liver in abdomen CT.",)
    assert (told.model, told.weights_sha256, told.device, told.dtype) == ("fake", "0" * 64, "cpu", "float32")
    assert told.window["name"] == "none"
    assert told.source.sha256 == volume.sha256
    assert (told.shape, told.modality, told.site) == (volume.shape, "CT", "abdomen")
    assert told.date.endswith("+00:00")


def test_partial_masks_are_told_as_the_work_goes_on(model, volume, truth):
    events = []
    segment(model, volume, "liver", progress=events.append)
    partial = [event.partial for event in events if event.partial is not None]
    assert [item.slice for item in partial] == list(range(2, 10))
    assert sum(item.mask.voxel_count for item in partial) == truth["liver"].sum()
    assert (events[0].done, events[-1].done, events[-1].total) == (0, 12, 12)


def test_a_stop_is_heeded_within_one_slice(model, volume):
    events = []

    def stop() -> bool:
        return any(event.done >= 3 for event in events)

    with pytest.raises(Cancelled):
        segment(model, volume, "liver", batch_size=1, progress=events.append, cancelled=stop)
    assert len(model.calls) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"targets": []}, "No target"),
        ({"targets": "aorta"}, "not a target"),
        ({"targets": "liver", "modality": "radar"}, 'modality "radar"'),
        ({"targets": "liver", "method": "magic"}, 'method "magic"'),
        ({"targets": "liver", "slices": [99]}, "slices are 0 to 11"),
        ({"targets": "liver", "slices": []}, "No slice"),
        ({"targets": "liver", "axis": "oblique"}, "axis"),
        ({"targets": "liver", "window": "night"}, "window"),
        ({"targets": "liver", "key_slice": 3}, "key slice"),
        ({"targets": "liver", "batch_size": 0}, "batch size"),
        ({"targets": "liver\x07"}, "control character"),
    ],
)
def test_bad_words_are_one_sentence(model, volume, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        segment(model, volume, **arguments)
    assert model.calls == []


class _Endless:
    """A lazy stack of 10,000 slices that are made when they are read."""

    shape, dtype, ndim = (10_000, 24, 24), np.dtype(np.uint8), 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        plane = np.full((24, 24), 20, dtype=np.uint8)
        plane[index % 7, :] = 30
        if 40 <= index < 60:
            plane[4:12, 4:12] = 60
        return plane


def test_ten_thousand_slices_are_streamed_in_flat_memory(model):
    volume = Volume(_Endless(), np.diag([1.0, 1.0, 1.0, 1.0]), modality="CT")
    model.calls = _Forget()
    tracemalloc.start()
    result = segment(model, volume, "spleen", axis="axial")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.segments[0].slices == tuple(range(40, 60))
    assert len(result.segments[0].presence) == 10_000
    assert peak < 60e6, "the records of 10,000 slices, not their pictures"


class _Forget(list):
    def append(self, call) -> None:
        assert call[1] <= MOST_SLICES
