# SPDX-License-Identifier: Apache-2.0
"""What a viewer is given for a case: its own file, or the one frame that was annotated."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.shown import shown_image
from unibiomed.errors import InputError
from unibiomed.volumes import read_volume

#: Oblique, of unequal spacing.
AFFINE = np.array([[-2.0, 0.0, 0.0, 30.0], [0.0, 1.2, 1.8, -20.0], [0.0, -0.9, 2.4, 10.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def voxels():
    """[i, j, k, time]"""
    return np.arange(6 * 5 * 4 * 3, dtype=np.int16).reshape(6, 5, 4, 3)


def catalogue_of(root, **plan):
    """A catalogue of the images in ``root``, and its first case."""
    wanted = Plan(modality="MRI", **plan)
    opened = Catalogue.create(root / "derivatives" / "unibiomed", root, wanted, find_cases(root))
    return opened, next(opened.records()).case


def test_of_a_4d_image_the_frame_of_the_plan_is_shown_on_its_own_grid(tmp_path, voxels):
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "bold.nii.gz")
    catalogue, case = catalogue_of(tmp_path, frame=1)
    with catalogue:
        shown = shown_image(catalogue, case)
        again = shown_image(catalogue, case)
    image, volume = nibabel.load(shown), read_volume(tmp_path / "bold.nii.gz", modality="MRI", frame=1)
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(volume.array).transpose(2, 1, 0))
    assert np.array_equal(np.asarray(image.dataobj), voxels[..., 1])
    assert np.allclose(image.affine, volume.ijk_to_ras)
    assert again == shown
    assert [path.name for path in shown.parent.iterdir()] == ["frame-1.nii.gz"]


def test_an_image_of_which_no_frame_is_asked_is_shown_from_its_own_file(tmp_path, voxels):
    nibabel.save(nibabel.Nifti1Image(voxels[..., 0], AFFINE), tmp_path / "head.nii.gz")
    catalogue, case = catalogue_of(tmp_path)
    with catalogue:
        assert shown_image(catalogue, case) == tmp_path / "head.nii.gz"


def test_a_colour_picture_is_shown_from_its_own_file_whatever_frame_the_plan_takes(tmp_path):
    Image.fromarray(np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)).save(tmp_path / "skin.png")
    catalogue, case = catalogue_of(tmp_path, frame=0)
    with catalogue:
        assert shown_image(catalogue, case) == tmp_path / "skin.png"


def test_a_frame_that_is_not_there_is_told_and_nothing_is_written(tmp_path, voxels):
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "bold.nii.gz")
    catalogue, case = catalogue_of(tmp_path, frame=7)
    with catalogue, pytest.raises(InputError, match="has no frame 7"):
        shown_image(catalogue, case)
    assert not list((tmp_path / "derivatives").rglob("*.nii.gz"))
