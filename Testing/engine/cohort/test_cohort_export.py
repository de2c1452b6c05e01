# SPDX-License-Identifier: Apache-2.0
"""Reviewed cases as data sets: each format is written, and read back by the code that it is for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from unibiomed.cli.app import run
from unibiomed.cohort.annotate import Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export import parquet
from unibiomed.cohort.export.splits import assign_splits
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.review import Review
from unibiomed.cohort.run import annotate_here, work
from unibiomed.errors import InputError
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume
from unibiomed.volumes import read_volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

SHAPE = (6, 96, 96)
PATIENTS = 5


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory) -> Path:
    """Five CT phantoms annotated by Mini; the reviewer gives four their true organs, and rejects the last."""
    root = tmp_path_factory.mktemp("cohort")
    truths = {}
    for number in range(PATIENTS):
        phantom = generate_volume("CT", 5_520_000 + number, SHAPE, site="abdomen")
        case = f"sub-{number:02d}_ct"
        (root / f"sub-{number:02d}").mkdir()
        voxels = np.asarray(phantom.volume.array).astype(np.int16)
        image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), phantom.volume.ijk_to_ras)
        nibabel.save(image, root / f"sub-{number:02d}" / f"{case}.nii.gz")
        truths[case] = {name: phantom.masks[name] for name in ("liver", "spleen") if name in phantom.masks}
    folder = root / "derivatives" / "unibiomed"
    plan = Plan(targets=("liver", "spleen"), modality="CT", site="abdomen", window="ct-abdomen")
    with Catalogue.create(folder, root, plan, find_cases(root)) as catalogue:
        work(catalogue, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
        assert catalogue.counts()["done"] == PATIENTS
        review = Review(catalogue)
        for number, record in enumerate(list(catalogue.records())):
            if number == PATIENTS - 1:
                review.reject(record.case.id, "reader")
                continue
            volume = read_volume(root / record.case.path, modality="CT")
            masks = truths[record.case.id]
            segments = tuple(Segment(name, name, BoxMask.from_full(mask)) for name, mask in masks.items())
            path = root / "saved.seg.nrrd"
            write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
            review.correct(record.case.id, "reader", path)
    np.savez(root / "truth.npz", **{f"{c}/{n}": m for c, masks in truths.items() for n, m in masks.items()})
    return folder


def _truth(reviewed: Path) -> dict[str, np.ndarray]:
    return dict(np.load(reviewed.parents[1] / "truth.npz"))


def _export(reviewed: Path, out: Path, kind: str, *more: str) -> Path:
    assert run(["export", str(reviewed), "-o", str(out), "-f", kind, "--test", "0.25", "--quiet", *more]) == 0
    return out


def test_splits_never_share_a_patient_and_do_not_depend_on_the_order():
    patients = [f"p{n}" for n in range(50)]
    splits = assign_splits(patients * 3, validation=0.2, test=0.1)
    assert sorted(splits) == sorted(patients)
    counts = {name: list(splits.values()).count(name) for name in ("train", "validation", "test")}
    assert counts == {"train": 35, "validation": 10, "test": 5}
    assert assign_splits(reversed(patients), validation=0.2, test=0.1) == splits
    with pytest.raises(InputError, match="nothing to train on"):
        assign_splits(patients, validation=0.5, test=0.5)


def test_the_nnunet_export_holds_the_corrected_voxels_on_the_images_grid(reviewed, tmp_path):
    out = _export(reviewed, tmp_path / "Dataset001_Test", "nnunet")
    document = json.loads((out / "dataset.json").read_text())
    assert document["labels"] == {"background": 0, "liver": 1, "spleen": 2}
    truth = _truth(reviewed)
    found = sorted((out / "labelsTr").glob("*.nii.gz")) + sorted((out / "labelsTs").glob("*.nii.gz"))
    assert len(found) == PATIENTS - 1
    for path in found:
        number = int(path.name[5:9]) - 1
        labels = np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
        liver = truth[f"sub-{number:02d}_ct/liver"]
        assert np.array_equal(labels == 1, liver & (labels != 2))
    splits = json.loads((out / "splits_final.json").read_text())
    assert not set(splits[0]["train"]) & set(splits[0]["val"])


def test_nnunet_itself_finds_the_export_sound(reviewed, tmp_path):
    verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    out = _export(reviewed, tmp_path / "Dataset001_Test", "nnunet")
    verify.verify_dataset_integrity(str(out), num_processes=1)


def test_the_decathlon_list_names_files_that_are_there(reviewed, tmp_path):
    out = _export(reviewed, tmp_path / "decathlon", "decathlon")
    document = json.loads((out / "dataset.json").read_text())
    entries = document["training"] + document["validation"] + document["test"]
    assert len(entries) == PATIENTS - 1
    for entry in entries:
        image, label = nibabel.load(out / entry["image"]), nibabel.load(out / entry["label"])
        assert image.shape == label.shape
        assert np.allclose(image.affine, label.affine)


def test_monai_reads_the_decathlon_list(reviewed, tmp_path):
    monai_data = pytest.importorskip("monai.data")
    out = _export(reviewed, tmp_path / "decathlon", "decathlon")
    loaded = monai_data.load_decathlon_datalist(str(out / "dataset.json"), True, "training")
    assert loaded
    assert all(Path(entry["image"]).is_file() and Path(entry["label"]).is_file() for entry in loaded)


def test_the_published_loaders_way_finds_every_picture_mask_and_sentence(reviewed, tmp_path):
    """What ``load_data_list`` and ``_parse_annotations`` of the published ``Biomed_Dataset.py`` do, step by step."""
    out = _export(reviewed, tmp_path / "data", "unibiomed")
    seen = set()
    for split in ("train", "val", "test"):
        content = json.loads((out / f"{split}.json").read_text())
        images = {image["file_name"]: image for image in content["images"]}
        for annotation in content["annotations"]:
            image = images[annotation["file_name"]]
            with Image.open(out / split / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"])
            mask = np.asarray(Image.open(out / f"{split}_mask" / annotation["mask_file"]))
            assert mask.shape == (image["height"], image["width"])
            assert set(np.unique(mask)) == {0, 255}
            seen.add(annotation["sentences"][0]["raw"])
    assert seen == {"liver in abdomen CT", "spleen in abdomen CT"}


def test_hugging_face_datasets_loads_the_parquet_files(reviewed, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = _export(reviewed, tmp_path / "hf", "parquet")
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    rows = [row for split in loaded.values() for row in split]
    assert len(rows) == (PATIENTS - 1) * SHAPE[0]
    row = next(row for row in rows if row["phrases"])
    assert row["image"].size == row["masks"][0].size
    assert row["modality"] == "CT"


def test_the_rows_of_a_parquet_file_are_written_as_they_come(reviewed, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    from pyarrow.parquet import ParquetFile

    whole = _export(reviewed, tmp_path / "whole", "parquet")
    monkeypatch.setattr(parquet, "ROWS", 2)
    out = _export(reviewed, tmp_path / "hf", "parquet")
    metadata = ParquetFile(out / "data" / "train-00000-of-00001.parquet").metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert len(sizes) > 1
    assert sizes == [2] * (sum(sizes) // 2) + [1] * (sum(sizes) % 2)
    read = [
        datasets.load_dataset(str(folder), cache_dir=str(tmp_path / f"cache of {folder.name}"))["train"]
        for folder in (whole, out)
    ]
    assert read[0].features == read[1].features
    assert [row["slice"] for row in read[0]] == [row["slice"] for row in read[1]]
    assert all(one["image"] == two["image"] for one, two in zip(*read, strict=True))


def test_nothing_of_an_export_names_a_case_unless_identities_are_kept(reviewed, tmp_path):
    plain = _export(reviewed, tmp_path / "plain", "nnunet")
    names = [path.name for path in plain.rglob("*")]
    text = "".join(path.read_text() for path in plain.rglob("*.json")) + (plain / "DATA_CARD.md").read_text()
    assert not any("sub-" in name for name in names)
    assert "sub-" not in text
    kept = _export(reviewed, tmp_path / "kept", "nnunet", "--keep-identity")
    assert any("sub-00_ct" in path.name for path in kept.rglob("*.nii.gz"))


def test_the_card_says_what_is_in_the_export(reviewed, tmp_path):
    card = (_export(reviewed, tmp_path / "out", "nnunet") / "DATA_CARD.md").read_text()
    assert "4 corrected" in card
    assert "| liver | 4 |" in card
    assert "Not for clinical use" in card


def test_dicom_needs_the_identity_and_a_dicom_cohort(reviewed, tmp_path, capsys):
    assert run(["export", str(reviewed), "-o", str(tmp_path / "d"), "-f", "dicom"]) == 2
    assert "--keep-identity" in capsys.readouterr().err
    assert run(["export", str(reviewed), "-o", str(tmp_path / "d"), "-f", "dicom", "--keep-identity"]) == 2
    assert "None of the cases comes from DICOM" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_an_export_without_reviewed_cases_is_refused(reviewed, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(reviewed, copy)
    with Catalogue(copy) as catalogue:
        while catalogue.undo():
            pass
    assert run(["export", str(copy), "-o", str(tmp_path / "x"), "-f", "nnunet"]) == 2
    assert "no case to export" in capsys.readouterr().err


def test_a_corrected_case_is_read_back_voxel_by_voxel(reviewed):
    with Catalogue(reviewed) as catalogue:
        files = Review(catalogue).files("sub-01_ct")
    volume = read_volume(files.image, modality="CT")
    back = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
    liver = next(segment for segment in back.segments if segment.name == "liver")
    assert np.array_equal(liver.mask.to_full(volume.shape), _truth(reviewed)["sub-01_ct/liver"])
