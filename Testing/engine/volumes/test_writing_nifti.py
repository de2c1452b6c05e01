# SPDX-License-Identifier: Apache-2.0
"""NIfTI labelmaps: exact place, exact voxels, and no silent loss where segments overlap."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from unibiomed.errors import OutputError
from unibiomed.volumes import read_volume, writing_nifti
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

HEAD = "mr_brain_tumour/brain1_image.nrrd"


@pytest.fixture(scope="module")
def head(shared_dir: Path):
    return read_volume(shared_dir / "data" / HEAD)


def two_segments(shape: tuple[int, int, int], overlap: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    one, other = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    one[3:8, 20:60, 30:70] = rng.random((5, 40, 40)) > 0.3
    other[9:12, 30:50, 10:20] = True
    if overlap:
        other |= one
    return [one, other]


def segmentation(head, full: list[np.ndarray]) -> Segmentation:
    names = ["brain", "left ventricle"]
    segments = [Segment(name, name, BoxMask.from_full(mask)) for name, mask in zip(names, full, strict=True)]
    return Segmentation(head.shape, head.ijk_to_ras, tuple(segments), {"model": "UniBiomed-Mini"})


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii"])
def test_the_labelmap_of_a_real_head_has_its_voxels_and_its_place(head, tmp_path: Path, name: str) -> None:
    full = two_segments(head.shape)
    path, table = write_segmentation(tmp_path / name, segmentation(head, full), reference=head)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), full[0] + 2 * full[1].astype(np.uint8))
    k, j, i = head.shape
    for ijk in [(0, 0, 0), (i - 1, 0, 0), (0, j - 1, 0), (0, 0, k - 1), (i - 1, j - 1, k - 1)]:
        lps = np.array(image.TransformContinuousIndexToPhysicalPoint([float(v) for v in ijk]))
        assert np.allclose(lps * [-1, -1, 1], (head.ijk_to_ras @ [*ijk, 1])[:3], atol=1e-3)
    assert np.allclose(read_volume(path).ijk_to_ras, head.ijk_to_ras, atol=1e-4)
    assert table.name == "out_labels.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "out_labels.json"])


def test_the_table_beside_it_says_what_each_label_is(head, tmp_path: Path) -> None:
    full = two_segments(head.shape)
    _, table = write_segmentation(tmp_path / "out.nii.gz", segmentation(head, full), reference=head)
    read = json.loads(table.read_text(encoding="utf-8"))
    assert [row["label"] for row in read["labels"]] == [1, 2]
    assert read["labels"][0]["code"] == {"scheme": "SCT", "value": "12738006", "meaning": "Brain"}
    assert read["labels"][1]["voxels"] == int(full[1].sum())
    expected = full[1].sum() * np.prod(head.spacing) / 1000
    assert read["labels"][1]["volume_ml"] == pytest.approx(expected, rel=1e-6)
    assert read["attributes"] == {"model": "UniBiomed-Mini"}


def test_overlap_is_refused_with_the_format_that_can_hold_it_and_nothing_is_written(head, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'brain' and 'left ventricle' overlap; write a \.seg\.nrrd"):
        write_segmentation(
            tmp_path / "out.nii.gz", segmentation(head, two_segments(head.shape, overlap=True)), reference=head
        )
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_labelmap_and_table(
    head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.nii.gz").write_text("old image")
    (tmp_path / "out_labels.json").write_text("old table")

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("itk::ERROR: could not write")

    monkeypatch.setattr(writing_nifti.sitk, "WriteImage", fail)
    with pytest.raises(OutputError, match="disk has room"):
        write_segmentation(tmp_path / "out.nii.gz", segmentation(head, two_segments(head.shape)), reference=head)
    assert (tmp_path / "out.nii.gz").read_text() == "old image"
    assert (tmp_path / "out_labels.json").read_text() == "old table"
    assert len(list(tmp_path.iterdir())) == 2
