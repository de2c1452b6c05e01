# SPDX-License-Identifier: Apache-2.0
"""DICOM SEG on real series: valid for dciodvfy, and the same voxels when highdicom reads it back."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from unibiomed.errors import OutputError
from unibiomed.volumes import Source, Volume, read_volume, writing_dicom
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

OBLIQUE = "mr_oblique_dicom"
UID_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")


@pytest.fixture(scope="module")
def brain(shared_dir: Path) -> Volume:
    """A real oblique MR series of 20 slices."""
    return read_volume(shared_dir / "data" / OBLIQUE)


@pytest.fixture(scope="module")
def conformant_series(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same series with valid UIDs: its own begin with 0.0.0.0, which no copy of them can mend."""
    folder = tmp_path_factory.mktemp("series")
    for path in sorted((shared_dir / "data" / OBLIQUE).glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        del dataset[:0x00080000]  # the real files hold network commands, which no file may
        for keyword in UID_KEYWORDS:
            setattr(dataset, keyword, generate_uid(entropy_srcs=[str(dataset.get(keyword))]))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / path.name)
    return folder


def full_masks(shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Three masks on some slices only: a rough one, one that overlaps it, one apart."""
    rng = np.random.default_rng(0)
    full = [np.zeros(shape, dtype=bool) for _ in range(3)]
    k, j, i = shape
    full[0][k // 4 : k // 2 + 1, j // 5 : j // 2, i // 4 : i // 2] = True
    full[0] &= rng.random(shape) > 0.4
    full[1][k // 3 : k // 2 + 1, j // 3 : j // 2 + 9, i // 3 : i // 2 + 5] = True
    full[2][k - 1, 2:9, 3:20] = True
    return full


def segmentation(volume: Volume, full: list[np.ndarray]) -> Segmentation:
    targets = ["brain", "brain tumor", "left kidney"]
    segments = [
        Segment(f"{target} µ", target, BoxMask.from_full(mask), attributes={"confidence": "0.9, high=yes"})
        for target, mask in zip(targets, full, strict=False)
    ]
    return Segmentation(volume.shape, volume.ijk_to_ras, tuple(segments), {"model": "UniBiomed-Mini", "prompt": "ü\\x"})


def dciodvfy(path: Path) -> list[str]:
    """What dicom3tools' validator says of ``path``, without the name of the object that it prints."""
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    said = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False).stderr.splitlines()
    return [line for line in said if re.match("Error|Warning", line)]


def read_back(path: Path, volume: Volume) -> list[np.ndarray]:
    """Masks [k, j, i] by segment, found by the source instance that each frame names."""
    seg = hd.seg.segread(path)
    order = {
        pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID: k for k, p in enumerate(volume.source.dicom_files)
    }
    uids = list(order)
    pixels = seg.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    return [pixels[..., n].astype(bool) for n in range(pixels.shape[-1])]


def test_the_seg_of_a_real_series_round_trips_voxel_by_voxel(brain: Volume, tmp_path: Path) -> None:
    full = full_masks(brain.shape)
    path = tmp_path / "brain.dcm"
    assert write_segmentation(path, segmentation(brain, full), reference=brain) == (path,)
    for found, mask in zip(read_back(path, brain), full, strict=True):
        assert np.array_equal(found, mask)
    assert list(tmp_path.iterdir()) == [path]


def test_dciodvfy_finds_nothing_wrong_but_the_uids_that_the_real_series_itself_has(
    brain: Volume, tmp_path: Path
) -> None:
    path = tmp_path / "brain.dcm"
    write_segmentation(path, segmentation(brain, full_masks(brain.shape)), reference=brain)
    source_says = dciodvfy(brain.source.dicom_files[0])
    assert any("Illegal root for UID" in line for line in source_says)
    assert [line for line in dciodvfy(path) if "Illegal root for UID" not in line] == []


def test_dciodvfy_has_no_error_and_no_warning_on_a_series_with_valid_uids(
    conformant_series: Path, tmp_path: Path
) -> None:
    volume = read_volume(conformant_series)
    path = tmp_path / "seg.dcm"
    write_segmentation(path, segmentation(volume, full_masks(volume.shape)), reference=volume)
    assert dciodvfy(path) == []


