# SPDX-License-Identifier: Apache-2.0
"""CT phantoms as another scanner shows them, with a liver and a spleen of a shape that no training has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage
from unibiomed.phantoms.volume import PhantomVolume, generate_volume

TARGETS = ("liver", "spleen", "left kidney", "right kidney")
LOBED = ("liver", "spleen")
_SITE = "abdomen"


@dataclass(frozen=True, eq=False)
class Case:
    """int16 [k, j, i] in Hounsfield units, its affine (voxel i, j, k to RAS, mm), bool masks of ``TARGETS``."""

    array: np.ndarray
    affine: np.ndarray
    masks: dict[str, np.ndarray]

    def save(self, path: Path) -> None:
        """Write the image as NIfTI."""
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(self.array.transpose(2, 1, 0), self.affine), path)


def original(seed: int, shape: tuple[int, int, int]) -> Case:
    """A phantom as Mini's training draws them."""
    phantom = generate_volume("CT", seed, shape, site=_SITE)
    return Case(np.asarray(phantom.volume.array, np.int16), phantom.volume.ijk_to_ras, _asked(phantom))


def shifted(seed: int, shape: tuple[int, int, int]) -> Case:
    """The same person with lobed organs, on a scanner with shading, another grey scale, blur and coarse noise."""
    phantom = generate_volume("CT", seed, shape, site=_SITE)
    rng = np.random.default_rng([29, seed])
    array, masks = np.asarray(phantom.volume.array, np.float32), _asked(phantom)
    for name in LOBED:
        if name in masks:
            array, masks = _lobed(array, masks, name, rng)
    return Case(_other_scanner(array, rng), phantom.volume.ijk_to_ras, masks)


def _asked(phantom: PhantomVolume) -> dict[str, np.ndarray]:
    return {name: np.asarray(phantom.masks[name]) for name in TARGETS if name in phantom.masks}


def _lobed(
    array: np.ndarray, masks: dict[str, np.ndarray], name: str, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pull the outline of one organ into three or four lobes, slice by slice; what lies around it yields."""
    lobes, turn, depth = int(rng.integers(3, 5)), rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.32)
    array, masks = array.copy(), {key: mask.copy() for key, mask in masks.items()}
    rows, columns = np.indices(array.shape[1:], dtype=np.float32)
    for k in np.flatnonzero(masks[name].any((1, 2))):
        organ = masks[name][k]
        row, column = ndimage.center_of_mass(organ)
        reach = np.sqrt(organ.sum() / np.pi)
        y, x = rows - row, columns - column
        angle, far = np.arctan2(y, x), np.hypot(y, x) / reach
        # None at the centre, all of it at the outline, none again at twice the radius.
        pull = depth * np.cos(lobes * angle + turn) * np.exp(-(((far - 1.0) / 0.6) ** 2))
        where = np.stack([row + y * (1 + pull), column + x * (1 + pull)])
        array[k] = ndimage.map_coordinates(array[k], where, order=1, mode="nearest")
        for mask in masks.values():
            mask[k] = ndimage.map_coordinates(mask[k].astype(np.float32), where, order=1) > 0.5
    return array, masks


def _other_scanner(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hounsfield units as a badly calibrated scanner gives them."""
    low, width = -160.0, 400.0
    grey = np.clip((array - low) / width, 0.0, 1.0) ** rng.uniform(1.5, 1.9)
    shape = array.shape[1:]
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    tilt, cup = rng.uniform(-0.25, 0.25, 2), rng.uniform(0.1, 0.25)
    grey = grey * (1.0 + tilt[0] * x + tilt[1] * y - cup * (x * x + y * y))
    grey = ndimage.gaussian_filter(grey, (0, 1.3, 1.3))
    noise = ndimage.gaussian_filter(rng.standard_normal(array.shape).astype(np.float32), (0, 1.0, 1.0))
    grey = grey + 0.05 * noise / noise.std()
    seen = low + width * grey
    # Air stays air: a scanner's scale is fixed there.
    return np.rint(np.where(array < -500, array, seen)).astype(np.int16)
