# SPDX-License-Identifier: Apache-2.0
"""Short stacks of slices with one target, for SAM 2's memory: some frames prompted, the rest tracked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unibiomed.phantoms.volume import PhantomVolume, generate_volume
from unibiomed.volumes import slice_mapping

# CT is trained in the windows that its phantoms are drawn in; what MRI is scaled by is in its name already.
VOLUMES = (("CT", "abdomen", "ct-abdomen"), ("CT", "chest", "ct-lung"), ("MRI", "brain", "percentile"))


@dataclass(frozen=True, eq=False)
class VideoExample:
    """Frames of one volume, a target, and where it is.

    Attributes:
        frames: RGB uint8 (t, H, W, 3).
        phrase: what is asked for.
        masks: bool (t, H, W); all false on frames that the target does not reach.
        n_prompted: how many frames, from the first on, the language model sees and prompts.
    """

    frames: np.ndarray
    phrase: str
    masks: np.ndarray
    n_prompted: int


STACKS_A_VOLUME = 8


class VideoExamples:
    """Stack ``n``: the same for the same arguments. Eight in a row come from one volume, which is made once."""

    def __init__(self, *, size: int = 256, slices: int = 24, tracked: int = 3) -> None:
        """``size`` of the frames in pixels, ``slices`` of a volume, ``tracked`` frames after the prompted ones."""
        self.size, self.slices, self.tracked = size, slices, tracked
        self._volume: tuple[int, PhantomVolume] | None = None

    def __getitem__(self, number: int) -> VideoExample:
        """A walk outwards from a slice where the target is well visible, as propagation from a key slice does.

        It goes one direction, one or two slices a frame, and may leave the target.
        """
        rng = np.random.default_rng([11, number])
        phantom, window = self._phantom(number // STACKS_A_VOLUME)
        name = str(rng.choice(sorted(phantom.masks)))
        mapping = slice_mapping(phantom.volume, "axial")
        areas = phantom.masks[name].sum((1, 2))
        start = int(rng.choice(np.flatnonzero(areas >= 0.5 * areas.max())))
        stride = int(rng.choice((-2, -1, 1, 2)))
        n_prompted = int(rng.integers(1, 3))
        walk = [start + stride * t for t in range(n_prompted + self.tracked)]
        indices = [min(max(index, 0), self.slices - 1) for index in walk]
        return VideoExample(
            frames=np.stack([mapping.to_image(index, window) for index in indices]),
            phrase=phantom.specs[name].phrase,
            masks=np.stack([mapping.from_volume_slice(phantom.masks[name][index]) for index in indices]),
            n_prompted=n_prompted,
        )

    def _phantom(self, seed: int) -> tuple[PhantomVolume, str]:
        modality, site, window = VOLUMES[seed % len(VOLUMES)]
        if self._volume is None or self._volume[0] != seed:
            shape = (self.slices, self.size, self.size)
            self._volume = (seed, generate_volume(modality, seed, shape, site=site))
        return self._volume[1], window
