# SPDX-License-Identifier: Apache-2.0
"""DICOM: sorting, gaps, compression, multi-frame, inversion, colour, rescaling, choice of series."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from scipy.spatial.transform import Rotation
from unibiomed.errors import InputError
from unibiomed.volumes import default_axis, list_series, read_volume, slice_mapping

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


@pytest.fixture
def array(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-500, 1500, (6, 8, 9), np.int16)


def test_a_series_is_sorted_along_its_normal_and_placed(array, write_series) -> None:
    volume = read_volume(write_series(array))
    np.testing.assert_array_equal(volume.array, array)
    expected = [[-0.75, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.ijk_to_ras, expected)
    assert (volume.modality, volume.spatial, default_axis(volume)) == ("CT", True, "axial")
    source = volume.source
    assert (source.series_uid, source.study_uid, source.frame_of_reference_uid) == ("1.2.3.1", "1.2.3", "1.2.3.9")
    assert [path.stem.rpartition("_")[2] for path in source.dicom_files] == list("012345")


@pytest.mark.parametrize("angles", [(15, 0, 0), (20, -30, 10), (90, 5, 0), (0, 90, 200)])
def test_an_oblique_series_lies_where_its_header_says(angles, array, write_series) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    positions = [np.array([5.0, -6.0, 7.0]) + turn @ (0, 0, 3.0 * k) for k in range(6)]
    folder = write_series(array, positions, orientation=[*turn[:, 0], *turn[:, 1]])
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.array, array)
    for k, j, i in ((0, 0, 0), (5, 7, 8), (3, 1, 4)):
        lps = positions[k] + turn[:, 0] * 0.75 * i + turn[:, 1] * 0.5 * j
        np.testing.assert_allclose((volume.ijk_to_ras @ (i, j, k, 1))[:3], lps * (-1, -1, 1), atol=1e-6)


def test_the_order_of_the_slices_is_that_of_their_positions_not_of_their_numbers(array, write_series) -> None:
    positions = [(0, 0, -2.0 * k) for k in range(6)]
    volume = read_volume(write_series(array, positions))
    np.testing.assert_array_equal(volume.array, array[::-1])
    assert volume.ijk_to_ras[2, 3] == -10


def test_missing_slices_are_filled_in_and_told(write_series) -> None:
    ramp = np.broadcast_to(np.arange(9, dtype=np.int16)[:, None, None] * 10, (9, 8, 8)) + np.eye(8, dtype=np.int16)
    keep = [0, 1, 2, 4, 7, 8]
    volume = read_volume(write_series(ramp[keep], [(0, 0, 2.0 * k) for k in keep]))
    np.testing.assert_array_equal(volume.array, ramp)
    assert volume.source.resampled
    assert "3 slices are missing" in volume.source.notes[0]
    assert len(volume.source.dicom_files) == 6


def test_uneven_gaps_are_interpolated_onto_the_median_gap_and_told(write_series) -> None:
    z = np.array([0, 2, 4, 6.6, 8.8, 11, 13])
    array = (100 * z[:, None, None] + 50 * np.eye(8)).astype(np.int16)
    volume = read_volume(write_series(array, [(0, 0, height) for height in z]))
    assert volume.spacing[2] == pytest.approx(2.0, abs=0.21)
    assert "vary from 2 to 2.6 mm" in volume.source.notes[0]
    heights = (volume.ijk_to_ras @ np.array([[0, 0, k, 1] for k in range(volume.n_slices)]).T)[2]
    shown = np.array([volume.array[k][0, 1] for k in range(volume.n_slices)])
    np.testing.assert_allclose(shown, 100 * heights, atol=100 * 0.06 * 2.2)


def test_small_rounding_of_positions_does_not_count_as_uneven(array, write_series) -> None:
    positions = [(0, 0, round(1.3333333 * k, 2)) for k in range(6)]
    volume = read_volume(write_series(array, positions))
    assert not volume.source.resampled
    assert volume.source.notes == ()


def test_a_lazy_series_gives_the_same_slices(write_series) -> None:
    ramp = np.broadcast_to(np.arange(9, dtype=np.int16)[:, None, None] * 10, (9, 8, 8)) + np.eye(8, dtype=np.int16)
    keep = [0, 1, 2, 4, 7, 8]
    folder = write_series(ramp[keep], [(0, 0, 2.0 * k) for k in keep])
    lazy, whole = read_volume(folder, lazy=True), read_volume(folder)
    np.testing.assert_array_equal(np.asarray(lazy.array), whole.array)
    np.testing.assert_array_equal(lazy.array[:, 3], whole.array[:, 3])
    assert lazy.sha256 == whole.sha256


def test_a_long_series_is_streamed_with_flat_memory(write_series) -> None:
    array = np.broadcast_to(np.arange(512, dtype=np.int16), (120, 512, 512))
    folder = write_series(array)
    tracemalloc.start()
    volume = read_volume(folder, modality="MRI", lazy=True)
    mapping = slice_mapping(volume, "axial")
    for k in range(volume.n_slices):
        mapping.to_image(k)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 * 512 * 512 * 2 / 2


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_slices_are_read(syntax, rng, write_series) -> None:
    array = rng.integers(-500, 1500, (3, 64, 80), np.int16)
    np.testing.assert_array_equal(read_volume(write_series(array, syntax=syntax)).array, array)


def test_each_slice_has_its_own_rescaling(write_series, rng) -> None:
    stored = rng.integers(0, 200, (3, 8, 8), np.uint8)
    per_slice = [{"RescaleSlope": k + 0.5, "RescaleIntercept": -10 * k} for k in range(3)]
    volume = read_volume(write_series(stored, per_slice=per_slice, Modality="PT"))
    assert volume.array.dtype == np.float32
    expected = np.stack([stored[k] * (k + 0.5) - 10 * k for k in range(3)])
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)
    assert volume.modality is None


def test_hounsfield_units_stay_16_bit(array, write_series) -> None:
    volume = read_volume(write_series(array, RescaleSlope=1, RescaleIntercept=-1024))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, array - 1024)


def test_monochrome1_is_inverted_and_told(rng, write_series) -> None:
    stored = rng.integers(0, 4096, (1, 8, 8), np.uint16)
    folder = write_series(stored, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    volume = read_volume(folder, modality="DX")
    np.testing.assert_array_equal(volume.array, 4095 - stored.astype(int))
    assert "MONOCHROME1" in volume.source.notes[0]


@pytest.mark.parametrize("spacing", [[0, 0], None])
def test_a_pixel_spacing_of_zero_or_none_counts_as_1_mm_and_is_told(spacing, array, write_series) -> None:
    folder = write_series(array[:1], PixelSpacing=spacing)
    volume = read_volume(folder)
    assert volume.spacing[:2] == (1.0, 1.0)
    assert not volume.spatial
    assert "1 mm is assumed" in volume.source.notes[0]


def test_a_radiograph_has_the_spacing_of_its_detector(array, make_dicom, tmp_path) -> None:
    make_dicom(array[0], Modality="DX", ImagerPixelSpacing=[0.2, 0.1]).save_as(tmp_path / "x.dcm")
    volume = read_volume(tmp_path / "x.dcm")
    assert (volume.spacing, volume.modality, volume.spatial) == ((0.1, 0.2, 1.0), "X-Ray", False)


def test_an_ultrasound_picture_has_the_spacing_of_its_one_region(array, make_dicom, item, tmp_path) -> None:
    region = item(
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.02,
        PhysicalDeltaY=0.03,
        RegionLocationMaxX1=8,
        RegionLocationMaxY1=7,
    )
    make_dicom(array[0], Modality="US", SequenceOfUltrasoundRegions=[region]).save_as(tmp_path / "us.dcm")
    assert read_volume(tmp_path / "us.dcm").spacing == pytest.approx((0.2, 0.3, 1.0))
    region.RegionLocationMaxX1 = 500
    make_dicom(array[0], Modality="US", SequenceOfUltrasoundRegions=[region]).save_as(tmp_path / "reduced.dcm")
    assert read_volume(tmp_path / "reduced.dcm").spacing == (1.0, 1.0, 1.0)


def test_an_aspect_ratio_alone_keeps_the_proportions(array, make_dicom, tmp_path) -> None:
    make_dicom(array[0], Modality="US", PixelAspectRatio=[2, 1]).save_as(tmp_path / "tall.dcm")
    volume = read_volume(tmp_path / "tall.dcm")
    assert volume.spacing == (1.0, 2.0, 1.0)
    assert slice_mapping(volume).content_shape == (16, 9)


def test_rgb_and_palette_colour_are_read(rng, make_dicom, tmp_path) -> None:
    pixels = rng.integers(0, 255, (8, 9, 3), np.uint8)
    make_dicom(pixels, Modality="ES").save_as(tmp_path / "rgb.dcm")
    volume = read_volume(tmp_path / "rgb.dcm")
    np.testing.assert_array_equal(volume.array[0], pixels)
    assert volume.modality == "endoscope"
    table = rng.integers(0, 65535, (3, 256), np.uint16)
    lut = {
        f"{name}PaletteColorLookupTable{what}": value
        for name, values in zip(("Red", "Green", "Blue"), table, strict=True)
        for what, value in (("Descriptor", [256, 0, 16]), ("Data", values.astype("<u2").tobytes()))
    }
    index = rng.integers(0, 255, (8, 9), np.uint8)
    make_dicom(index, PhotometricInterpretation="PALETTE COLOR", **lut).save_as(tmp_path / "palette.dcm")
    palette = read_volume(tmp_path / "palette.dcm")
    np.testing.assert_array_equal(palette.array[0], (table[:, index] >> 8).transpose(1, 2, 0))


def test_a_multiframe_film_is_read_as_slices_or_by_frame(rng, make_dicom, tmp_path) -> None:
    film = rng.integers(0, 255, (5, 8, 9), np.uint8)
    make_dicom(film, Modality="US", SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1").save_as(tmp_path / "us.dcm")
    volume = read_volume(tmp_path / "us.dcm")
    np.testing.assert_array_equal(volume.array, film)
    assert not volume.spatial
    assert volume.source.dicom_frames == (0, 1, 2, 3, 4)
    np.testing.assert_array_equal(read_volume(tmp_path / "us.dcm", frame=3).array, film[3:4])
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / "us.dcm", lazy=True).array), film)


def _enhanced(array: np.ndarray, heights, make_dicom, item, path: Path) -> Path:
    groups = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[1, 2, float(height)])],
            PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=index, RescaleType="US")],
        )
        for index, height in enumerate(heights)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=4)],
    )
    make_dicom(
        array,
        SOPClassUID=ENHANCED_MR,
        Modality="MR",
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared],
    ).save_as(path)
    return path


def test_an_enhanced_file_is_sorted_and_scaled_frame_by_frame(array, make_dicom, item, tmp_path) -> None:
    path = _enhanced(array, [0, 8, 4, 20, 16, 12], make_dicom, item, tmp_path / "e.dcm")
    order = [0, 2, 1, 5, 4, 3]
    for lazy in (None, True):
        volume = read_volume(path, lazy=lazy)
        np.testing.assert_array_equal(np.asarray(volume.array), np.stack([array[k] * 2 + k for k in order]))
        assert volume.source.dicom_frames == tuple(order)
        np.testing.assert_allclose(volume.ijk_to_ras[:3, 3], (-1, -2, 0))
        assert volume.spacing == pytest.approx((0.75, 0.5, 4))


def test_an_enhanced_4d_file_asks_for_the_frame(array, make_dicom, item, tmp_path) -> None:
    path = _enhanced(array, [0, 4, 8, 0, 4, 8], make_dicom, item, tmp_path / "e.dcm")
    with pytest.raises(InputError, match=r"2 frames.*which one is meant\?"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, frame=1).array, np.stack([array[k] * 2 + k for k in (3, 4, 5)]))


def test_a_4d_series_asks_for_the_frame(array, write_series) -> None:
    positions = [(0, 0, 3.0 * (k % 3)) for k in range(6)]
    times = [{"TemporalPositionIdentifier": k // 3 + 1} for k in range(6)]
    folder = write_series(array, positions, per_slice=times)
    with pytest.raises(InputError, match="2 frames"):
        read_volume(folder)
    np.testing.assert_array_equal(read_volume(folder, frame=1).array, array[3:])


def test_several_series_are_listed_and_one_is_picked_by_its_uid(array, write_series) -> None:
    write_series(array, SeriesInstanceUID="1.2.3.1", SeriesNumber=4, SeriesDescription="AX T1", Modality="MR")
    folder = write_series(array[:3] + 1, SeriesInstanceUID="1.2.3.2", SeriesNumber=2, SeriesDescription="scout")
    series = list_series(folder)
    assert [(one.number, one.uid, one.description, one.modality, one.n_slices) for one in series] == [
        (2, "1.2.3.2", "scout", "CT", 3),
        (4, "1.2.3.1", "AX T1", "MRI-T1", 6),
    ]
    with pytest.raises(InputError) as told:
        read_volume(folder)
    for part in ("2 series", "which one is meant?", "series 2", '"scout", CT, 3 slices, UID 1.2.3.2', "UID 1.2.3.1"):
        assert part in str(told.value)
    np.testing.assert_array_equal(read_volume(folder, series_uid="1.2.3.1").array, array)
    with pytest.raises(InputError, match=r'no series with the UID "9.9"'):
        read_volume(folder, series_uid="9.9")


def test_copies_of_a_slice_count_once(array, write_series) -> None:
    folder = write_series(array)
    (folder / "again").mkdir()
    copied = next(folder.glob("*.dcm"))
    (folder / "again" / "copy.dcm").write_bytes(copied.read_bytes())
    np.testing.assert_array_equal(read_volume(folder).array, array)


def test_a_single_file_is_read_alone(array, write_series) -> None:
    folder = write_series(array)
    path = sorted(folder.glob("*_2.dcm"))[0]
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array[2:3])
    assert volume.spacing == (0.75, 0.5, 2.5)


def test_files_that_are_no_images_are_passed_over(array, write_series) -> None:
    folder = write_series(array)
    (folder / "notes.txt").write_text("hello")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICMjunk")
    assert read_volume(folder).n_slices == 6


def test_a_gantry_tilt_is_refused_with_its_angle(array, write_series) -> None:
    positions = [(0, np.tan(np.radians(12)) * 5 * k, 5.0 * k) for k in range(6)]
    with pytest.raises(InputError, match=r"sheared.*gantry tilt of about 12.0 degrees"):
        read_volume(write_series(array, positions))


def test_slices_of_several_orientations_are_refused(array, write_series) -> None:
    turned = [{"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}] * 2 + [{}] * 4
    with pytest.raises(InputError, match="2 different orientations"):
        read_volume(write_series(array, per_slice=turned))


def test_slices_repeated_unevenly_are_refused(array, write_series) -> None:
    with pytest.raises(InputError, match="between 1 and 2 slices at the same position"):
        read_volume(write_series(array, [(0, 0, z) for z in (0, 0, 1, 2, 3, 4)]))


def test_a_stray_slice_far_away_is_refused(array, write_series) -> None:
    with pytest.raises(InputError, match="too uneven"):
        read_volume(write_series(array, [(0, 0, z) for z in (0, 1, 2, 3, 4, 900)]))


def test_images_of_different_sizes_are_refused(rng, write_series) -> None:
    write_series(rng.integers(0, 9, (2, 8, 8), np.int16))
    folder = write_series(rng.integers(0, 9, (1, 9, 9), np.int16), [(0, 0, 9)])
    with pytest.raises(InputError, match="2 different sizes"):
        read_volume(folder)


def test_real_slices_are_read_with_their_oblique_geometry(data_dir: Path) -> None:
    volume = read_volume(data_dir / "mr_oblique_dicom")
    assert volume.shape == (3, 256, 256)
    assert volume.modality == "MRI"
    normal = volume.ijk_to_ras[:3, 2] / np.linalg.norm(volume.ijk_to_ras[:3, 2])
    assert np.degrees(np.arccos(normal[2])) == pytest.approx(7.7, abs=0.1)


def test_real_compressed_colour_and_localizer_are_read(data_dir: Path) -> None:
    doppler = read_volume(data_dir / "ultrasound" / "US1_J2KR.dcm")
    assert doppler.is_color
    saturation = np.ptp(doppler.array[0].astype(int), axis=2)
    assert 0.01 < (saturation > 60).mean() < 0.2
    scout = read_volume(data_dir / "xray" / "ct_scout_chest.dcm")
    assert (scout.modality, default_axis(scout)) == ("X-Ray", "coronal")


def test_slices_of_which_some_have_no_place_are_refused(array, write_series) -> None:
    lost = [{"ImagePositionPatient": None}] + [{}] * 5
    with pytest.raises(InputError, match="1 of the 6 slices"):
        read_volume(write_series(array, per_slice=lost))
