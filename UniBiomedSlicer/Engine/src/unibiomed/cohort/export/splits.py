# SPDX-License-Identifier: Apache-2.0
"""Splits by patient: no patient is ever in two of them, and they are the same wherever they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from unibiomed.errors import InputError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def assign_splits(
    patients: Iterable[str], *, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Mapping[str, Split]:
    """Each patient's split. Shares are of patients; one above zero gets at least one patient where there are enough.

    Patients are ordered by a digest of their name and ``seed``, so that the order is random and the same everywhere.
    InputError when the shares leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise InputError(
            f"The shares {validation} and {test} leave nothing to train on; together they must be below 1."
        )
    ordered = sorted(set(patients), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    counts = {"test": _count(test, len(ordered)), "validation": _count(validation, len(ordered))}
    if sum(counts.values()) >= len(ordered):
        counts = dict.fromkeys(counts, 0)
    splits: dict[str, Split] = {}
    for number, name in enumerate(ordered):
        if number < counts["test"]:
            splits[name] = "test"
        elif number < counts["test"] + counts["validation"]:
            splits[name] = "validation"
        else:
            splits[name] = "train"
    return splits


def _count(share: float, patients: int) -> int:
    return max(1, round(share * patients)) if share > 0 else 0
