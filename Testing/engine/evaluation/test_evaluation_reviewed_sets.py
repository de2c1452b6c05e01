# SPDX-License-Identifier: Apache-2.0
"""Data sets of every format as they may lie on a disk: small ones made by hand, whole and damaged."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import FACTS, CaseFacts, ExportFacts, HowFacts, SegmentFacts, write_facts
from unibiomed.evaluation.reviewed.cases import OpenedPictures
from unibiomed.evaluation.reviewed.files import read_labels
from unibiomed.evaluation.reviewed.formats import read_export
from unibiomed.evaluation.reviewed.stacking import stacked
from unibiomed.tasks.catalogue import published

AFFINE = np.diag([-0.8, -0.9, 5.0, 1.0])
SHAPE = (3, 40, 50)
LABELS = {"background": 0, "liver": 1, "tumor": 2}


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.transpose(2, 1, 0), AFFINE), path)


def _image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 900, SHAPE, dtype=np.int16)


def _labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0:2, 5:20, 5:25] = 1
    labels[1, 8:12, 8:12] = 2
    return labels


@pytest.fixture
def nnunet(tmp_path) -> Path:
    """Two training cases, one for validation, one for testing, as any nnU-Net user has them."""
    root = tmp_path / "Dataset007_Liver"
    for part, names in (("Tr", ("a", "b", "c")), ("Ts", ("d",))):
        for number, name in enumerate(names):
            _save(root / f"images{part}" / f"{name}_0000.nii.gz", _image(number))
            _save(root / f"labels{part}" / f"{name}.nii.gz", _labels())
    document = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": 3, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(document))
    (root / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    return root


@pytest.fixture
def decathlon(tmp_path) -> Path:
    """One case a split."""
    root = tmp_path / "Task03_Liver"
    lists = {}
    for number, split in enumerate(("training", "validation", "test")):
        _save(root / "images" / f"case{number}.nii.gz", _image(number))
        _save(root / "labels" / f"case{number}.nii.gz", _labels())
        lists[split] = [{"image": f"./images/case{number}.nii.gz", "label": f"./labels/case{number}.nii.gz"}]
    labels = {str(value): name for name, value in LABELS.items()}
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": labels, **lists}))
    return root


def _read(folder: Path, split: str = "test"):
    return read_export(folder, split, published())


@pytest.mark.parametrize(("split", "names"), [("train", ["a", "b"]), ("validation", ["c"]), ("test", ["d"])])
def test_nnunets_splits_are_its_folders_and_its_split_file(nnunet, split, names):
    found = _read(nnunet, split)
    assert [case.facts.name for case in found.cases] == names
    assert (found.kind, found.unit, found.flat) == ("nnU-Net", "mm", False)


@pytest.mark.parametrize("made", ["nnunet", "decathlon"])
def test_a_label_map_becomes_a_mask_a_label_on_the_images_grid(made, request):
    case = _read(request.getfixturevalue(made)).cases[0]
    opened = case.open()
    # "tumor" may be one of the kidney, the lung, ...: it stays what it is, and the model that is asked decides.
    assert case.phrases == ("liver in abdomen CT", "tumor in CT")
    assert opened.volume.spacing == pytest.approx((0.8, 0.9, 5.0))
    assert opened.volume.modality == "CT"
    for phrase, value in zip(case.phrases, (1, 2), strict=True):
        assert np.array_equal(opened.truth[phrase].to_full(SHAPE), _labels() == value)
    assert opened.areas(["tumor in CT"]) == {"tumor in CT": {1: 16}}
    assert set(opened.picture(1).masks) == set(case.phrases)
    assert set(opened.picture(2).masks) == set()


@pytest.mark.parametrize(("stored", "kept"), [(np.uint8, np.uint8), (np.uint16, np.uint16), (np.float32, np.int32)])
def test_a_label_map_takes_no_more_memory_than_its_numbers_need(tmp_path, stored, kept):
    _save(tmp_path / "labels.nii.gz", _labels().astype(stored))
    read = read_labels(tmp_path / "labels.nii.gz", SHAPE)
    assert read.dtype == kept
    assert np.array_equal(read, _labels())


def test_what_the_export_says_of_itself_goes_before_what_the_lists_let_guess(nnunet):
    facts = CaseFacts(
        name="d", patient="patient-9", split="test", modality="CT", site="liver", prompt_free=True,
        how=HowFacts(window="ct-lung"), asked=("spleen in abdomen CT",), text="A text.", text_stands=True,
        segments=(SegmentFacts(phrase="Liver in liver CT", target="Liver", kind="anatomy"),),
    )  # fmt: skip
    write_facts(nnunet, ExportFacts(cases=(facts,)))
    case = _read(nnunet).cases[0]
    assert case.facts == facts
    # The tumor's label has no segment in this case: nobody outlined one.
    assert case.phrases == ("spleen in abdomen CT", "Liver in liver CT")
    assert set(case.open().truth) == {"Liver in liver CT"}
    assert not any("patient of its own" in note for note in _read(nnunet).notes)


def test_a_set_that_says_nothing_of_itself_is_told_on_the_page(nnunet):
    notes = _read(nnunet).notes
    assert any("patient of its own" in note for note in notes)
    assert any("one label a voxel" in note for note in notes)


def test_a_region_of_several_labels_is_their_union(nnunet):
    document = json.loads((nnunet / "dataset.json").read_text())
    document["labels"] = {"background": 0, "liver": [1, 2], "tumor": 2}
    (nnunet / "dataset.json").write_text(json.dumps(document))
    opened = _read(nnunet).cases[0].open()
    assert opened.truth["liver in abdomen CT"].voxel_count == int((_labels() > 0).sum())


def test_colour_comes_as_three_channels_or_as_three_frames(nnunet, decathlon):
    document = json.loads((nnunet / "dataset.json").read_text())
    document["channel_names"] = {"0": "red", "1": "green", "2": "blue"}
    (nnunet / "dataset.json").write_text(json.dumps(document))
    colour = np.random.default_rng(1).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    for channel in range(3):
        _save(nnunet / "imagesTs" / f"d_{channel:04d}.nii.gz", colour[..., channel])
    frames = nibabel.Nifti1Image(colour.transpose(2, 1, 0, 3), AFFINE)
    nibabel.save(frames, decathlon / "images" / "case2.nii.gz")
    for folder in (nnunet, decathlon):
        volume = _read(folder).cases[0].open().volume
        assert np.array_equal(np.asarray(volume.array), colour)


def test_of_several_channels_the_first_is_shown_and_that_is_said(nnunet):
    document = json.loads((nnunet / "dataset.json").read_text())
    document["channel_names"] = {"0": "MRI", "1": "T2"}
    (nnunet / "dataset.json").write_text(json.dumps(document))
    found = _read(nnunet)
    assert any("Of the 2 channels the first" in note for note in found.notes)
    assert found.cases[0].facts.modality == "MRI"


def _without_test_labels(folder: Path) -> None:
    for path in (folder / "labelsTs").iterdir():
        path.unlink()
    (folder / "labelsTs").rmdir()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _other_shape(folder: Path) -> None:
    _save(folder / "labelsTs" / "d.nii.gz", np.zeros((2, 40, 50), np.uint8))


NNUNET = [
    (_without_test_labels, "test", "have no labels"),
    (lambda folder: (folder / "labelsTs" / "d.nii.gz").unlink(), "test", "has no label map"),
    (lambda folder: _cut(folder / "labelsTs" / "d.nii.gz"), "test", "damaged or cut short"),
    (lambda folder: _cut(folder / "imagesTs" / "d_0000.nii.gz"), "test", "damaged or cut short"),
    (_other_shape, "test", "its image"),
    (lambda folder: (folder / "splits_final.json").unlink(), "validation", "nothing says which cases"),
    (lambda folder: (folder / "splits_final.json").write_text("[]"), "train", "not a list of splits"),
    (lambda folder: (folder / "splits_final.json").write_text('[{"train": ["z"]}]'), "train", "names the case z"),
    (lambda folder: (folder / "dataset.json").write_text("{"), "test", "cannot be read as JSON"),
    (lambda folder: (folder / "dataset.json").write_text("[]"), "test", "neither nnU-Net's"),
    (lambda folder: (folder / "dataset.json").write_text('{"channel_names": {"x": "CT"}, "labels": {"a": 1}}'),
     "test", "not as nnU-Net has it"),
    (lambda folder: (folder / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": {"a": "b"}}'),
     "test", "not numbered"),
    (lambda folder: (folder / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": {"background": 0}}'),
     "test", "no label but the background"),
    (lambda folder: (folder / FACTS).write_text('{"cases": [{"name": "d"}]}'), "test", "is damaged"),
    (lambda folder: (folder / FACTS).write_text("{"), "test", "is damaged"),
    (lambda folder: (folder / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": 3}'),
     "test", "not numbered"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "split", "told"), NNUNET, ids=[told for _, _, told in NNUNET])
def test_what_is_wrong_with_an_nnunet_set_is_told_in_one_sentence(nnunet, damage, split, told):
    damage(nnunet)
    with pytest.raises(InputError) as caught:
        _read(nnunet, split).cases[0].open()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def _listed(folder: Path, **changes: object) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DECATHLON = [
    (lambda folder: _listed(folder, test=["./imagesTs/case2.nii.gz"]), "have no labels"),
    (lambda folder: _listed(folder, test=[{"image": "./images/case2.nii.gz"}]), "have no labels"),
    (lambda folder: _listed(folder, test=[]), "has no case"),
    (lambda folder: _listed(folder, labels=["liver"]), "not a decathlon list"),
    (lambda folder: _listed(folder, test=5), "not a decathlon list"),
    (lambda folder: _listed(folder, test=[{"image": 3, "label": 4}]), "not a decathlon list"),
    (lambda folder: (folder / "images" / "case2.nii.gz").unlink(), "is not there"),
    (lambda folder: _cut(folder / "labels" / "case2.nii.gz"), "damaged or cut short"),
]


@pytest.mark.parametrize(("damage", "told"), DECATHLON, ids=[str(n) for n in range(len(DECATHLON))])
def test_what_is_wrong_with_a_decathlon_list_is_told_in_one_sentence(decathlon, damage, told):
    damage(decathlon)
    with pytest.raises(InputError, match=told):
        _read(decathlon).cases[0].open()


def test_a_folder_that_is_no_export_says_which_are(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        _read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="unibiomed, nnunet, decathlon, parquet, dicom"):
        _read(tmp_path)


def test_dicom_objects_without_their_images_say_so_in_one_sentence(tmp_path):
    (tmp_path / "case-0001").mkdir()
    (tmp_path / "case-0001" / "segmentation.dcm").write_bytes(b"")
    with pytest.raises(InputError, match="without the images that they speak of"):
        _read(tmp_path)


def test_a_catalogue_is_sent_to_its_own_option(tmp_path):
    (tmp_path / "catalogue.sqlite").write_bytes(b"")
    with pytest.raises(InputError, match="measure on it with --catalogue"):
        _read(tmp_path)


def test_a_parquet_file_that_is_damaged_or_of_something_else_is_told(tmp_path):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="damaged or cut short"):
        _read(tmp_path)
    with pytest.raises(InputError, match="has no split train"):
        _read(tmp_path, "train")
    datasets.Dataset.from_dict({"case": ["a"], "patient": ["p"]}).to_parquet(str(path))
    with pytest.raises(InputError, match="lacks the column slice"):
        _read(tmp_path)


def _png(array: np.ndarray) -> dict:
    out = io.BytesIO()
    Image.fromarray(array).save(out, format="PNG")
    return {"bytes": out.getvalue(), "path": None}


def test_the_pictures_of_a_parquet_file_are_read_when_their_case_is_opened(tmp_path):
    """The slices of two cases, mixed, in several row groups; each with a grey value of its own."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = []
    for index in (3, 0, 2, 1, 4):
        for number, name in enumerate(("a", "b")):
            mask = np.zeros((8, 8), np.uint8)
            mask[: index + 1] = 255
            rows.append(
                {
                    "case": name, "patient": name, "slice": index, "modality": "CT", "text": "",
                    "image": _png(np.full((8, 8), 40 * number + index, np.uint8)),
                    "phrases": ["liver in abdomen CT"], "masks": [_png(mask)],
                }
            )  # fmt: skip
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=3)
    cases = _read(tmp_path).cases
    for number, case in enumerate(cases):
        opened = case.open()
        assert [opened.picture(at).image[0, 0, 0] for at in range(5)] == [40 * number + at for at in range(5)]
        assert opened.areas(["liver in abdomen CT"])["liver in abdomen CT"] == {at: 8 * (at + 1) for at in range(5)}
    path.unlink()
    with pytest.raises(InputError, match="cannot be read as parquet"):
        cases[0].open()