def test_the_object_refers_to_its_series_and_says_what_the_segments_are(brain: Volume, tmp_path: Path) -> None:
    path = tmp_path / "brain.dcm"
    write_segmentation(path, segmentation(brain, full_masks(brain.shape)), reference=brain)
    seg = hd.seg.segread(path)
    first = pydicom.dcmread(brain.source.dicom_files[0], stop_before_pixels=True)
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert seg.StudyInstanceUID == first.StudyInstanceUID
    assert seg.SeriesInstanceUID != first.SeriesInstanceUID
    assert seg.PatientID == first.PatientID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(brain.source.dicom_files)
    assert seg.SegmentsOverlap == "YES"
    brain_segment, tumor, kidney = seg.SegmentSequence
    assert brain_segment.SegmentLabel == "brain µ"
    assert brain_segment.SegmentAlgorithmType == "AUTOMATIC"
    assert brain_segment.SegmentAlgorithmName == "UniBiomed"
    assert brain_segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "12738006"
    assert tumor.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Morphologically Altered Structure"
    assert tumor.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm"
    assert tumor.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    side = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert side.CodeMeaning == "Left"
    red, green, blue = hd.color.CIELabColor.from_dicom_value(kidney.RecommendedDisplayCIELabValue).to_rgb()
    assert np.allclose([red, green, blue], [185, 102, 83], atol=2)
    parameters = brain_segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    assert "model=UniBiomed-Mini" in parameters
    assert "prompt=ü x" in parameters


def test_segments_apart_are_marked_so_and_empty_ones_are_left_out(brain: Volume, tmp_path: Path) -> None:
    one, _, other = full_masks(brain.shape)
    path = tmp_path / "apart.dcm"
    full = [one, np.zeros(brain.shape, dtype=bool), other]
    write_segmentation(path, segmentation(brain, full), reference=brain)
    seg = hd.seg.segread(path)
    assert seg.SegmentsOverlap == "NO"
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["brain µ", "left kidney µ"]
    found = read_back(path, brain)
    assert np.array_equal(found[0], one)
    assert np.array_equal(found[1], other)


