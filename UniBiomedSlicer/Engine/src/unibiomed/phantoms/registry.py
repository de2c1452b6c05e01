# SPDX-License-Identifier: Apache-2.0
"""Every generator by modality, and drawing from them by seed."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from unibiomed.errors import InputError
from unibiomed.phantoms import (
    ct,
    dermoscopy,
    endoscopy,
    fundus,
    mammography,
    mri,
    oct,
    pathology,
    template_heads,
    ultrasound,
    xray,
)
from unibiomed.phantoms.base import Generator, Phantom, TargetSpec

# One entry for each modality: canonical phrase word -> its generators (each module exports a tuple GENERATORS).
MODALITY_GENERATORS: dict[str, tuple[Generator, ...]] = {
    "CT": ct.GENERATORS,
    "MRI": mri.GENERATORS,
    "X-Ray": xray.GENERATORS,
    "ultrasound": ultrasound.GENERATORS,
    "pathology": pathology.GENERATORS,
    "fundus": fundus.GENERATORS,
    "OCT": oct.GENERATORS,
    "endoscope": endoscopy.GENERATORS,
    "dermoscopy": dermoscopy.GENERATORS,
    "mammography": mammography.GENERATORS,
}

# Mixed in by training only: they need a training-time dependency, so `generate` never draws from them.
EXTRA_GENERATORS: dict[str, tuple[Generator, ...]] = {
    "MRI": template_heads.GENERATORS,
}


def generate(modality: str, seed: int, size: int = 256, abnormal: bool | None = None) -> Phantom:
    """One phantom, the same for the same (modality, seed, size, abnormal).

    ``modality`` is one of the ten phrase words. ``abnormal`` None: an abnormality in about half of the images.
    Raises InputError for an unknown modality.
    """
    generators = MODALITY_GENERATORS.get(modality)
    if generators is None:
        known = ", ".join(MODALITY_GENERATORS)
        raise InputError(f"There is no phantom of modality {modality!r}; use one of: {known}.")
    rng = np.random.default_rng([zlib.crc32(modality.encode()), seed, size])
    return _draw(generators, rng, seed, size, abnormal)


def generate_from(generator: Generator, seed: int, size: int = 256, abnormal: bool | None = None) -> Phantom:
    """One phantom of one generator (also an extra one), the same for the same arguments."""
    rng = np.random.default_rng([zlib.crc32(generator.name.encode()), seed, size])
    return _draw((generator,), rng, seed, size, abnormal)


def all_targets(*, extra: bool = True) -> tuple[TargetSpec, ...]:
    """Every target of every generator, once each; ``extra`` false leaves out those of training-time generators."""
    tables = (MODALITY_GENERATORS, EXTRA_GENERATORS) if extra else (MODALITY_GENERATORS,)
    found = {spec: None for table in tables for row in table.values() for entry in row for spec in entry.specs}
    return tuple(found)


def _draw(
    generators: tuple[Generator, ...], rng: np.random.Generator, seed: int, size: int, abnormal: bool | None
) -> Phantom:
    coin = bool(rng.random() < 0.5)
    wanted = coin if abnormal is None else abnormal
    choice = tuple(entry for entry in generators if entry.has_abnormalities or not wanted) or generators
    shares = np.array([entry.share for entry in choice])
    picked = choice[int(rng.choice(len(choice), p=shares / shares.sum()))]
    phantom = picked.draw(rng, size, wanted and picked.has_abnormalities)
    return dataclasses.replace(phantom, seed=seed)
