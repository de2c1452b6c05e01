# SPDX-License-Identifier: Apache-2.0
"""Bad input through the command line: one clear sentence, exit code 2, and nothing on disk changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[3]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` with its content's hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def refused(cli, model, tmp_path):
    """Run a quiet command that must be refused; returns its sentence."""

    def call(*arguments: object) -> str:
        before = snapshot(tmp_path)
        done = cli(*arguments, "--quiet")
        assert done.code == 2, (done.out, done.err)
        assert done.out == ""
        assert len(done.err.strip().splitlines()) == 1, done.err
        assert len(done.sentence) < 700
        assert done.sentence.endswith((".", "?"))
        assert snapshot(tmp_path) == before
        return done.sentence

    return call


def segment(image: Path, *more: object) -> tuple[object, ...]:
    return ("segment", image, "liver", "--modality", "CT", "-o", image.parent / "out.seg.nrrd", *more)


def test_a_file_that_is_not_there_is_named(refused, tmp_path):
    assert "nowhere.nii.gz" in refused(*segment(tmp_path / "nowhere.nii.gz"))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".dcm"])
def test_a_truncated_file_is_told(refused, tmp_path, suffix):
    rng = np.random.default_rng(0)
    path = tmp_path / f"cut{suffix}"
    if suffix == ".dcm":
        array = rng.integers(0, 255, (64, 64), dtype=np.uint16)
        sitk.WriteImage(sitk.GetImageFromArray(array[None]), str(path))
    elif suffix in (".png", ".tif"):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(rng.integers(0, 255, (8, 32, 32), dtype=np.int16)), str(path))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert path.name in refused(*segment(path))


@pytest.mark.parametrize(
    ("name", "content"), [("notes.txt", b"hello"), ("a.nii.gz", b"hello"), ("b.dcm", b""), ("c", b"x")]
)
def test_a_file_that_is_no_image_is_told(refused, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert name in refused(*segment(tmp_path / name))


def test_an_empty_folder_is_told(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(*segment(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.full((4, 8, 8), np.nan, np.float32), "NaN"),
        (np.where(np.arange(256).reshape(4, 8, 8) == 9, np.nan, 1.0).astype(np.float32), "NaN"),
        (np.full((4, 8, 8), 7, np.int16), "same value"),
        (np.array([[[5]]], np.int16), "1 x 1"),
    ],
)
def test_a_volume_that_holds_nothing_to_see_is_told(refused, tmp_path, array, word):
    path = tmp_path / "odd.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    sentence = refused(*segment(path))
    assert "odd.nii.gz" in sentence or word.lower() in sentence.lower()


def test_a_picture_of_one_pixel_is_told(refused, tmp_path):
    Image.fromarray(np.array([[7]], np.uint8)).save(tmp_path / "dot.png")
    refused(*segment(tmp_path / "dot.png"))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--modality", "PET"), "mammography"),
        (("--axis", "diagonal"), "axial"),
        (("--window", "ct-liverish"), "ct-abdomen"),
        (("--window", "-5/x"), "-5/x"),
        (("--slices", "11-14"), "Slice 12"),
        (("--slices", "5-2"), "5-2"),
        (("--slices", "a"), "3,5,8"),
        (("--site", "abdomen", "--key-slice", "4"), "propagate"),
        (("--frame", "7"), "7"),
        (("--series", "1.2.3"), "DICOM"),
    ],
)
def test_an_option_that_cannot_be_is_told_with_what_can(refused, torso, options, word):
    assert word in refused("segment", torso, "liver", "--modality", "CT", *options)


def test_an_unknown_target_is_told_with_close_ones(refused, torso):
    sentence = refused("segment", torso, "livver", "--modality", "CT")
    assert '"livver"' in sentence
    assert '"liver"' in sentence
    assert "spleen" in refused("segment", torso, "gizmo", "--modality", "CT")


def test_a_target_of_another_modality_is_told(refused, torso):
    assert "MRI" in refused("segment", torso, "brain", "--modality", "CT")


def test_a_prompt_of_ten_thousand_characters_is_told(refused, torso):
    assert "10,000 characters" in refused("ask", torso, "a" * 10_000, "--modality", "CT")
    assert "10,000 characters" in refused("segment", torso, "a" * 10_000, "--modality", "CT")
    assert "10,000 characters" in refused("ask", torso, "--anatomy", "a" * 10_000, "--modality", "CT")


@pytest.mark.parametrize("text", ["liver\x1b[31m", "liver\x07", "\u202eliver"])
def test_control_characters_are_told_and_not_printed(refused, torso, text):
    sentence = refused("ask", torso, text, "--modality", "CT")
    assert "control character" in sentence
    assert not set(sentence) & {"\x1b", "\x07", "\u202e"}


def test_an_empty_prompt_is_told(refused, torso):
    assert "empty" in refused("ask", torso, "  ", "--modality", "CT")
    refused("ask", torso, "--modality", "CT")


def test_special_tokens_typed_by_the_user_reach_the_model_broken_up(cli, model, torso):
    typed = "Is it [SEG] <p> or <image> or <|end|>?"
    done = cli("ask", torso, typed, "--modality", "CT", "--json")
    assert done.code == 0, done.err
    sent = model.calls[-1][2][0].removeprefix("<image>")
    for token in ("[SEG]", "<p>", "<image>", "<|end|>"):
        assert token not in sent


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "10,10,5,5", "0,0,9999,9999", "-1,0,5,5"])
def test_a_box_that_is_none_is_told(refused, torso, box):
    refused("describe", torso, f"--box={box}", "--modality", "CT")


def test_a_region_must_be_given_once_and_lie_on_the_image(refused, torso, tmp_path):
    assert "--box" in refused("describe", torso, "--modality", "CT")
    other = sitk.GetImageFromArray((np.arange(4 * 8 * 8).reshape(4, 8, 8) > 9).astype(np.uint8))
    sitk.WriteImage(other, str(tmp_path / "other.nii.gz"))
    assert "grid" in refused("describe", torso, "--mask", tmp_path / "other.nii.gz", "--modality", "CT")


@pytest.mark.parametrize("name", ["out.txt", "out", "out.nrrd.gz", ".nii.gz"])
def test_an_output_name_without_a_format_is_told_before_any_work(refused, model, torso, name):
    assert ".seg.nrrd" in refused("segment", torso, "liver", "--modality", "CT", "-o", torso.parent / name)
    assert model.calls == []


def test_an_output_folder_that_is_a_file_is_told_before_any_work(refused, model, torso):
    assert "is a file" in refused("interpret", torso, "--modality", "CT", "-o", torso)
    assert "is a file" in refused("interpret", torso, "--modality", "CT", "-o", torso / "below")
    assert model.calls == []


def test_an_output_below_a_file_is_told(refused, torso):
    refused("segment", torso, "liver", "--modality", "CT", "-o", torso / "out.seg.nrrd")


def test_an_output_folder_that_is_not_there_is_made(cli, model, torso):
    output = torso.parent / "no" / "such" / "out.seg.nrrd"
    assert cli("segment", torso, "liver", "--modality", "CT", "-o", output).code == 0
    assert output.is_file()


def test_overlapping_targets_cannot_go_into_a_labelmap(refused, torso):
    out = torso.parent / "out.nii.gz"
    out.write_bytes(b"what was there")
    sentence = refused("segment", torso, "liver", "liver tumor", "--modality", "CT", "-o", out)
    assert ".seg.nrrd" in sentence


def test_a_dicom_segmentation_of_an_image_that_is_not_dicom_is_told(refused, torso):
    assert "DICOM" in refused("segment", torso, "liver", "--modality", "CT", "-o", torso.parent / "out.dcm")


def test_several_series_in_a_folder_are_listed_and_not_guessed(refused, shared_dir, tmp_path):
    source = shared_dir / "data" / "mr_oblique_dicom"
    folder = tmp_path / "two"
    shutil.copytree(source, folder)
    import pydicom

    for path in sorted(folder.iterdir())[2:4]:
        path.chmod(0o644)
        data = pydicom.dcmread(path)
        data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1"
        data.save_as(path)
    sentence = refused("segment", folder, "liver", "--modality", "CT")
    assert "1.2.826.0.1.3680043.8.498.1" in sentence


# The model's own folder: with the real loader.


@pytest.fixture
def golden(shared_dir, tmp_path) -> Path:
    folder = tmp_path / "golden"
    shutil.copytree(shared_dir / "golden" / "model", folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture
def load_refused(cli, torso, golden):
    """Run a command with the changed model folder; returns the sentence of its refusal."""

    def call(change) -> str:
        change(golden)
        before = snapshot(golden)
        done = cli("segment", torso, "liver", "--modality", "CT", "--model", golden, "--quiet")
        assert done.code == 2, (done.out, done.err)
        assert snapshot(golden) == before
        return done.sentence

    return call


def edit_tensors(edit):
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        edit(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def edit_config(**values):
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return change


MISSING = "text_hidden_fcs.0.weight"


def test_a_missing_tensor_is_named(load_refused):
    assert MISSING in load_refused(edit_tensors(lambda tensors: tensors.pop(MISSING)))


def test_an_extra_tensor_is_named(load_refused):
    assert "surprise" in load_refused(edit_tensors(lambda tensors: tensors.update(surprise=tensors[MISSING].clone())))


def test_a_tensor_of_another_shape_is_named(load_refused):
    def cut(tensors):
        tensors[MISSING] = tensors[MISSING][:3].clone()

    assert MISSING in load_refused(edit_tensors(cut))


def test_a_pickle_in_the_folder_is_never_opened(load_refused, tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "opened",))

    sentence = load_refused(lambda folder: (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap())))
    assert "pytorch_model.bin" in sentence
    assert not (tmp_path / "opened").exists()


def test_a_pickle_that_is_called_safetensors_is_never_opened(load_refused, tmp_path):
    import pickle

    sentence = load_refused(lambda folder: (folder / "model.safetensors").write_bytes(pickle.dumps([1] * 100)))
    assert "model.safetensors" in sentence


@pytest.mark.parametrize(
    "change",
    [
        edit_config(llm_config={}),
        edit_config(vision_config=7),
        edit_config(sam2_config={"embed_dim": "wide"}),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: (folder / "unibiomed.json").write_text("{"),
    ],
)
def test_a_wrong_configuration_is_told(load_refused, change):
    load_refused(change)


def test_a_model_that_is_not_there_is_told_with_what_to_do(cli, torso):
    done = cli("segment", torso, "liver", "--modality", "CT", "--model", "Org/Name", "--quiet")
    assert done.code == 2
    assert "unibiomed models download Org/Name" in done.sentence


@pytest.mark.parametrize("options", [("--device", "tpu"), ("--device", "cuda:99"), ("--dtype", "float7")])
def test_a_device_that_is_not_there_is_told(cli, torso, golden, options):
    done = cli("segment", torso, "liver", "--modality", "CT", "--model", golden, "--quiet", *options)
    assert done.code == 2
    assert options[1] in done.sentence