def test_a_series_with_a_missing_slice_is_written_on_the_instances_that_exist(
    conformant_series: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gap"
    shutil.copytree(conformant_series, folder)
    whole = read_volume(conformant_series)
    gone = folder / whole.source.dicom_files[7].name
    gone.unlink()
    volume = read_volume(folder)
    assert volume.source.resampled
    assert volume.shape == whole.shape
    full = full_masks(volume.shape)
    path = tmp_path / "gap.dcm"
    write_segmentation(path, segmentation(volume, full), reference=volume)
    for found, mask in zip(read_back(path, volume), full, strict=True):
        assert np.array_equal(found, np.delete(mask, 7, axis=0))
    assert [line for line in dciodvfy(path) if line.startswith("Error")] == []


def test_a_resampled_grid_takes_the_nearest_voxel_of_each_original_pixel(brain: Volume, tmp_path: Path) -> None:
    finer = brain.ijk_to_ras @ np.diag([0.5, 0.5, 1.0, 1.0])
    finer[:3, 3] = (brain.ijk_to_ras @ [-0.25, -0.25, 0, 1])[:3]
    array = np.repeat(np.repeat(np.asarray(brain.array), 2, axis=1), 2, axis=2)
    volume = Volume(array, finer, "MRI", replace(brain.source, resampled=True))
    mask = full_masks(brain.shape)[0]
    doubled = np.repeat(np.repeat(mask, 2, axis=1), 2, axis=2)
    path = tmp_path / "finer.dcm"
    write_segmentation(path, segmentation(volume, [doubled]), reference=volume)
    assert np.array_equal(read_back(path, brain)[0], mask)


def test_a_large_stack_hands_over_only_the_instances_that_hold_segments(
    brain: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_dicom, "MAX_STACK_BYTES", 1000)
    mask = full_masks(brain.shape)[2]
    path = tmp_path / "large.dcm"
    write_segmentation(path, segmentation(brain, [mask]), reference=brain)
    seg = hd.seg.segread(path)
    assert seg.NumberOfFrames == 1
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    plane = seg.get_pixels_by_source_instance(
        [seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID]
    )
    assert np.array_equal(plane[0, ..., 0].astype(bool), mask[-1])


def test_an_enhanced_multi_frame_source_is_referred_to_by_frame(conformant_series: Path, tmp_path: Path) -> None:
    series = [pydicom.dcmread(path) for path in sorted(conformant_series.glob("*.dcm"))]
    enhanced = hd.legacy.LegacyConvertedEnhancedMRImage(
        series, generate_uid(), 900, generate_uid(), 1, transfer_syntax_uid="1.2.840.10008.1.2.1"
    )
    file = tmp_path / "enhanced.dcm"
    enhanced.save_as(file)
    volume = read_volume(file)
    assert volume.n_slices == len(series)
    full = full_masks(volume.shape)
    path = tmp_path / "seg.dcm"
    write_segmentation(path, segmentation(volume, full), reference=volume)
    seg = hd.seg.segread(path)
    frames = [frame + 1 for frame in volume.source.dicom_frames]
    pixels = seg.get_pixels_by_source_frame(
        pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID,
        frames,
        assert_missing_frames_are_empty=True,
        ignore_spatial_locations=True,
    )
    for n, mask in enumerate(full):
        assert np.array_equal(pixels[..., n].astype(bool), mask)
    assert [line for line in dciodvfy(path) if line.startswith("Error")] == []


@pytest.mark.parametrize(
    "file",
    ["ultrasound/US1_J2KR.dcm", "xray/RG1_J2KR.dcm", "xray/ct_scout_chest.dcm", "mr_cine/mr_abdomen_overlay.dcm"],
)
def test_a_single_image_with_or_without_position_is_a_valid_source(shared_dir: Path, tmp_path: Path, file: str) -> None:
    volume = read_volume(shared_dir / "data" / file)
    mask = np.zeros(volume.shape, dtype=bool)
    mask[0, 20:60, 30:81] = True
    path = tmp_path / "seg.dcm"
    write_segmentation(path, segmentation(volume, [mask]), reference=volume)
    assert np.array_equal(read_back(path, volume)[0], mask)
    assert [line for line in dciodvfy(path) if line.startswith("Error") and "Illegal root" not in line] == []


@pytest.mark.parametrize("file", ["ultrasound/examples_ybr_color.dcm", "mr_cine/mr_cardiac_16frames.dcm"])
def test_frames_without_a_place_are_refused_with_the_format_to_use(shared_dir: Path, tmp_path: Path, file: str) -> None:
    volume = read_volume(shared_dir / "data" / file)
    with pytest.raises(OutputError, match=r"no position in the patient.*\.seg\.nrrd"):
        write_segmentation(tmp_path / "seg.dcm", segmentation(volume, full_masks(volume.shape)), reference=volume)
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_not_dicom_is_refused_with_what_to_do(tmp_path: Path) -> None:
    volume = Volume.from_array(np.arange(5 * 20 * 30, dtype=np.int16).reshape(5, 20, 30), np.eye(4), "CT")
    with pytest.raises(OutputError, match=r"\.seg\.nrrd or \.nii\.gz, or start from the DICOM folder"):
        write_segmentation(tmp_path / "seg.dcm", segmentation(volume, full_masks(volume.shape)), reference=volume)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_gone_and_a_result_without_segments_are_refused(brain: Volume, tmp_path: Path) -> None:
    moved = tuple(tmp_path / "away" / path.name for path in brain.source.dicom_files)
    lost = Volume(brain.array, brain.ijk_to_ras, "MRI", Source(tmp_path, "dicom", dicom_files=moved))
    with pytest.raises(OutputError, match="can no longer be read"):
        write_segmentation(tmp_path / "seg.dcm", segmentation(lost, full_masks(lost.shape)), reference=lost)
    with pytest.raises(OutputError, match="none was found"):
        write_segmentation(tmp_path / "seg.dcm", Segmentation(brain.shape, brain.ijk_to_ras, ()), reference=brain)
    assert list(tmp_path.iterdir()) == []
