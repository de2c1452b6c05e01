# SPDX-License-Identifier: Apache-2.0
"""A 3-D phantom read end to end by a model that knows its truth: geometry, windows, joining and files together."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.phantoms import PhantomVolume, generate_volume
from unibiomed.tasks import interpret, segment
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.outputs import write_outputs
from unibiomed.tasks.phrases import parse_phrase

SHAPE = (20, 128, 128)


@pytest.fixture(scope="module")
def phantom() -> PhantomVolume:
    """A CT with at least one abnormality."""
    return next(made for seed in range(50) if (made := generate_volume("CT", seed, shape=SHAPE)).abnormalities)


@pytest.fixture
def oracle(fakes, phantom):
    """Knows which slice a picture is, in any window, and answers in the trained forms."""
    slices: dict[bytes, int] = {}
    for window in ("ct-abdomen", "ct-lung", "ct-brain"):
        frames = Frames.of(phantom.volume, window=window)
        slices.update({frames.picture(k).tobytes(): k for k in range(len(frames))})
    specs = list(phantom.specs.values())
    site = specs[0].site

    class Oracle(fakes.FakeModel):
        def mask(self, image, name):
            mask = phantom.masks.get(name)
            if mask is None:
                return np.zeros(image.shape[:2], dtype=bool)
            plane = np.take(mask, slices[image.tobytes()], frames.mapping.array_axis)
            return frames.mapping.from_volume_slice(plane)

        def _answer(self, image, text):
            sick = [name for name in phantom.abnormalities if self.mask(image, name).any()]
            masks = [self.mask(image, name) for name in sick] or [np.zeros(image.shape[:2], dtype=bool)]
            if text.startswith("<image>Please segment "):
                name = parse_phrase(text.removeprefix("<image>Please segment ")).target
                return fakes.make_prediction("It is [SEG].<|end|>", [self.mask(image, name)])
            if text.startswith("<image>Can we observe"):
                name = f"{sick[0]} in {site} CT" if sick else f"no findings in {site} CT"
                return fakes.make_prediction(f"It is [SEG]. {name}.<|end|>", masks[:1])
            if text.startswith("<image>Can you generate"):
                blocks = [f"<p> {name}. a {name} is seen. </p> [SEG]" for name in sick]
                return fakes.make_prediction(" ".join(blocks or ["<p> no findings. all well. </p> [SEG]"]), masks)
            shown = [s.name for s in specs if s.kind == "anatomy" and self.mask(image, s.name).any()]
            named = " and ".join(f"the {name}" for name in shown) or "no named structure"
            made = fakes.make_prediction(f"CT image of the {site}. it shows {named}. no abnormality is seen.", [])
            return made

    return Oracle(targets=tuple(specs))


def test_a_phantom_is_found_voxel_for_voxel(oracle, phantom, tmp_path):
    result = interpret(oracle, phantom.volume)
    found: dict[str, np.ndarray] = {}
    for item in result.segments:
        mask = item.mask.to_full(phantom.volume.shape)
        found[item.target] = found.get(item.target, np.zeros_like(mask)) | mask
    assert set(phantom.abnormalities) <= {item.target for item in result.findings}
    for name, mask in phantom.masks.items():
        assert np.array_equal(found[name], np.asarray(mask)), name
    assert len(write_outputs(tmp_path / "out", result, phantom.volume)) == 4


def test_propagation_finds_the_same_as_reading_slice_by_slice(oracle, phantom):
    name = max(phantom.masks, key=lambda key: phantom.masks[key].sum())
    by_slice = segment(oracle, phantom.volume, name)
    followed = segment(oracle, phantom.volume, name, method="propagate")
    assert followed.segments[0].mask == by_slice.segments[0].mask
