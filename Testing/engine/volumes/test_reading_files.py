# SPDX-License-Identifier: Apache-2.0
"""NIfTI, NRRD, MetaImage and pictures: voxels, geometry, frames, colour, lazy reading."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.spatial.transform import Rotation
from unibiomed.errors import InputError
from unibiomed.volumes import default_window, read_volume, slice_mapping
from unibiomed.volumes.lazy import LazySlices


@pytest.fixture
def array(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-500, 1500, (6, 7, 8), np.int16)


@pytest.fixture
def oblique() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -20, 170), degrees=True).as_matrix() * (0.7, -0.9, 4)
    affine[:3, 3] = (30, -40, 50)
    return affine


def _write_itk(array: np.ndarray, ijk_to_ras: np.ndarray, path: Path, *, compressed: bool = False) -> Path:
    """Write through ITK, which knows LPS only."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4 and array.shape[3] <= 4)
    lps = np.diag([-1, -1, 1, 1]) @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    if image.GetDimension() == 3:
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("lazy", [None, True])
def test_each_format_gives_the_same_voxels_and_the_same_place(name, compressed, lazy, array, oblique, tmp_path) -> None:
    volume = read_volume(_write_itk(array, oblique, tmp_path / name, compressed=compressed), modality="ct", lazy=lazy)
    np.testing.assert_array_equal(np.asarray(volume.array), array)
    np.testing.assert_allclose(volume.ijk_to_ras, oblique, atol=1e-4)
    assert (volume.modality, volume.spatial) == ("CT", True)
    np.testing.assert_array_equal(slice_mapping(volume, "coronal").plane(2), array[:, 2])


def test_the_format_is_told_by_the_content_not_the_name(array, oblique, tmp_path) -> None:
    for name in ("a.nii", "a.nrrd"):
        target = (_write_itk(array, oblique, tmp_path / name)).rename(tmp_path / f"{name}.dcm")
        np.testing.assert_array_equal(read_volume(target).array, array)


def test_nifti_scaling_is_applied_and_units_become_mm(array, tmp_path) -> None:
    image = nibabel.Nifti1Image(array.T, np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_xyzt_units("meter")
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "scaled.nii")
    raw = nibabel.load(tmp_path / "scaled.nii")
    for lazy in (None, True):
        volume = read_volume(tmp_path / "scaled.nii", lazy=lazy)
        assert volume.array.dtype == np.float32
        np.testing.assert_allclose(np.asarray(volume.array), np.asarray(raw.dataobj).T, rtol=1e-6)
        assert volume.spacing == pytest.approx((1, 1, 2))


def test_nifti_without_orientation_is_shown_as_stored_and_says_so(array, tmp_path) -> None:
    image = nibabel.Nifti1Image(array.T, None)
    image.header.set_zooms((2, 3, 4))
    image.header.set_sform(None, 0)
    image.header.set_qform(None, 0)
    nibabel.save(image, tmp_path / "nowhere.nii")
    volume = read_volume(tmp_path / "nowhere.nii")
    assert not volume.spatial
    assert volume.spacing == (2, 3, 4)
    assert "does not say how it lies" in volume.source.notes[0]


def test_nifti_rgb_is_colour(rng, tmp_path) -> None:
    array = rng.integers(0, 255, (3, 5, 6, 3), np.uint8)
    _write_itk(array, np.diag([1, 1, 2, 1]), tmp_path / "vector.nii.gz")
    rgb = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array).view(rgb)[..., 0].T, np.eye(4)), tmp_path / "rgb.nii")
    for name in ("vector.nii.gz", "rgb.nii"):
        for lazy in (None, True):
            volume = read_volume(tmp_path / name, lazy=lazy)
            assert volume.is_color
            np.testing.assert_array_equal(np.asarray(volume.array), array)
            assert default_window(None, volume).name == "none"


def test_a_2d_file_is_one_slice(array, tmp_path) -> None:
    for name in ("flat.nii.gz", "flat.nrrd", "flat.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(array[2]), str(tmp_path / name))
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, array[2:3])


@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz", "t.nrrd", "t.mha"])
def test_a_4d_file_asks_for_the_frame_and_reads_it(name, rng, oblique, tmp_path) -> None:
    array = rng.integers(0, 255, (5, 4, 6, 7), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / name))
    with pytest.raises(InputError, match=r"5 frames.*which one is meant\? Choose frame 0 to 4"):
        read_volume(tmp_path / name)
    volume = read_volume(tmp_path / name, frame=3)
    np.testing.assert_array_equal(volume.array, array[3])
    assert volume.source.frame == 3
    with pytest.raises(InputError, match="no frame 5"):
        read_volume(tmp_path / name, frame=5)


def test_the_vector_components_of_a_nrrd_are_frames(rng, tmp_path) -> None:
    array = rng.random((4, 5, 6, 7), np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / "dwi.nrrd"))
    np.testing.assert_array_equal(read_volume(tmp_path / "dwi.nrrd", frame=2).array, array[..., 2])


def test_a_4d_file_with_one_frame_needs_no_question(array, oblique, tmp_path) -> None:
    nibabel.save(nibabel.Nifti1Image(array.T[..., np.newaxis], oblique), tmp_path / "one.nii")
    for lazy in (None, True):
        np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / "one.nii", lazy=lazy).array), array)


