# SPDX-License-Identifier: Apache-2.0
"""A .seg.nrrd comes back on the image's grid, also when Slicer kept a piece of it or another grid."""

from __future__ import annotations

import numpy as np
import pytest
import slicerio
from hypothesis import given, settings
from hypothesis import strategies as st
from unibiomed.errors import InputError
from unibiomed.volumes import Volume
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segment_heads import read_heads
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

SHAPE = (7, 9, 11)


def _affine(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.4, 5.0, 3)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return affine


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_segments_come_back_voxel_by_voxel_overlapping_ones_too(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    affine = _affine(seed)
    masks = [rng.random(SHAPE) > 0.7 for _ in range(3)]
    segments = tuple(
        Segment(f"n{n}", target, BoxMask.from_full(mask), attributes={"Phrase": f"{target} in abdomen CT"})
        for n, (target, mask) in enumerate(zip(("liver", "spleen", "tumor"), masks, strict=True))
    )
    path = tmp_path_factory.mktemp("seg") / "a.seg.nrrd"
    volume = Volume.from_array(rng.integers(0, 9, SHAPE).astype(np.int16), affine)
    write_segmentation(path, Segmentation(SHAPE, affine, segments), reference=volume)
    back = read_segmentation(path, SHAPE, affine)
    assert [(s.name, s.target) for s in back.segments] == [("n0", "liver"), ("n1", "spleen"), ("n2", "tumor")]
    for segment, mask in zip(back.segments, masks, strict=True):
        assert np.array_equal(segment.mask.to_full(SHAPE), mask)
    assert back.segments[0].attributes["UniBiomed.Phrase"] == "liver in abdomen CT"


def test_a_piece_of_the_grid_that_reaches_over_its_edge_is_put_at_its_place(tmp_path):
    affine = _affine(3)
    shift = np.eye(4)
    shift[:3, 3] = (8, -2, 4)  # i, j, k of the piece in the image
    piece = np.zeros((5, 6, 4), dtype=np.uint8)
    piece[1:3, 2:5, 0:2] = 1
    document = {
        "voxels": piece,
        "ijkToLPS": LPS_TO_RAS @ affine @ shift,
        "segments": [{"id": "s", "name": "liver", "labelValue": 1}],
    }
    slicerio.write_segmentation(str(tmp_path / "piece.seg.nrrd"), document)
    found = read_segmentation(tmp_path / "piece.seg.nrrd", SHAPE, affine).segments[0].mask.to_full(SHAPE)
    wanted = np.zeros(SHAPE, dtype=bool)
    wanted[4:6, 0:3, 9:11] = True
    assert np.array_equal(found, wanted)


def test_a_finer_grid_is_sampled(tmp_path):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    half = np.diag([0.5, 0.5, 0.5, 1.0])
    half[:3, 3] = -0.25
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:5, 3:6, 4:9] = True
    fine = np.repeat(np.repeat(np.repeat(mask, 2, 0), 2, 1), 2, 2).transpose(2, 1, 0).astype(np.uint8)
    document = {
        "voxels": fine,
        "ijkToLPS": LPS_TO_RAS @ affine @ half,
        "segments": [{"id": "s", "name": "liver", "labelValue": 1}],
    }
    slicerio.write_segmentation(str(tmp_path / "fine.seg.nrrd"), document)
    found = read_segmentation(tmp_path / "fine.seg.nrrd", SHAPE, affine).segments[0].mask.to_full(SHAPE)
    assert np.array_equal(found, mask)


def _written(path, *segments: Segment) -> None:
    volume = Volume.from_array(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), np.eye(4))
    write_segmentation(path, Segmentation(SHAPE, np.eye(4), segments), reference=volume)


def test_names_and_tags_come_back_with_all_their_letters(tmp_path):
    mask = BoxMask.from_full(np.ones(SHAPE, dtype=bool))
    told = (
        ("Läsion", "Läsion in Leber", "größe: 3 µm"),
        ("肝臓", "肝臓", "肝臓 in abdomen CT"),
        ("liver", "liver", "x"),
    )
    path = tmp_path / "x.seg.nrrd"
    _written(path, *(Segment(name, target, mask, attributes={"Phrase": said}) for name, target, said in told))
    back = read_segmentation(path, SHAPE, np.eye(4)).segments
    assert [(one.name, one.target, one.attributes["UniBiomed.Phrase"]) for one in back] == list(told)
    assert [(head.name, head.phrase) for head in read_heads(path)] == [(name, said) for name, _, said in told]


def test_ids_come_back_with_all_their_letters(tmp_path):
    path = tmp_path / "x.seg.nrrd"
    _written(path, Segment("a", "a", BoxMask.from_full(np.ones(SHAPE, dtype=bool))))
    path.write_bytes(path.read_bytes().replace(b"Segment0_ID:=Segment_1", "Segment0_ID:=Größe".encode()))
    assert [head.id for head in read_heads(path)] == ["Größe"]


@pytest.mark.parametrize("content", [b"nothing", b"", b"NRRD0005\n", b"NRRD0005\ntype"])
def test_a_file_that_is_no_segmentation_is_told_in_one_sentence(tmp_path, content):
    path = tmp_path / "x.seg.nrrd"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as a .*\(.+\)"):
        read_segmentation(path, SHAPE, np.eye(4))


def test_voxels_that_are_cut_short_or_damaged_are_told(tmp_path):
    path = tmp_path / "x.seg.nrrd"
    _written(path, Segment("a", "a", BoxMask.from_full(np.random.default_rng(0).random(SHAPE) > 0.5)))
    whole = path.read_bytes()
    for broken in (whole[:-40], whole[:-40] + bytes(40)):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="cannot be read as a"):
            read_segmentation(path, SHAPE, np.eye(4))