def _pictures(root: Path, with_facts: bool) -> Path:
    for name in ("test", "test_mask"):
        (root / name).mkdir(parents=True)
    file = "case-0001-0003_CT_abdomen.png"
    mask = np.zeros((40, 40), np.uint8)
    mask[4:10, 4:10] = 255
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)).save(root / "test" / file)
    Image.fromarray(mask).save(root / "test_mask" / "m.png")
    entry = {"file_name": file, "mask_file": "m.png", "sentences": [{"raw": "tumor in abdomen CT"}], "patient": "p"}
    listed = {"images": [{"file_name": file}], "annotations": [entry]}
    (root / "test.json").write_text(json.dumps(listed))
    spoken = {
        "abnormality": "tumor",
        "report": "A tumor.",
        "image_file": f"test/{file}",
        "mask_file": "test_mask/m.png",
    }
    (root / "test_parse.json").write_text(json.dumps([spoken]))
    if with_facts:
        facts = CaseFacts(
            name="case-0001", patient="q", split="test", modality="CT", picture_mm=(0.5, 0.5, 2.0),
            asked=("liver in abdomen CT", "polyp in colon endoscope"),
        )  # fmt: skip
        write_facts(root, ExportFacts(cases=(facts,)))
    return root


def test_pictures_are_in_pixels_unless_the_set_says_their_size(tmp_path):
    plain, told = (_read(_pictures(tmp_path / str(known), known)) for known in (False, True))
    assert (plain.unit, told.unit) == ("pixels", "mm")
    assert any("distances are in pixels" in note for note in plain.notes)
    assert plain.cases[0].facts.patient == "p"
    assert plain.cases[0].facts.prompt_free
    opened = plain.cases[0].open()
    assert isinstance(opened, OpenedPictures)
    assert opened.picture(0).sentences == {"tumor in abdomen CT": "A tumor."}
    assert int(opened.picture(0).masks["tumor in abdomen CT"].sum()) == 36