@pytest.mark.parametrize(
    ("mode", "dtype"), [("L", np.uint8), ("I;16", np.uint16), ("F", np.float32), ("1", np.uint8), ("I", np.int32)]
)
def test_grey_pictures_keep_their_depth(mode: str, dtype, rng, tmp_path) -> None:
    pixels = rng.integers(0, 256, (9, 11)).astype(dtype) * (200 if mode == "I;16" else 1)
    image = Image.fromarray(pixels > 127) if mode == "1" else Image.fromarray(pixels)
    image.save(tmp_path / "grey.tif")
    volume = read_volume(tmp_path / "grey.tif", modality="xray")
    assert (volume.array.dtype, volume.shape, volume.spatial) == (dtype, (1, 9, 11), False)
    np.testing.assert_array_equal(volume.array[0], (pixels > 127) * 255 if mode == "1" else pixels)


def test_16_bit_png_is_read_in_full_depth(rng, tmp_path) -> None:
    pixels = rng.integers(0, 65535, (9, 11), np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "deep.png").array[0], pixels)


def test_colour_pictures_become_rgb_whatever_their_kind(rng, tmp_path) -> None:
    pixels = rng.integers(0, 255, (9, 11, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).quantize(256).save(tmp_path / "palette.png")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "cmyk.tif")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.png").array[0], pixels)
    for name in ("palette.png", "cmyk.tif"):
        np.testing.assert_allclose(read_volume(tmp_path / name).array[0].astype(int), pixels, atol=40)


def test_transparent_pixels_are_black(rng, tmp_path) -> None:
    pixels = rng.integers(1, 255, (9, 11, 4), np.uint8)
    pixels[:4, :, 3], pixels[4:, :, 3] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    Image.fromarray(pixels).convert("LA").save(tmp_path / "grey.png")
    shown = read_volume(tmp_path / "clear.png").array[0]
    assert not shown[:4].any()
    np.testing.assert_array_equal(shown[4:], pixels[4:, :, :3])
    grey = read_volume(tmp_path / "grey.png")
    assert not grey.is_color
    assert not grey.array[0, :4].any()
    assert grey.array[0, 4:].any()


def test_the_pages_of_a_tiff_are_slices_or_frames(rng, tmp_path) -> None:
    stack = rng.integers(0, 60000, (4, 9, 11), np.uint16)
    first, *rest = (Image.fromarray(page) for page in stack)
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest)
    np.testing.assert_array_equal(read_volume(tmp_path / "stack.tif").array, stack)
    np.testing.assert_array_equal(read_volume(tmp_path / "stack.tif", frame=2).array, stack[2:3])


def test_of_tiff_pages_of_different_sizes_the_first_is_used_and_told(rng, tmp_path) -> None:
    first, second = (Image.fromarray(rng.integers(0, 255, (n, n), np.uint8)) for n in (12, 6))
    first.save(tmp_path / "pyramid.tif", save_all=True, append_images=[second])
    volume = read_volume(tmp_path / "pyramid.tif")
    assert volume.shape == (1, 12, 12)
    assert "2 pages of different sizes" in volume.source.notes[0]


def test_16_bit_rgb_tiff_is_reduced_to_8_bits(rng, tmp_path) -> None:
    pixels = rng.integers(0, 65535, (9, 11, 3), np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(tmp_path / "deep.tif"))
    np.testing.assert_array_equal(read_volume(tmp_path / "deep.tif").array[0], pixels >> 8)


@pytest.mark.parametrize("name", ["big.nii", "big.nrrd", "big.mha"])
def test_ten_thousand_slices_are_streamed_with_flat_memory(name: str, tmp_path: Path) -> None:
    """1.3 GB of int16 in a sparse file: read, windowed and cut without ever holding more than a few slices."""
    path, shape = tmp_path / name, (10_000, 256, 256)
    small = np.zeros((2, 256, 256), np.int16)
    _write_itk(small, np.eye(4), path)
    head = path.read_bytes()[: -small.nbytes]
    old, new = {
        "big.nii": (small.shape[0].to_bytes(2, "little"), shape[0].to_bytes(2, "little")),
        "big.nrrd": (b"256 256 2\n", b"256 256 10000\n"),
        "big.mha": (b"DimSize = 256 256 2\n", b"DimSize = 256 256 10000\n"),
    }[name]
    head = head[:46] + new + head[48:] if name == "big.nii" else head.replace(old, new)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + int(np.prod(shape)) * 2)
        for k in range(0, shape[0], 500):
            file.seek(len(head) + k * 256 * 256 * 2)
            file.write(np.arange(256, dtype="<i2").tobytes())
    tracemalloc.start()
    volume = read_volume(path, modality="MRI")
    mapping = slice_mapping(volume, "axial")
    pictures = [mapping.to_image(k) for k in (0, 4999, 9500)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert volume.shape == shape
    assert [picture.max() > 0 for picture in pictures] == [True, False, True]
    assert peak < 64 * 2**20
    assert isinstance(volume.array, (np.memmap, LazySlices))


def test_the_head_that_ships_with_the_package_is_read() -> None:
    from importlib.resources import as_file, files

    with as_file(files("unibiomed") / "samples" / "mr_brain_tumour" / "brain1_image.nrrd") as path:
        volume = read_volume(path, modality="MRI-T1-Gd")
    assert volume.shape == (25, 256, 256)
    assert volume.spacing == pytest.approx((0.78125, 0.78125, 6.5))
