# SPDX-License-Identifier: Apache-2.0
"""Following a target from a key slice: which frames are prompted, both ways, to the end and no further."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import Cancelled, InputError
from unibiomed.tasks import segment
from unibiomed.tasks.propagate import LOST, PROMPTED, STRETCH
from unibiomed.volumes import Volume


def test_the_target_is_followed_both_ways_voxel_for_voxel(model, volume, truth):
    result = segment(model, volume, "liver", method="propagate", key_slice=5)
    assert np.array_equal(result.segments[0].mask.to_full(volume.shape), truth["liver"])
    assert result.provenance.method == "propagate"
    assert any("from slice 5, prompted on slices 3, 4, 5, 6, 7" in note for note in result.provenance.notes)


def test_prompted_frames_come_first_in_both_passes(model, volume):
    segment(model, volume, "liver", method="propagate", key_slice=5)
    videos = [frames for what, frames, _ in model.calls if what == "video"]
    assert videos == [PROMPTED + 4, PROMPTED + 3]


def test_slices_without_the_target_are_never_prompted(model, volume, truth):
    result = segment(model, volume, "spleen", method="propagate", key_slice=4)
    assert any("prompted on slices 4, 5, 6." in note for note in result.provenance.notes)
    assert np.array_equal(result.segments[0].mask.to_full(volume.shape), truth["spleen"])
    videos = [frames for what, frames, _ in model.calls if what == "video"]
    assert videos == [PROMPTED + 5, PROMPTED + 4], "three anchors repeated to five, then the slices of each side"


def test_without_a_key_slice_the_most_certain_one_is_taken(model, volume, truth):
    result = segment(model, volume, "liver tumor", method="propagate")
    found = result.segments[0].mask.to_full(volume.shape)
    assert np.array_equal(found[3:6], truth["liver tumor"][3:6])


def test_a_target_that_is_nowhere_is_not_followed(model, healthy):
    result = segment(model, healthy, "liver tumor", method="propagate")
    assert result.segments == ()
    assert result.not_found[0].target == "liver tumor"
    assert not any(what == "video" for what, _, _ in model.calls)


def test_a_given_key_slice_without_the_target_is_noted(model, volume):
    result = segment(model, volume, "spleen", method="propagate", key_slice=0)
    assert any("key slice 0 the target is not certain (empty mask)" in note for note in result.provenance.notes)


def test_a_key_slice_outside_the_slices_is_refused(model, volume):
    with pytest.raises(InputError, match="key slice 11"):
        segment(model, volume, "liver", method="propagate", key_slice=11, slices=range(0, 8))


def test_a_long_volume_is_walked_in_stretches_and_left_when_the_target_ends(model):
    array = np.full((120, 16, 16), 20, dtype=np.uint8)
    array[10:70, 4:12, 4:12] = 60
    volume = Volume.from_array(array, np.eye(4), modality="CT")
    result = segment(model, volume, "spleen", method="propagate", key_slice=15, axis="axial")
    assert result.segments[0].slices == tuple(range(10, 70))
    videos = [frames for what, frames, _ in model.calls if what == "video"]
    assert max(videos) <= PROMPTED + STRETCH
    visited = {item.slice for item in result.segments[0].presence}
    assert max(visited) < 70 + LOST + STRETCH


def test_a_stop_is_heeded_within_one_frame(model, volume):
    def stop() -> bool:
        return any(what == "video" for what, _, _ in model.calls)

    with pytest.raises(Cancelled):
        segment(model, volume, "liver", method="propagate", key_slice=5, cancelled=stop)
    assert sum(what == "video" for what, _, _ in model.calls) == 1
