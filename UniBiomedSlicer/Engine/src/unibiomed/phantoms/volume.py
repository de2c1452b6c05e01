# SPDX-License-Identifier: Apache-2.0
"""3-D phantoms: whole CT and MRI stacks of the analytic bodies with their 3-D truth."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unibiomed.errors import InputError
from unibiomed.phantoms import ct, mri
from unibiomed.phantoms.base import MIN_PIXELS, Mask, TargetSpec
from unibiomed.phantoms.head import LEVELS, Head
from unibiomed.phantoms.torso import ABDOMEN, CHEST, Torso
from unibiomed.phantoms.torso_findings import ABDOMINAL, THORACIC
from unibiomed.volumes.volume import Source, Volume

Plane = Callable[[float], tuple[npt.NDArray[np.int16], dict[str, Mask]]]


@dataclass(frozen=True, eq=False)
class PhantomVolume:
    """A stack with its truth.

    ``volume``: int16 [k, j, i] in Hounsfield units (CT) or arbitrary units (MRI), rows to the back, columns to the
    patient's left, slices upwards. ``masks``: present targets only, bool [k, j, i]. ``specs``: every target that is
    certainly present or absent. ``abnormalities``: the present ones, biggest first.
    """

    volume: Volume
    site: str
    masks: dict[str, npt.NDArray[np.bool_]]
    specs: dict[str, TargetSpec]
    abnormalities: tuple[str, ...]
    seed: int

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the targets that are certainly nowhere in the volume."""
        return tuple(name for name in self.specs if name not in self.masks)


def generate_volume(
    modality: str,
    seed: int,
    shape: tuple[int, int, int] = (32, 256, 256),
    *,
    site: str | None = None,
    abnormal: bool | None = None,
) -> PhantomVolume:
    """One stack of ``shape`` (k, j, i), the same for the same arguments; it spans the whole site whatever k.

    ``modality``: "CT" (``site`` "abdomen", the default, or "chest") or "MRI" ("brain"); an MRI may name its sequence
    ("MRI-T1", "MRI-T2", "MRI-FLAIR"; else one is drawn). ``abnormal`` None: an abnormality in about half of them.
    Raises InputError for another modality or site, or a shape under 2 x 32 x 32.
    """
    base = modality.split("-")[0] if modality.startswith("MRI") else modality
    sites = {"CT": ("abdomen", "chest"), "MRI": ("brain",)}.get(base)
    if sites is None or (base == "MRI" and modality not in ("MRI", *mri.SEQUENCES)):
        known = ", ".join(("CT", "MRI", *mri.SEQUENCES))
        raise InputError(f"There is no 3-D phantom of modality {modality!r}; use one of: {known}.")
    place = site or sites[0]
    if place not in sites:
        raise InputError(f"There is no {modality} phantom of site {place!r}; use one of: {', '.join(sites)}.")
    if shape[0] < 2 or min(shape[1:]) < 32:
        raise InputError(f"A phantom of shape {shape} is too small: at least 2 slices of 32 x 32 pixels are needed.")
    for attempt in range(20):
        rng = np.random.default_rng([zlib.crc32(f"{modality} {place}".encode()), seed, *shape, attempt])
        wanted = bool(rng.random() < 0.5) if abnormal is None else abnormal
        result = _build(rng, modality, place, seed, shape, wanted)
        if bool(result.abnormalities) == wanted:
            break
    return result


def _build(
    rng: np.random.Generator, modality: str, site: str, seed: int, shape: tuple[int, int, int], abnormal: bool
) -> PhantomVolume:
    size = max(shape[1:])
    word, specs = "CT", ct.ABDOMEN_SPECS if site == "abdomen" else ct.CHEST_SPECS
    if site == "brain":
        word = modality if modality != "MRI" else mri.SEQUENCES[int(rng.integers(len(mri.SEQUENCES)))]
        specs, levels = mri.SPECS[word], LEVELS
        pixel, plane = _head(rng, word, size, abnormal)
    else:
        names = ABDOMINAL if site == "abdomen" else THORACIC
        levels = ABDOMEN if site == "abdomen" else CHEST
        body = Torso(rng, size, ct.pick_findings(rng, names) if abnormal else ())
        pixel, plane = body.pixel, _torso(body)
    step = (levels[1] - levels[0]) / shape[0]
    heights = levels[0] + step * (np.arange(shape[0]) + 0.5)
    rows, columns = (slice((size - n) // 2, (size - n) // 2 + n) for n in shape[1:])
    array = np.empty(shape, dtype=np.int16)
    masks = {spec.name: np.zeros(shape, dtype=bool) for spec in specs}
    for k, z in enumerate(heights):
        image, truth = plane(float(z))
        array[k] = image[rows, columns]
        for name, mask in masks.items():
            mask[k] = truth[name][rows, columns]
    half = pixel * size / 2
    corner = ((columns.start + 0.5) * pixel - half, (rows.start + 0.5) * pixel - half)
    affine = np.diag((-pixel, -pixel, step, 1.0))
    affine[:3, 3] = (-corner[0], -corner[1], heights[0])
    volume = Volume.from_array(array, affine, word, Source(description=f"{word} phantom of the {site}, seed {seed}"))
    least = MIN_PIXELS * (size / 256) ** 2
    sizes = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
    kept = {spec.name: spec for spec in specs if sizes[spec.name] == 0 or sizes[spec.name] >= least}
    found = [name for name, spec in kept.items() if spec.kind == "abnormality" and sizes[name]]
    found.sort(key=lambda name: -sizes[name])
    present = {name: masks[name] for name in kept if sizes[name]}
    return PhantomVolume(volume, site, present, kept, tuple(found), seed)


def _torso(body: Torso) -> Plane:
    def plane(z: float) -> tuple[npt.NDArray[np.int16], dict[str, Mask]]:
        section = body.scan(z)
        return np.clip(np.rint(section.hu), -1024, 3071).astype(np.int16), section.masks

    return plane


def _head(rng: np.random.Generator, word: str, size: int, abnormal: bool) -> tuple[float, Plane]:
    head = Head(rng, size, abnormal)
    scanner = mri.Scanner(rng, size, word)
    noise_seed = int(rng.integers(2**32))

    def plane(z: float) -> tuple[npt.NDArray[np.int16], dict[str, Mask]]:
        section = head.section(z)
        own = np.random.default_rng([noise_seed, round((z + 1000) * 100)])
        return np.rint(scanner.image(own, section) * 1000).astype(np.int16), section.masks

    return head.pixel, plane
