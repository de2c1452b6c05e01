# SPDX-License-Identifier: Apache-2.0
"""Slicer's .seg.nrrd: read back by slicerio, pynrrd and SimpleITK, voxel by voxel and in its place."""

from __future__ import annotations

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unibiomed.errors import InputError, OutputError
from unibiomed.volumes import writing_nrrd
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.volume import Volume
from unibiomed.volumes.writing import check_output_name, write_segmentation

SHAPE = (5, 6, 7)


def oblique(spacing: tuple[float, float, float] = (0.7, 1.3, 4.0), seed: int = 0, flip: int = 0) -> np.ndarray:
    """A rotated, possibly left-handed ijk_to_ras."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing) @ np.diag([-1 if flip & 1 << axis else 1 for axis in range(3)])
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return affine


def reference(affine: np.ndarray, shape: tuple[int, int, int] = SHAPE) -> Volume:
    return Volume.from_array(np.random.default_rng(1).integers(0, 100, shape, dtype=np.int16), affine, "CT")


def masks(count: int, seed: int = 3, overlap: bool = True) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    if overlap:
        return [rng.random(SHAPE) > 0.5 for _ in range(count)]
    labels = rng.integers(0, count + 1, SHAPE)
    return [labels == n + 1 for n in range(count)]


def segmentation(affine: np.ndarray, full: list[np.ndarray], targets: list[str] | None = None) -> Segmentation:
    targets = targets or ["liver", "left kidney", "liver tumor", "flux capacitor"]
    segments = [
        Segment(f"{targets[n]} {n}", targets[n], BoxMask.from_full(mask), attributes={"confidence": "0.91"})
        for n, mask in enumerate(full)
    ]
    return Segmentation(SHAPE, affine, tuple(segments), {"model": "UniBiomed-Mini", "prompt": "a\nb"})


def ras_of(ijk_to_lps: np.ndarray) -> np.ndarray:
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(ijk_to_lps)


@given(st.integers(0, 1000), st.integers(0, 7), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_grid_and_any_overlap_come_back_exactly(tmp_path: Path, seed: int, flip: int, overlap: bool) -> None:
    affine = oblique(seed=seed, flip=flip)
    full = masks(3, seed, overlap)
    path = tmp_path / "any.seg.nrrd"
    assert write_segmentation(path, segmentation(affine, full), reference=reference(affine)) == (path,)
    read = slicerio.read_segmentation(str(path))
    assert np.allclose(ras_of(read["ijkToLPS"]), affine, atol=1e-9)
    for mask, info in zip(full, read["segments"], strict=True):
        layer = read["voxels"][info["layer"]] if read["voxels"].ndim == 4 else read["voxels"]
        assert np.array_equal((layer == info["labelValue"]).transpose(2, 1, 0), mask)


def test_names_colours_codes_and_provenance_travel_in_the_header(tmp_path: Path) -> None:
    affine = oblique()
    path = tmp_path / "meta.seg.nrrd"
    write_segmentation(path, segmentation(affine, masks(4)), reference=reference(affine))
    read = slicerio.read_segmentation(str(path))
    kidney = slicerio.segment_from_name(read, "left kidney 1")
    assert kidney["terminology"]["type"] == ["SCT", "64033007", "Kidney"]
    assert kidney["terminology"]["typeModifier"] == ["SCT", "7771000", "Left"]
    assert kidney["color"] == pytest.approx([185 / 255, 102 / 255, 83 / 255], abs=1e-5)
    assert kidney["tags"] == {"UniBiomed.Target": "left kidney", "UniBiomed.confidence": "0.91"}
    tumor = slicerio.segment_from_name(read, "liver tumor 2")
    assert tumor["terminology"]["anatomicRegion"] == ["SCT", "10200004", "Liver"]
    assert read["masterRepresentation"] == "Binary labelmap"
    assert read["containedRepresentationNames"] == ["Binary labelmap"]
    header = nrrd.read_header(str(path))
    assert header["UniBiomed_model"] == "UniBiomed-Mini"
    assert header["UniBiomed_prompt"] == "a b"


def test_one_layer_is_a_plain_labelmap_that_simpleitk_places_like_the_image(tmp_path: Path) -> None:
    affine = oblique(seed=4, flip=1)
    full = masks(2, overlap=False)
    path = tmp_path / "plain.seg.nrrd"
    write_segmentation(path, segmentation(affine, full), reference=reference(affine))
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), full[0] + 2 * full[1].astype(np.uint8))
    for ijk in [(0, 0, 0), (6, 0, 0), (0, 5, 4), (6, 5, 4)]:
        lps = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in ijk])
        assert np.allclose(np.array([-lps[0], -lps[1], lps[2]]), (affine @ [*ijk, 1])[:3], atol=1e-6)


def test_text_that_would_break_the_header_is_made_harmless_and_unicode_is_utf8(tmp_path: Path) -> None:
    affine = oblique()
    mask = BoxMask.from_full(masks(1)[0])
    segment = Segment("Läsion µ\nSegment9_Name:=evil", "tumor|x:y", mask, attributes={"a|b:c": "d|e\r\nf"})
    path = tmp_path / "unicode.seg.nrrd"
    write_segmentation(path, Segmentation(SHAPE, affine, (segment,), {"note": "größe"}), reference=reference(affine))
    read = slicerio.read_segmentation(str(path))
    assert len(read["segments"]) == 1
    assert read["segments"][0]["tags"]["UniBiomed.a_b_c"] == "d/e f"
    header = path.read_bytes().split(b"\n\n", 1)[0].decode("utf-8")
    assert "Segment0_Name:=Läsion µ Segment9_Name:=evil" in header
    assert "UniBiomed_note:=größe" in header


def test_a_grid_too_large_to_store_whole_keeps_its_place_by_slicers_extent_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_nrrd, "FULL_GRID_BYTES", 50)
    affine = oblique()
    full = np.zeros(SHAPE, dtype=bool)
    full[2:4, 1:3, 4:6] = np.array([[[1, 0], [1, 1]], [[0, 1], [1, 1]]])
    path = tmp_path / "cropped.seg.nrrd"
    write_segmentation(path, segmentation(affine, [full]), reference=reference(affine))
    read = slicerio.read_segmentation(str(path))
    assert read["referenceImageExtentOffset"] == [4, 1, 2]
    assert read["voxels"].shape == (2, 2, 2)
    placed = {tuple(ijk): ras_of(read["ijkToLPS"]) @ [*ijk, 1] for ijk in np.argwhere(read["voxels"])}
    expected = {tuple(np.subtract(kji[::-1], (4, 1, 2))): affine @ [*kji[::-1], 1] for kji in np.argwhere(full)}
    assert placed.keys() == expected.keys()
    assert all(np.allclose(placed[key], expected[key]) for key in placed)


@pytest.mark.parametrize("corner", [None, (4, 5, 6)])
def test_a_large_grid_with_one_voxel_or_none_is_stored_as_more_than_one_since_slicer_cannot_open_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corner: tuple[int, int, int] | None
) -> None:
    monkeypatch.setattr(writing_nrrd, "FULL_GRID_BYTES", 50)
    affine = oblique()
    mask = BoxMask.empty() if corner is None else BoxMask(corner, np.ones((1, 1, 1), dtype=bool))
    path = tmp_path / "one.seg.nrrd"
    write_segmentation(
        path, Segmentation(SHAPE, affine, (Segment("liver", "liver", mask),)), reference=reference(affine)
    )
    read = slicerio.read_segmentation(str(path))
    assert read["voxels"].shape == (2, 2, 2)
    found = [np.add(ijk, read["referenceImageExtentOffset"]).tolist() for ijk in np.argwhere(read["voxels"])]
    assert found == ([] if corner is None else [list(corner[::-1])])


def test_more_than_255_segments_keep_their_labels(tmp_path: Path) -> None:
    affine = oblique()
    voxel = np.ones((1, 1, 1), dtype=bool)
    places = [np.unravel_index(n % int(np.prod(SHAPE)), SHAPE) for n in range(280)]
    many = Segmentation(SHAPE, affine, tuple(Segment("s", "nodule", BoxMask(place, voxel)) for place in places))
    path = tmp_path / "many.seg.nrrd"
    write_segmentation(path, many, reference=reference(affine))
    read = slicerio.read_segmentation(str(path))
    assert [info["labelValue"] for info in read["segments"]] == list(range(1, 281))
    assert read["voxels"].dtype == np.uint16


def test_nothing_found_is_a_file_without_segments(tmp_path: Path) -> None:
    affine = oblique()
    path = tmp_path / "none.seg.nrrd"
    write_segmentation(path, Segmentation(SHAPE, affine, ()), reference=reference(affine))
    read = slicerio.read_segmentation(str(path))
    assert read["segments"] == []
    assert read["voxels"].shape == SHAPE[::-1]
    assert not read["voxels"].any()


@pytest.mark.parametrize("name", ["out.nrrd", "out", "out.png", ".nii.gz", "out.seg.nrrd.txt"])
def test_a_name_that_names_no_format_is_refused_with_the_list(tmp_path: Path, name: str) -> None:
    affine = oblique()
    with pytest.raises(OutputError, match=r"\.seg\.nrrd"):
        write_segmentation(tmp_path / name, segmentation(affine, masks(1)), reference=reference(affine))
    assert check_output_name("a/HEAD.SEG.NRRD") == ".seg.nrrd"
    assert list(tmp_path.iterdir()) == []


def test_a_segmentation_of_another_grid_is_refused(tmp_path: Path) -> None:
    affine = oblique()
    moved = affine.copy()
    moved[0, 3] += 0.5
    with pytest.raises(InputError, match="elsewhere"):
        write_segmentation(tmp_path / "a.seg.nrrd", segmentation(moved, masks(1)), reference=reference(affine))
    with pytest.raises(InputError, match="another volume"):
        write_segmentation(
            tmp_path / "a.seg.nrrd", segmentation(affine, masks(1)), reference=reference(affine, (5, 6, 8))
        )
    assert list(tmp_path.iterdir()) == []
