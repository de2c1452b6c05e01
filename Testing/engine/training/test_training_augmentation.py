# SPDX-License-Identifier: Apache-2.0
"""Exported pictures that are shown a little differently each time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unibiomed.training.augmentation import moved, other_look
from unibiomed.training.exported_data import ExportedExamples

SEEDS = st.integers(0, 2**31)


def _blob() -> tuple[np.ndarray, np.ndarray]:
    """A bright patch in the upper left of a black picture, and its mask."""
    mask = np.zeros((96, 128), bool)
    mask[20:44, 16:52] = True
    return np.repeat(np.where(mask, 200, 0).astype(np.uint8)[..., None], 3, axis=2), mask


@given(SEEDS)
def test_a_picture_and_its_mask_move_together(seed):
    picture, mask = _blob()
    change = moved(mask.shape, np.random.default_rng(seed))
    shown, outlined = change(picture)[..., 0] > 100, change(mask)
    assert (shown & outlined).sum() / (shown | outlined).sum() > 0.97
    assert outlined.dtype == bool


@given(SEEDS)
def test_nothing_is_mirrored_and_most_of_it_stays_in_the_picture(seed):
    _, mask = _blob()
    rows, columns = np.nonzero(moved(mask.shape, np.random.default_rng(seed))(mask))
    assert columns.mean() < 64
    assert rows.mean() < 48
    assert 0.6 < len(rows) / mask.sum() < 1.4


@given(SEEDS)
def test_another_look_keeps_black_black_and_grey_grey(seed):
    picture, mask = _blob()
    seen = other_look(picture, np.random.default_rng(seed))
    assert seen.dtype == np.uint8
    assert not seen[~mask].any()
    assert np.array_equal(seen[..., 0], seen[..., 1])
    assert np.array_equal(seen[..., 0], seen[..., 2])


@pytest.fixture
def export(tmp_path):
    picture, mask = _blob()
    for name in ("train", "train_mask"):
        (tmp_path / name).mkdir()
    Image.fromarray(picture).save(tmp_path / "train" / "case-0001-0000_CT_abdomen.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "train_mask" / "liver.png")
    annotation = {"file_name": "case-0001-0000_CT_abdomen.png", "mask_file": "liver.png",
                  "sentences": [{"raw": "liver in abdomen CT"}]}  # fmt: skip
    images = [{"file_name": "case-0001-0000_CT_abdomen.png"}]
    (tmp_path / "train.json").write_text(json.dumps({"images": images, "annotations": [annotation]}))
    return tmp_path


def test_each_pass_shows_another_version_and_each_run_the_same_ones(export):
    examples = ExportedExamples(export, count=4, augmented=True)
    first, second = examples["picture", 0], examples["picture", 1]
    assert not np.array_equal(first.image, second.image)
    again = ExportedExamples(export, count=4, augmented=True)["picture", 0]
    assert np.array_equal(first.image, again.image)
    mask = first.conversations[0].turns[0].masks[0]
    assert (mask & (first.image[..., 0] > 60)).sum() / mask.sum() > 0.9


def test_pictures_that_are_not_trained_on_are_shown_as_they_are(export):
    examples = ExportedExamples(export, count=2)
    assert np.array_equal(examples["picture", 0].image, examples["picture", 1].image)
    assert np.array_equal(examples["picture", 0].image, _blob()[0])
