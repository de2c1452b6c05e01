# SPDX-License-Identifier: Apache-2.0
"""Whatever cannot be read is told in one clear sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from unibiomed.errors import InputError
from unibiomed.volumes import list_series, read_volume


def _told(path: Path, **options) -> str:
    with pytest.raises(InputError) as error:
        read_volume(path, **options)
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert 20 < len(text) < 400
    assert "Traceback" not in text
    return text


@pytest.fixture
def array(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 900, (6, 20, 20), np.int16)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "no file or folder" in _told(tmp_path / "none.nii.gz")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "is empty" in _told(tmp_path)
    with pytest.raises(InputError, match="is empty"):
        list_series(tmp_path)


def test_a_folder_without_dicom_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    assert "holds no DICOM image (1 other file)" in _told(tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        list_series(tmp_path / "none")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm", "a.png", "a.jpg", "a.tif", "a"])
def test_an_empty_file_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert "empty (0 bytes)" in _told(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd", "a.dcm", "a.png", "a.txt", "a"])
@pytest.mark.parametrize("content", [b"hello, I am a letter. " * 40, bytes(range(256)) * 4, b"\0" * 900, b"\x1f\x8bxx"])
def test_a_file_that_is_no_image_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in _told(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("lazy", [None, True])
def test_a_truncated_file_is_told(name: str, part: float, lazy, array, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix in (".png", ".jpg", ".tif"):
        Image.fromarray(np.tile(array[0], (8, 8)).astype(np.uint8)).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert name in _told(path, lazy=lazy)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_truncated_dicom_slice_is_told_by_its_name(part: float, array, write_series) -> None:
    folder = write_series(array)
    path = sorted(folder.glob("*_3.dcm"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert path.name in _told(folder)
    assert path.name in _told(path)


def test_an_empty_dicom_slice_is_told_rather_than_left_out(array, write_series) -> None:
    folder = write_series(array)
    (folder / "bad.dcm").touch()
    assert "bad.dcm" in _told(folder)


def test_a_dicom_file_without_pixels_is_told(array, make_dicom, tmp_path: Path) -> None:
    dataset = make_dicom(array[0])
    del dataset.PixelData
    dataset.save_as(tmp_path / "bare.dcm")
    assert "bare.dcm" in _told(tmp_path / "bare.dcm")


def test_dicom_objects_that_are_no_images_are_told(array, make_dicom, tmp_path: Path) -> None:
    make_dicom(array[0], Modality="SEG").save_as(tmp_path / "seg.dcm")
    assert "a DICOM segmentation, not an image" in _told(tmp_path / "seg.dcm")
    assert "holds no DICOM image" in _told(tmp_path)


def test_a_missing_data_file_of_an_mhd_is_told(array, tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    assert "lacks its data" in _told(tmp_path / "a.mhd")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("lazy", [None, True])
def test_a_volume_of_nan_is_told(value: float, lazy, tmp_path: Path) -> None:
    array = np.full((4, 5, 6), value, np.float32)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "nan.nii")
    assert "nan.nii has 120 of 120 voxels that are not a number" in _told(tmp_path / "nan.nii", lazy=lazy)


def test_a_constant_volume_is_told(write_series, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 77).save(tmp_path / "flat.png")
    assert "flat.png is constant: every voxel is 77" in _told(tmp_path / "flat.png")
    assert "constant" in _told(write_series(np.full((3, 8, 8), 5, np.int16)))


def test_a_picture_of_one_pixel_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "dot.png")
    assert "only 1 x 1 x 1 pixels" in _told(tmp_path / "dot.png")


def test_an_unknown_modality_is_told(tmp_path: Path, array) -> None:
    Image.fromarray(array[0].astype(np.uint8)).save(tmp_path / "a.png")
    assert 'modality "magic" is not known; use one of CT, MRI' in _told(tmp_path / "a.png", modality="magic")


def test_a_sheared_affine_is_refused_with_the_reason(array, tmp_path: Path) -> None:
    affine = np.diag([1.0, 1, 2, 1])
    affine[0, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(array.T, affine), tmp_path / "sheared.nii.gz")
    text = _told(tmp_path / "sheared.nii.gz")
    assert "sheared" in text
    assert "16.7 degrees away from a right angle" in text
    image = sitk.GetImageFromArray(array)
    image.SetDirection((1, 0.2873, 0, 0, 0.9578, 0, 0, 0, 1))
    for name in ("sheared.mha", "sheared.nrrd"):
        sitk.WriteImage(image, str(tmp_path / name))
        assert "sheared" in _told(tmp_path / name)


def test_a_vector_field_is_told(rng, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(rng.random((4, 5, 6, 1, 3)), np.eye(4)), tmp_path / "warp.nii.gz")
    assert "5 dimensions" in _told(tmp_path / "warp.nii.gz")


def test_complex_numbers_are_told(array, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(array.astype(np.complex64), np.eye(4)), tmp_path / "k.nii")
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.complex64)), str(tmp_path / "k.nrrd"))
    assert "complex" in _told(tmp_path / "k.nii")
    assert "complex" in _told(tmp_path / "k.nrrd")


def test_a_series_uid_for_what_is_no_dicom_is_told(array, tmp_path: Path) -> None:
    Image.fromarray(array[0].astype(np.uint8)).save(tmp_path / "a.png")
    assert "not DICOM" in _told(tmp_path / "a.png", series_uid="1.2")


def test_a_frame_that_does_not_exist_is_told(array, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii")
    assert "no frame 4" in _told(tmp_path / "a.nii", frame=4)


def test_a_header_that_claims_more_voxels_than_any_memory_is_told(array, tmp_path: Path) -> None:
    path = tmp_path / "huge.nii.gz"
    image = nibabel.Nifti1Image(array, np.eye(4))
    raw = bytearray(image.to_bytes())
    for axis in (1, 2, 3):
        raw[40 + 2 * axis : 42 + 2 * axis] = (32_000).to_bytes(2, "little")
    path.write_bytes(gzip.compress(bytes(raw)))
    assert "huge.nii.gz" in _told(path)
