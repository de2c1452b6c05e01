# SPDX-License-Identifier: Apache-2.0
"""What a reader sees by eye, in numbers: findings stand out the way they do in the modality."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull
from unibiomed.phantoms import dermoscopy, endoscopy, fundus, generate_from, mammography, oct, pathology, ultrasound
from unibiomed.phantoms.base import Generator, Mask, Phantom

BREAST_US, HEART_US = ultrasound.GENERATORS
COLON_HE, FUNDUS, OCT = pathology.GENERATORS[0], fundus.GENERATORS[0], oct.GENERATORS[0]
ENDOSCOPE, SKIN, MAMMOGRAM = endoscopy.GENERATORS[0], dermoscopy.GENERATORS[0], mammography.GENERATORS[0]


def drawn(generator: Generator, target: str, count: int = 6) -> list[Phantom]:
    """The first ``count`` abnormal phantoms that show ``target``."""
    found = (generate_from(generator, seed, abnormal=True) for seed in range(200))
    return list(islice((phantom for phantom in found if target in phantom.masks), count))


def mean(phantom: Phantom, mask: Mask) -> np.ndarray:
    return phantom.image[mask].mean(axis=0)


def around(mask: Mask) -> Mask:
    """A ring some pixels outside the mask."""
    return ndimage.binary_dilation(mask, iterations=8) & ~ndimage.binary_dilation(mask, iterations=3)


@pytest.mark.parametrize(
    ("generator", "target", "brighter", "least"),
    [
        (BREAST_US, "benign tumor", False, 35),
        (BREAST_US, "malignant tumor", False, 25),
        (HEART_US, "left heart ventricle", False, 20),
        (HEART_US, "pericardial effusion", False, 15),
        (FUNDUS, "hemorrhage", False, 20),
        (FUNDUS, "exudate", True, 30),
        (FUNDUS, "optic disc", True, 20),
        (COLON_HE, "tumor", False, 20),
        (OCT, "edema", False, 35),
        (ENDOSCOPE, "lumen", False, 8),
        (ENDOSCOPE, "non-neoplastic polyp", True, 5),
        (SKIN, "melanoma", False, 40),
        (MAMMOGRAM, "tumor", True, 25),
        (MAMMOGRAM, "calcification", True, 8),
        (MAMMOGRAM, "pectoral muscle", True, 25),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_target_stands_out_from_its_surroundings(
    generator: Generator, target: str, brighter: bool, least: float
) -> None:
    for phantom in drawn(generator, target):
        mask = phantom.masks[target]
        difference = float(mean(phantom, mask).mean() - mean(phantom, around(mask)).mean())
        assert (difference if brighter else -difference) > least, (phantom.seed, difference)


def test_posterior_enhancement_and_shadow_tell_the_two_breast_masses_apart() -> None:
    def behind(phantom: Phantom, target: str) -> float:
        """Brightness below the mass, less that beside it at the same depth."""
        rows, columns = np.nonzero(phantom.masks[target])
        low, middle, half = rows.max() + 4, int(columns.mean()), int(np.ptp(columns) // 4)
        beside = np.r_[0 : columns.min() - 15, columns.max() + 15 : 256]
        band = phantom.image[low : low + 12, :, 0].astype(float)
        return float(band[:, middle - half : middle + half + 1].mean() - band[:, beside].mean())

    assert all(behind(phantom, "benign tumor") > 5 for phantom in drawn(BREAST_US, "benign tumor"))
    assert all(behind(phantom, "malignant tumor") < -10 for phantom in drawn(BREAST_US, "malignant tumor"))


def test_a_malignant_mass_is_less_round_than_a_benign_one() -> None:
    def solidity(mask: Mask) -> float:
        return float(mask.sum() / ConvexHull(np.argwhere(mask)).volume)  # the "volume" of a 2-D hull is its area

    benign = np.mean([solidity(p.masks["benign tumor"]) for p in drawn(BREAST_US, "benign tumor", 10)])
    malignant = np.mean([solidity(p.masks["malignant tumor"]) for p in drawn(BREAST_US, "malignant tumor", 10)])
    assert benign > malignant + 0.02


def test_a_neoplastic_polyp_is_redder_than_a_pale_one() -> None:
    def redness(target: str) -> list[float]:
        colours = [mean(phantom, phantom.masks[target]) for phantom in drawn(ENDOSCOPE, target, 10)]
        return [float(colour[0] / colour[1]) for colour in colours]

    assert min(redness("neoplastic polyp")) > max(redness("non-neoplastic polyp")) + 0.2


def test_a_melanoma_has_more_colours_than_a_nevus() -> None:
    def spread(phantom: Phantom, target: str) -> float:
        inner = ndimage.binary_erosion(phantom.masks[target], iterations=4)
        return float(phantom.image[inner].std(axis=0).mean())

    nevi = [p for p in (generate_from(SKIN, seed, abnormal=False) for seed in range(30)) if "lesion" in p.masks]
    assert np.mean([spread(p, "melanoma") for p in drawn(SKIN, "melanoma", 10)]) > 1.7 * np.mean(
        [spread(p, "lesion") for p in nevi[:10]]
    )


def test_the_echo_and_the_mammogram_are_black_outside_the_body() -> None:
    echo = generate_from(HEART_US, 3)
    assert echo.image[:30, :40].max() < 8
    mammogram = generate_from(MAMMOGRAM, 3)
    assert np.median(mammogram.image[~np.any(list(mammogram.masks.values()), axis=0)]) < 12


def test_fundus_colours_are_those_of_a_real_photograph(shared_dir: Path) -> None:
    real = np.asarray(Image.open(shared_dir / "data/fundus/retina.jpg").convert("RGB").resize((256, 256)), float)
    drawn_ = np.mean([generate_from(FUNDUS, seed).image.astype(float) for seed in range(12)], axis=0)
    field = np.hypot(*(np.mgrid[:256, :256] - 127.5)) < 95
    real_mean, drawn_mean = real[field].mean(axis=0), drawn_[field].mean(axis=0)
    np.testing.assert_allclose(drawn_mean / drawn_mean.sum(), real_mean / real_mean.sum(), atol=0.08)
    np.testing.assert_allclose(drawn_mean, real_mean, atol=45)


def test_stain_colours_are_those_of_a_real_section(shared_dir: Path) -> None:
    real = np.asarray(Image.open(shared_dir / "data/pathology/histo.jpg").convert("RGB"), float).reshape(-1, 3)
    tumours = [p.image[p.masks["tumor"]].astype(float) for p in drawn(COLON_HE, "tumor", 12)]
    pooled = np.concatenate(tumours)
    for low, high in ((2, 25), (75, 98)):  # nuclei, and the tissue between them
        shades = []
        for pixels in (real, pooled):
            grey = pixels.mean(axis=1)
            chosen = (grey >= np.percentile(grey, low)) & (grey <= np.percentile(grey, high))
            shades.append(pixels[chosen].mean(axis=0))
        np.testing.assert_allclose(shades[0], shades[1], atol=50)
        assert shades[1][2] > shades[1][1] + 10  # blue or pink, never green
