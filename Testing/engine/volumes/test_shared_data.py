# SPDX-License-Identifier: Apache-2.0
"""Every real file beside the checkout: read, shown, and a mask carried to the picture and back for each axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from unibiomed.errors import InputError
from unibiomed.volumes import default_axis, read_volume, slice_mapping

EXPECTED = {
    "mr_oblique_dicom": ((20, 256, 256), "MRI", "axial"),
    "RG1_J2KR.dcm": ((1, 1955, 1841), "X-Ray", "axial"),
    "ct_scout_chest.dcm": ((1, 400, 512), "X-Ray", "coronal"),
    "examples_ybr_color.dcm": ((30, 240, 320), "ultrasound", "axial"),
    "gdcm-US-ALOKA-16.dcm": ((1, 480, 640), "ultrasound", "axial"),
    "mr_cardiac_16frames.dcm": ((16, 256, 256), "MRI", "axial"),
    "brain1_image.nrrd": ((25, 256, 256), None, "axial"),
    "lung1_crop_image.nrrd": ((19, 246, 244), None, "axial"),
    "dipy_oblique_aniso_vox.nii.gz": ((24, 58, 58), None, "axial"),
    "nibabel_oblique_example4d.nii.gz": ((24, 96, 128), None, "axial"),
    "img2d.tif": ((1, 512, 512), None, "axial"),
    "retina.jpg": ((1, 1411, 1411), None, "axial"),
}


def test_every_real_file_is_read_and_its_masks_come_back(shared_dir: Path) -> None:
    data = shared_dir / "data"
    paths = [path for path in sorted(data.rglob("*")) if path.is_file() and path.suffix not in (".txt", ".md")]
    paths = [path for path in paths if path.parent.name != "mr_oblique_dicom"] + [data / "mr_oblique_dicom"]
    rng = np.random.default_rng(11)
    seen = set()
    for path in paths:
        if path.parent.name == "dicom_seg":
            continue
        volume = read_volume(path, frame=1 if "4d" in path.name else None)
        if path.name in EXPECTED:
            shape, modality, axis = EXPECTED[path.name]
            assert (volume.shape, volume.modality, default_axis(volume)) == (shape, modality, axis), path.name
            seen.add(path.name)
        for axis in ("axial", "coronal", "sagittal"):
            mapping = slice_mapping(volume, axis)
            index = mapping.n_slices // 2
            picture = mapping.to_image(index)
            assert picture.shape == (*mapping.image_shape, 3)
            plane = rng.random(mapping.plane(index).shape[:2]) > 0.5
            mask = mapping.from_volume_slice(plane)
            out = np.zeros(volume.shape, bool)
            mapping.put(mask, index, out)
            if mapping.is_exact:
                np.testing.assert_array_equal(mapping.slice_of(out, index), plane, path.name)
            np.testing.assert_array_equal(mapping.from_volume_slice(mapping.slice_of(out, index)), mask, path.name)
            assert out.sum() == mapping.slice_of(out, index).sum()
    assert seen == set(EXPECTED)


def test_the_tumour_label_lies_on_bright_tissue_of_the_patients_left_side(shared_dir: Path) -> None:
    """The lesion enhances: orientation and place of image and mask agree."""
    folder = shared_dir / "data" / "mr_brain_tumour"
    image, label = read_volume(folder / "brain1_image.nrrd"), read_volume(folder / "brain1_label.nrrd")
    np.testing.assert_allclose(image.ijk_to_ras, label.ijk_to_ras, atol=1e-6)
    mapping = slice_mapping(image, "axial")
    index = int((label.array > 0).sum(axis=(1, 2)).argmax())
    picture, mask = mapping.to_image(index)[:, :, 0], mapping.from_volume_slice(label.array[index] > 0)
    assert picture[mask].mean() > 1.3 * picture[picture > 30].mean() * 0.8
    rows, columns = np.nonzero(mask)
    assert columns.mean() > mapping.side / 2
    k, j, i = mapping.voxel_at(rows.mean(), columns.mean(), index)
    assert (image.ijk_to_ras @ (i, j, k, 1))[0] < (image.ijk_to_ras @ (128, 128, k, 1))[0]


def test_a_real_dicom_segmentation_is_told_to_be_no_image(shared_dir: Path) -> None:
    with pytest.raises(InputError, match="a DICOM segmentation"):
        read_volume(shared_dir / "data" / "dicom_seg" / "liver.dcm")
