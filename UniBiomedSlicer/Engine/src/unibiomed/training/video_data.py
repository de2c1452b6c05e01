# SPDX-License-Identifier: Apache-2.0
"""Short stacks of slices with one target, for SAM 2's memory: some frames prompted, the rest tracked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unibiomed.phantoms.volume import generate_volume
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


def make_video(number: int, *, size: int = 256, slices: int = 24, tracked: int = 3) -> VideoExample:
    """Stack ``number``: the same for the same arguments.

    It starts at a slice where the target is well visible and walks outwards in one direction, one or two slices a
    frame, as propagation from a key slice does; it may leave the target.
    """
    rng = np.random.default_rng([11, number])
    modality, site, window = VOLUMES[number % len(VOLUMES)]
    phantom = generate_volume(modality, number, (slices, size, size), site=site)
    name = str(rng.choice(sorted(phantom.masks)))
    mapping = slice_mapping(phantom.volume, "axial")
    areas = phantom.masks[name].sum((1, 2))
    start = int(rng.choice(np.flatnonzero(areas >= 0.5 * areas.max())))
    direction = int(rng.choice((-1, 1)))
    n_prompted = int(rng.integers(1, 3))
    step = int(rng.integers(1, 3))
    indices = [start + direction * step * t for t in range(n_prompted + tracked)]
    indices = [min(max(index, 0), slices - 1) for index in indices]
    return VideoExample(
        frames=np.stack([mapping.to_image(index, window) for index in indices]),
        phrase=phantom.specs[name].phrase,
        masks=np.stack([mapping.from_volume_slice(phantom.masks[name][index]) for index in indices]),
        n_prompted=n_prompted,
    )