@pytest.mark.parametrize("content", ["3", "null", '[{"a": 1}]', "[1]", '{"a": 1}', "{"])
def test_reports_that_are_no_list_are_told_in_one_sentence(tmp_path, content):
    folder = _pictures(tmp_path / "set", False)
    (folder / "test_parse.json").write_text(content)
    with pytest.raises(InputError, match=r"test_parse\.json"):
        _read(folder)


def test_a_mask_of_another_size_than_its_picture_is_told(tmp_path):
    folder = _pictures(tmp_path / "set", False)
    Image.fromarray(np.full((5, 5), 255, np.uint8)).save(folder / "test_mask" / "m.png")
    with pytest.raises(InputError, match="export the data set again"):
        _read(folder).cases[0].open().picture(0)


def test_a_decathlon_list_may_leave_the_modality_out(decathlon):
    _listed(decathlon, modality={})
    assert _read(decathlon).cases[0].facts.modality is None


def test_a_picture_is_not_asked_for_what_belongs_to_another_modality(tmp_path):
    case = _read(_pictures(tmp_path / "set", True)).cases[0]
    assert set(case.phrases) == {"tumor in abdomen CT", "liver in abdomen CT"}


def test_pictures_of_a_case_stacked_are_its_volume_again(tmp_path):
    case = _read(_pictures(tmp_path / "set", True)).cases[0]
    opened = case.open()
    volume = stacked(case.facts, opened)
    assert volume.volume.spacing == pytest.approx((0.5, 0.5, 2.0))
    assert np.array_equal(volume.picture(0).image, opened.picture(0).image)
    assert np.array_equal(
        volume.picture(0).masks["tumor in abdomen CT"], opened.picture(0).masks["tumor in abdomen CT"]
    )
