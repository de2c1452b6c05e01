# SPDX-License-Identifier: Apache-2.0
"""What a phantom is: an image with exact truth and the text that speaks of it.

Images are (H, W, 3) uint8 in display orientation, masks (H, W) bool, H = W = ``size``. Target phrases follow
"{target} in {site} {modality}", the format of the model's training data (BiomedParse).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["anatomy", "abnormality"]
Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

MIN_PIXELS = 24  # at 256 x 256: below it a target is too small to be asked for or to be called absent


@dataclass(frozen=True)
class TargetSpec:
    """One thing that can be asked for: ``liver`` in ``abdomen`` ``CT``."""

    name: str
    site: str
    modality: str
    kind: Kind

    @property
    def phrase(self) -> str:
        """The phrase of the trained prompts, e.g. ``liver in abdomen CT``."""
        return f"{self.name} in {self.site} {self.modality}"


@dataclass(frozen=True, eq=False)
class Phantom:
    """One image with its truth.

    ``specs`` holds every target whose presence or absence in this image is certain; ``masks`` the present ones, so that
    ``absent`` are true negatives. A target of a few pixels only is in neither.
    ``abnormalities`` are the present ones, biggest first; ``sentences`` has one lower-case sentence for each, with its
    full stop; ``healthy_sentence`` is used where there is none.
    """

    image: Image
    modality: str
    site: str
    masks: dict[str, Mask]
    specs: dict[str, TargetSpec]
    abnormalities: tuple[str, ...]
    sentences: dict[str, str]
    healthy_sentence: str
    seed: int = -1

    @property
    def anatomy(self) -> tuple[str, ...]:
        """Names of the anatomical targets in the image, in the generator's order."""
        return tuple(name for name, spec in self.specs.items() if spec.kind == "anatomy" and name in self.masks)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the targets that are certainly not in the image."""
        return tuple(name for name in self.specs if name not in self.masks)

    def caption(self) -> str:
        """``{modality} image of the {site}. it shows the A, the B and the C. {sentences}``."""
        shown = join_words([f"the {name}" for name in self.anatomy]) or "no named structure"
        findings = " ".join(self.sentences[name] for name in self.abnormalities) or "no abnormality is seen."
        return f"{self.modality} image of the {self.site}. it shows {shown}. {findings}"

    def report(self) -> str:
        """The grounded report: one ``<p> finding. sentence </p> [SEG]`` block a finding, joined by one blank."""
        if not self.abnormalities:
            return f"<p> no findings. {self.healthy_sentence} </p> [SEG]"
        return " ".join(f"<p> {name}. {self.sentences[name]} </p> [SEG]" for name in self.abnormalities)


@dataclass(frozen=True, eq=False)
class Generator:
    """A source of phantoms of one modality and site.

    ``draw(rng, size, abnormal)`` makes one phantom; with ``abnormal`` true at least one abnormality is visible in it,
    else none. ``specs`` are all its targets. ``share`` is its weight among the generators of its modality.
    """

    name: str
    modality: str
    specs: tuple[TargetSpec, ...]
    draw: Callable[[np.random.Generator, int, bool], Phantom]
    share: float = 1.0

    @property
    def has_abnormalities(self) -> bool:
        """Whether it can draw an abnormal image."""
        return any(spec.kind == "abnormality" for spec in self.specs)


def make_specs(
    site: str, modality: str, anatomy: Iterable[str], abnormalities: Iterable[str] = ()
) -> tuple[TargetSpec, ...]:
    """Specs of one site and modality word, anatomy first."""
    return tuple(TargetSpec(name, site, modality, "anatomy") for name in anatomy) + tuple(
        TargetSpec(name, site, modality, "abnormality") for name in abnormalities
    )


def make_phantom(
    image: npt.NDArray[np.generic],
    masks: dict[str, Mask],
    specs: Iterable[TargetSpec],
    sentences: dict[str, str],
    healthy_sentence: str,
    least_anatomy: int = MIN_PIXELS,
) -> Phantom:
    """Assemble a phantom from what a generator drew.

    ``image``: (H, W) or (H, W, 3), uint8, or float in 0..1. ``masks`` may hold empty or tiny ones: empty means absent,
    tiny means neither present nor absent (under ``MIN_PIXELS``, an organ under ``least_anatomy``, in pixels at 256 x
    256). ``specs`` share site and modality.
    """
    if image.dtype != np.uint8:
        image = to_uint8(image)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    share = image.shape[0] * image.shape[1] / 256**2
    least = {"anatomy": least_anatomy * share, "abnormality": MIN_PIXELS * share}
    areas = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
    all_specs = tuple(specs)
    kept_specs = {s.name: s for s in all_specs if areas.get(s.name, 0) == 0 or areas[s.name] >= least[s.kind]}
    kept_masks = {name: masks[name] for name in kept_specs if areas.get(name, 0) >= least[kept_specs[name].kind]}
    found = [name for name in kept_masks if kept_specs[name].kind == "abnormality"]
    found.sort(key=lambda name: -areas[name])
    return Phantom(
        image=np.ascontiguousarray(image),
        modality=all_specs[0].modality,
        site=all_specs[0].site,
        masks=kept_masks,
        specs=kept_specs,
        abnormalities=tuple(found),
        sentences={name: sentences[name] for name in found},
        healthy_sentence=healthy_sentence,
    )


def to_uint8(image: npt.NDArray[np.generic]) -> Image:
    """Float 0..1 (any shape) to uint8 0..255, clipped and rounded."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def join_words(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]
