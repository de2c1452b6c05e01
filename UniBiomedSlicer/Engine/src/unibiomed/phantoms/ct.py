# SPDX-License-Identifier: Apache-2.0
"""CT phantoms: axial slices of the analytic torso in an abdominal and in a lung window."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.base import Generator, Mask, Phantom, make_phantom, make_specs
from unibiomed.phantoms.shapes import Field, centroid, extent
from unibiomed.phantoms.torso import ABDOMEN, CHEST, Torso
from unibiomed.phantoms.torso_findings import ABDOMINAL, THORACIC
from unibiomed.phantoms.wording import size_word

ABDOMEN_SPECS = make_specs("abdomen", "CT", ("liver", "spleen", "left kidney", "right kidney", "aorta"), ABDOMINAL)
CHEST_SPECS = make_specs("chest", "CT", ("left lung", "right lung", "heart"), THORACIC)
HEALTHY = {"abdomen": "the liver and the kidneys are unremarkable.", "chest": "the lungs are clear."}

# "large" from this diameter over the image side on
LARGE = {"liver tumor": 0.105, "kidney tumor": 0.095, "lung nodule": 0.078}
LEAST = 100  # pixels at 256 x 256: a smaller sliver of an organ is neither present nor absent


def window(hu: Field, level: float, width: float) -> Field:
    """Hounsfield units through a display window to 0..1."""
    return (hu - np.float32(level - width / 2)) / np.float32(width)


def sentences(masks: dict[str, Mask]) -> dict[str, str]:
    """One sentence for each abnormality in ``masks``, from what its mask shows."""
    said = {}
    for name in (*ABDOMINAL, *THORACIC):
        mask = masks.get(name)
        if mask is None or not mask.any():
            continue
        place = centroid(mask)
        side = "right" if place[1] < 0 else "left"
        size = size_word(extent(mask), LARGE.get(name, 0.1))
        if name == "liver tumor":
            said[name] = f"a {size} hypodense tumor is seen in the liver."
        elif name == "kidney tumor":
            said[name] = f"a {size} tumor is seen in the {side} kidney."
        elif name == "lung nodule":
            said[name] = f"a {size} nodule is seen in the {side} lung."
        elif name == "pleural effusion":
            said[name] = f"a {side} pleural effusion is seen."
        else:
            columns = np.flatnonzero(mask.any(axis=0)) - mask.shape[1] / 2
            both = np.count_nonzero(columns < -8) > 6 and np.count_nonzero(columns > 8) > 6
            said[name] = f"ground-glass opacity is seen in {'both lungs' if both else f'the {side} lung'}."
    return said


def pick_findings(rng: np.random.Generator, names: tuple[str, ...]) -> tuple[str, ...]:
    """One of ``names``, sometimes two."""
    count = 2 if rng.random() < 0.15 else 1
    return tuple(str(name) for name in rng.choice(names, count, replace=False))


def _abdomen(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    for _ in range(20):
        names = pick_findings(rng, ABDOMINAL) if abnormal else ()
        body = Torso(rng, size, names)
        z = body.findings[names[0]].level if names else float(rng.uniform(*ABDOMEN))
        section = body.scan(z)
        if not names or np.count_nonzero(section.masks[names[0]]) > 90 * (size / 256) ** 2:
            break
    image = window(section.hu, rng.uniform(30, 50), rng.uniform(340, 430))
    return make_phantom(image, section.masks, ABDOMEN_SPECS, sentences(section.masks), HEALTHY["abdomen"], LEAST)


def _chest(rng: np.random.Generator, size: int, abnormal: bool) -> Phantom:
    for _ in range(20):
        names = pick_findings(rng, THORACIC) if abnormal else ()
        body = Torso(rng, size, names)
        z = body.findings[names[0]].level if names else float(rng.uniform(*CHEST))
        section = body.scan(z)
        if not names or np.count_nonzero(section.masks[names[0]]) > 90 * (size / 256) ** 2:
            break
    image = window(section.hu, rng.uniform(-620, -560), rng.uniform(1400, 1600))
    return make_phantom(image, section.masks, CHEST_SPECS, sentences(section.masks), HEALTHY["chest"], LEAST)


GENERATORS = (
    Generator("ct-abdomen", "CT", ABDOMEN_SPECS, _abdomen),
    Generator("ct-chest", "CT", CHEST_SPECS, _chest),
)
