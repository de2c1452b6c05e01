# SPDX-License-Identifier: Apache-2.0
"""Each command on a real file with a model that reads grey values."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from unibiomed import __version__
from unibiomed.tasks.schema import from_json


def voxels(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_segment_writes_the_voxels_of_the_target(cli, model, torso, truth, tmp_path):
    done = cli("segment", torso, "liver", "--modality", "CT", "-o", tmp_path / "liver.nii.gz")
    assert done.code == 0, done.err
    found = voxels(tmp_path / "liver.nii.gz") > 0
    assert (found == (truth["liver"])).mean() > 0.98
    assert "liver in abdomen CT" in done.out


def test_overlapping_targets_stay_separate_in_a_slicer_segmentation(cli, model, torso, tmp_path):
    done = cli("segment", torso, "liver", "liver tumor", "--modality", "CT", "-o", tmp_path / "both.seg.nrrd")
    assert done.code == 0, done.err
    header = (tmp_path / "both.seg.nrrd").read_bytes()[:4000].decode("latin-1")
    assert "Segment1_Name" in header


def test_a_target_that_is_not_there_is_a_result_and_not_an_error(cli, model, torso):
    done = cli("segment", torso, "spleen", "--modality", "CT", "--slices", "0-1", "--json")
    assert done.code == 0, done.err
    assert done.json["segments"] == []
    assert "Not seen" in done.json["not_found"][0]["reason"]


def test_json_is_the_only_thing_on_stdout_and_reads_back(cli, model, torso):
    done = cli("segment", torso, "liver", "--modality", "CT", "--json")
    result = from_json(done.out)
    assert result.segments[0].phrase == "liver in abdomen CT"
    assert result.provenance.slices == tuple(range(12))


def test_quiet_prints_nothing_at_all(cli, model, torso, tmp_path):
    done = cli("segment", torso, "liver", "--modality", "CT", "--quiet", "-o", tmp_path / "a.nii.gz")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "a.nii.gz").is_file()


def test_recognise_finds_the_tumour_and_writes_it(cli, model, torso, truth, tmp_path):
    done = cli("recognise", torso, "--modality", "CT", "-o", tmp_path / "found.nii.gz")
    assert done.code == 0, done.err
    assert "liver tumor" in done.out.lower()
    assert ((voxels(tmp_path / "found.nii.gz") > 0) == truth["liver tumor"]).all()


def test_nothing_found_is_said_and_no_file_is_written(cli, model, torso, tmp_path):
    done = cli("recognise", torso, "--modality", "CT", "--slices", "7-8", "-o", tmp_path / "found.nii.gz")
    assert done.code == 0
    assert "Nothing found" in done.out
    assert "was not written" in done.err
    assert not (tmp_path / "found.nii.gz").exists()


def test_describe_takes_a_box_or_a_mask(cli, model, torso, tmp_path):
    done = cli("describe", torso, "--box", "10,10,30,30", "--modality", "CT", "--slice", "4", "--json")
    assert done.json["box"] == [10, 10, 30, 30]
    assert done.json["text"] == "liver tumor in abdomen CT"
    cli("recognise", torso, "--modality", "CT", "-q", "-o", tmp_path / "found.nii.gz")
    done = cli("describe", torso, "--mask", tmp_path / "found.nii.gz", "--modality", "CT", "--json")
    assert done.code == 0, done.err
    assert done.json["slice"] in (3, 4, 5)


def test_ask_answers_the_trained_question_and_marks_a_free_one(cli, model, torso):
    trained = cli("ask", torso, "--anatomy", "liver", "--slice", "4", "--modality", "CT", "--json").json
    assert trained["text"].startswith("liver tumor")
    assert trained["off_template"] is False
    free = cli("ask", torso, "Will it rain?", "--slice", "4", "--modality", "CT")
    assert "not a question that the model was trained on" in free.err.lower()


def test_questions_in_one_command_follow_on_each_other(cli, model, torso):
    done = cli("ask", torso, "Is it big?", "Where?", "--slice", "4", "--modality", "CT", "--json")
    assert [one["question"] for one in done.json] == ["Is it big?", "Where?"]
    assert model.histories[0] is None
    assert "Is it big?" in model.histories[1]


def test_report_speaks_of_one_slice(cli, model, torso, tmp_path):
    done = cli("report", torso, "--slice", "4", "--modality", "CT", "-o", tmp_path / "r.seg.nrrd", "--json")
    assert done.code == 0, done.err
    assert "hypodense" in done.json["text"]
    assert done.json["segments"][0]["slices"] == [4]
    assert (tmp_path / "r.seg.nrrd").is_file()


def test_interpret_fills_a_folder_and_keeps_what_else_is_in_it(cli, model, torso, tmp_path):
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    for _ in range(2):
        done = cli("interpret", torso, "--modality", "CT", "-o", folder)
        assert done.code == 0, done.err
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.txt",
        "overlay.png",
        "report.html",
        "report.json",
        "segmentation.seg.nrrd",
    ]
    assert from_json((folder / "report.json").read_text()).findings[0].target == "liver tumor"


def test_models_can_be_imported_listed_verified_and_removed(cli, tmp_path, monkeypatch):
    from safetensors.numpy import save_file

    monkeypatch.setenv("UNIBIOMED_MODELS", str(tmp_path / "store"))
    source = tmp_path / "source"
    source.mkdir()
    save_file({"weight": np.zeros(3, np.float32)}, source / "model.safetensors")
    (source / "config.json").write_text("{}")
    (source / "tokenizer.json").write_text("{}")
    assert cli("models", "import", source, "--name", "mine").code == 0
    assert "mine" in [model["name"] for model in cli("models", "list", "--json").json]
    assert cli("models", "path", "mine").out.strip() == str(tmp_path / "store" / "mine")
    assert cli("models", "verify", "mine").code == 0
    (tmp_path / "store" / "mine" / "config.json").write_text('{"a": 1}')
    broken = cli("models", "verify", "mine")
    assert broken.code == 2
    assert "config.json" in broken.sentence
    assert cli("models", "remove", "mine", "--yes").code == 0
    gone = cli("models", "path", "mine")
    assert gone.code == 2
    assert "There is no model 'mine'" in gone.sentence


def test_a_download_asks_for_the_licence_and_no_means_no(cli, tmp_path, monkeypatch):
    from unibiomed.model import hub

    class Fake(hub.HuggingFaceHub):
        def describe(self, repo_id, revision):
            return hub.RemoteModel(repo_id, "c" * 40, "cc-by-nc-4.0", (hub.RemoteFile("model.safetensors", 5),))

        def fetch(self, model, folder, progress):
            pytest.fail("fetched without a licence")

    monkeypatch.setenv("UNIBIOMED_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr("unibiomed.model.store.HuggingFaceHub", Fake)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    done = cli("models", "download", "Org/Name")
    assert done.code != 0
    assert "cc-by-nc-4.0" in done.err


def test_evaluate_prints_and_saves_the_table(cli, tmp_path, monkeypatch):
    import importlib.util
    from pathlib import Path

    place = Path(__file__).parents[1] / "evaluation" / "oracle.py"
    spec = importlib.util.spec_from_file_location("cli_oracle", place)
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    model = oracle.Oracle()
    model.device_reason = "the test's own"
    import unibiomed.evaluation.phantoms as phantoms
    import unibiomed.model
    import unibiomed.model.store

    monkeypatch.setitem(vars(unibiomed.model), "load", lambda *args, **options: model)
    monkeypatch.setattr(unibiomed.model.store, "resolve", Path)
    monkeypatch.setattr(phantoms, "all_targets", lambda: oracle.CATALOGUE)
    monkeypatch.setattr(phantoms.evaluate_phantoms, "__kwdefaults__", {
        **phantoms.evaluate_phantoms.__kwdefaults__, "draw": model.draw,
    })  # fmt: skip
    done = cli("evaluate", "--modality", "ct", "-n", "4", "--task", "segment", "-o", tmp_path / "table")
    assert done.code == 0, done.err
    assert "anatomy Dice" in done.out
    data = json.loads((tmp_path / "table" / "evaluation.json").read_text())
    assert {figure["task"] for figure in data["figures"]} == {"segment"}


def test_demo_interprets_both_inputs_and_shows_the_dice_of_the_phantom(cli, model, driver, tmp_path, monkeypatch):
    import unibiomed.phantoms

    # In a real head, single pixels of one grey value would be thousands of tumours.
    monkeypatch.setitem(driver.load_fakes().GREY, "liver tumor", (300, 300))

    small = unibiomed.phantoms.generate_volume
    monkeypatch.setattr(
        unibiomed.phantoms, "generate_volume", lambda modality, seed, **more: small(modality, seed, (3, 64, 64), **more)
    )
    done = cli("demo", "--output", tmp_path / "demo")
    assert done.code == 0, done.err
    assert "Dice" in done.out
    for name in ("ct-phantom", "mri-head"):
        written = {path.name for path in (tmp_path / "demo" / name).iterdir()}
        assert {"report.html", "report.json", "overlay.png"} <= written
    result = from_json((tmp_path / "demo" / "mri-head" / "report.json").read_text())
    assert result.provenance.source.name == "brain1_image.nrrd"


def test_help_and_version_come_without_loading_torch(tmp_path):
    program = (
        "import sys\nfrom unibiomed.cli.app import run\nrun(sys.argv[1:])\n"
        "print('torch' in sys.modules or 'numpy' in sys.modules, file=sys.stderr)"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - begun < 5
    assert done.stderr.strip() == "False"
    assert "interpret" in done.stdout
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"unibiomed {__version__}"


@pytest.mark.parametrize(
    "command", ["interpret", "segment", "recognise", "describe", "ask", "report", "evaluate", "train", "demo"]
)
def test_every_command_explains_itself_with_an_example(cli, command):
    done = cli(command, "--help")
    assert done.code == 0
    assert f"unibiomed {command}" in done.out.split("Example")[1]
