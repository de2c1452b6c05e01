# SPDX-License-Identifier: Apache-2.0
"""Brain MRI phantoms: axial slices of the analytic head as T1, T2 and FLAIR."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.head import LEVELS, Head, HeadSection
from unibiomed.phantoms.shapes import Field, centroid, extent, smooth_noise
from unibiomed.phantoms.wording import patient_side, size_word, third

SEQUENCES = ("MRI-T1", "MRI-T2", "MRI-FLAIR")
ANATOMY, ABNORMALITIES = ("brain", "ventricles"), ("tumor",)
SPECS = {word: make_specs("brain", word, ANATOMY, ABNORMALITIES) for word in SEQUENCES}
HEALTHY = "the brain is unremarkable."
LEAST = 130  # pixels at 256 x 256: a smaller sliver of brain or ventricle is neither present nor absent

# Signal (about 0..1) of each tissue in each sequence, in the order of ``TISSUES``:
# air, skin, fat, muscle, bone, marrow, csf, grey, white, eye, tumor, core
SIGNAL = {
    "MRI-T1": (0.01, 0.45, 0.95, 0.38, 0.05, 0.55, 0.13, 0.46, 0.70, 0.16, 0.34, 0.22),
    "MRI-T2": (0.01, 0.35, 0.62, 0.22, 0.05, 0.38, 0.95, 0.55, 0.36, 0.93, 0.76, 0.90),
    "MRI-FLAIR": (0.01, 0.35, 0.66, 0.30, 0.05, 0.36, 0.09, 0.52, 0.40, 0.10, 0.88, 0.74),
}


def signal_table(rng: np.random.Generator, sequence: str) -> Field:
    """Signal by tissue number for one scan: the sequence's own, each tissue a little off."""
    table = np.array(SIGNAL[sequence], dtype=np.float32)
    return table * rng.normal(1.0, 0.045, len(table)).astype(np.float32).clip(0.88, 1.12)


class Scanner:
    """Coil shading, resolution, noise and display gain of one scan."""

    def __init__(self, rng: np.random.Generator, size: int, sequence: str) -> None:
        self.table = signal_table(rng, sequence)
        self.size = size
        self.shading = np.exp(np.float32(rng.uniform(0.03, 0.13)) * smooth_noise(rng, size, 0.6 * size))
        self.blur = rng.uniform(0.55, 1.0) * size / 256
        self.noise = rng.uniform(0.012, 0.05)
        self.gain = rng.uniform(0.85, 1.12)
        self.gamma = rng.uniform(0.85, 1.15)

    def image(self, rng: np.random.Generator, section: HeadSection) -> Field:
        """The section as a magnitude image 0..1 with Rician noise, (size, size) float32."""
        clean = self.table[section.tissue]
        clean += np.float32(0.03) * clean * smooth_noise(rng, self.size, 7 * self.size / 256)
        clean = ndimage.gaussian_filter(clean, self.blur, truncate=2.5) * self.shading
        shape = (self.size, self.size)
        real = clean + np.float32(self.noise) * rng.standard_normal(shape, dtype=np.float32)
        imaginary = np.float32(self.noise) * rng.standard_normal(shape, dtype=np.float32)
        return (np.hypot(real, imaginary) * np.float32(self.gain)).clip(0, 1) ** np.float32(self.gamma)


def tumor_sentence(mask: Mask, brain: Mask, view: str = "axial") -> str:
    """What is said of a tumor, from its mask and the brain's: its side and region as far as the view shows them."""
    place, middle = centroid(mask), centroid(brain)
    spread = (
        np.count_nonzero(brain.any(axis=1)) / brain.shape[0],
        np.count_nonzero(brain.any(axis=0)) / brain.shape[1],
    )
    along = 0 if view == "axial" else 1  # the direction from front to back
    regions = ("frontal", "parietal", "occipital")
    region = third((place[along] - middle[along]) / max(0.2, spread[along]), regions, -0.3, 0.3)
    size, side = size_word(extent(mask), 0.125), patient_side(place[1], middle[1])
    where = {"axial": f"{side} {region} region", "coronal": f"{side} hemisphere", "sagittal": f"{region} region"}
    return f"a {size} tumor is seen in the {where[view]}."


def _brain(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    sequence = SEQUENCES[int(rng.integers(3))]
    for _ in range(20):
        head = Head(rng, size, abnormal)
        z = head.tumor_level + rng.uniform(-0.45, 0.45) * head.tumor_height if abnormal else float(rng.uniform(*LEVELS))
        section = head.section(z)
        if not abnormal or np.count_nonzero(section.masks["tumor"]) > 130 * (size / 256) ** 2:
            break
    said = {"tumor": tumor_sentence(section.masks["tumor"], section.masks["brain"])} if abnormal else {}
    image = Scanner(rng, size, sequence).image(rng, section)
    return make_phantom(image, section.masks, SPECS[sequence], said, HEALTHY, LEAST)


GENERATORS = (Generator("mri-brain", "MRI", tuple(spec for word in SEQUENCES for spec in SPECS[word]), _brain),)
